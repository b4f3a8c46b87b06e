//! Sorted entries in one allocation: what maps of values and of expressions are made of.

use std::ops::Index;

use litemap::LiteMap;
use litemap::store::{StoreIntoIterator, StoreIterable};

use super::{Text, Value};

/// A map of values in key order.
pub type Map = Sorted<Value>;

type Store<V> = Vec<(Text, V)>;

/// A map in key order.
#[derive(Debug, Clone, PartialEq)]
pub struct Sorted<V>(LiteMap<Text, V>);

impl<V> Sorted<V> {
    /// A map without entries.
    pub const fn new() -> Sorted<V> {
        Sorted(LiteMap::new_vec())
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is under a key.
    pub fn get(&self, key: &str) -> Option<&V> {
        self.0.get(key)
    }

    /// What is under a key, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        self.0.get_mut(key)
    }

    /// Whether there is something under a key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Puts something under a key, and returns what was there.
    pub fn insert(&mut self, key: impl Into<Text>, value: V) -> Option<V> {
        self.0.insert(key.into(), value)
    }

    /// Takes out what is under a key.
    pub fn remove(&mut self, key: &str) -> Option<V> {
        self.0.remove(key)
    }

    /// What is under a key, made if there is nothing.
    pub fn get_or_insert_with(&mut self, key: impl Into<Text>, make: impl FnOnce() -> V) -> &mut V {
        self.0.entry(key.into()).or_insert_with(make)
    }

    /// Keeps the entries for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&Text, &V) -> bool) {
        let entries = std::mem::take(self);
        *self = entries.into_iter().filter(|(k, v)| keep(k, v)).collect();
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &Text> + ExactSizeIterator {
        self.iter().map(|(key, _)| key)
    }

    /// What is under the keys, in their order.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator {
        self.iter().map(|(_, value)| value)
    }

    /// What is under the keys, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// The entries, in the order of their keys.
    pub fn iter(&self) -> <&Sorted<V> as IntoIterator>::IntoIter {
        self.0.iter()
    }
}

impl<V> Default for Sorted<V> {
    fn default() -> Sorted<V> {
        Sorted::new()
    }
}

impl<V> Index<&str> for Sorted<V> {
    type Output = V;

    fn index(&self, key: &str) -> &V {
        self.get(key).expect("the map has this key")
    }
}

impl<K: Into<Text>, V> FromIterator<(K, V)> for Sorted<V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Sorted<V> {
        let mut store: Store<V> = entries.into_iter().map(|(k, v)| (k.into(), v)).collect();
        if !store.is_sorted_by(|a, b| a.0 < b.0) {
            store = LiteMap::<Text, V>::from_iter(store).into_tuple_vec();
        }
        // What is made once is read often, and there are millions.
        store.shrink_to_fit();
        Sorted(LiteMap::from_sorted_store_unchecked(store))
    }
}

impl<K: Into<Text>, V> Extend<(K, V)> for Sorted<V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        self.0
            .extend(entries.into_iter().map(|(k, v)| (k.into(), v)));
    }
}

impl<K: Into<Text>, V, const N: usize> From<[(K, V); N]> for Sorted<V> {
    fn from(entries: [(K, V); N]) -> Sorted<V> {
        entries.into_iter().collect()
    }
}

impl<V> IntoIterator for Sorted<V> {
    type Item = (Text, V);
    type IntoIter = <Store<V> as StoreIntoIterator<Text, V>>::KeyValueIntoIter;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, V> IntoIterator for &'a Sorted<V> {
    type Item = (&'a Text, &'a V);
    type IntoIter = <Store<V> as StoreIterable<'a, Text, V>>::KeyValueIter;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
