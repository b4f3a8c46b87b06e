//! The stores conform.

use std::sync::Arc;

use zonewright_state::store::file::FileStore;
use zonewright_state::store::memory::MemoryStore;
use zonewright_state::vfs::model::ModelVfs;
use zonewright_state::vfs::real::RealVfs;
use zonewright_state::{OsRng, conformance};

#[test]
fn memory() {
    conformance::run(MemoryStore::default);
}

#[test]
fn file() {
    let dir = tempfile::tempdir().expect("a directory");
    let count = std::sync::atomic::AtomicUsize::new(0);
    conformance::run(|| {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let vfs = RealVfs::create(&dir.path().join(n.to_string()), false).expect("a directory");
        FileStore::new(Arc::new(vfs), Box::new(OsRng))
    });
}

#[test]
fn file_on_the_model() {
    conformance::run(|| FileStore::new(Arc::new(ModelVfs::default()), Box::new(OsRng)));
}

#[test]
fn hosts_at_files_and_at_a_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let count = std::sync::atomic::AtomicUsize::new(0);
    conformance::hosts::run(|| {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        conformance::hosts::files(&dir.path().join(n.to_string()))
    });
    conformance::hosts::run(|| conformance::hosts::over(MemoryStore::default()));
}
