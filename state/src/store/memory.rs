//! A store in memory, for tests and simulation.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::FutureExt;

use super::{Put, Store, StoreError, StoreResult, check_key};

/// Objects in a map.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<BTreeMap<String, Vec<u8>>>);

impl MemoryStore {
    fn objects(&self, key: &str) -> Result<MutexGuard<'_, BTreeMap<String, Vec<u8>>>, StoreError> {
        check_key(key)?;
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store for MemoryStore {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    fn put_new<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> StoreResult<'a, Put> {
        async move {
            let mut objects = self.objects(key)?;
            if objects.contains_key(key) {
                return Ok(Put::Exists);
            }
            objects.insert(key.to_owned(), bytes.to_vec());
            Ok(Put::Created)
        }
        .boxed()
    }

    fn get<'a>(&'a self, key: &'a str) -> StoreResult<'a, Option<Vec<u8>>> {
        async move { Ok(self.objects(key)?.get(key).cloned()) }.boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>) -> StoreResult<'a, Vec<String>> {
        async move {
            let objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let wanted = |key: &&String| {
                key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after)
            };
            Ok(objects.keys().filter(wanted).cloned().collect())
        }
        .boxed()
    }

    fn put_hint<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> StoreResult<'a, ()> {
        async move {
            self.objects(key)?.insert(key.to_owned(), bytes.to_vec());
            Ok(())
        }
        .boxed()
    }

    fn gc<'a>(&'a self, key: &'a str) -> StoreResult<'a, ()> {
        async move {
            self.objects(key)?.remove(key);
            Ok(())
        }
        .boxed()
    }
}
