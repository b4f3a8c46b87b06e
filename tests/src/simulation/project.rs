//! A project in memory, which a scenario may edit.

use std::collections::BTreeMap;
use std::path::Path;

use zonewright_engine::address::ZoneName;
use zonewright_engine::config::Config;
use zonewright_engine::schema::Registry;
use zonewright_zones::{Charts, Loaded, MemoryFiles, Rendering};

/// The custom resource of `tests/projects/one-of-each`, as its manifest has it.
pub const SITE: &str = "apiVersion: one.zonewright.dev/v1
kind: Site
metadata:
  name: main
  namespace: app
spec:
  title: One
---
";

/// The files of a project by their paths.
#[derive(Debug, Clone, Default)]
pub struct Project(BTreeMap<String, Vec<u8>>);

/// The sandbox's stand-ins for charts that the example does not vendor.
struct StandIns;

impl Charts for StandIns {
    fn rendering(
        &self,
        _zone: &ZoneName,
        chart: &str,
        name: &str,
        namespace: &str,
    ) -> Option<Rendering> {
        let text = zonewright_sandbox::charts::stand_in(chart, name, namespace)?;
        Some(Rendering {
            text,
            origin: format!("stand-in for {chart}"),
            stand_in: true,
        })
    }
}

impl Project {
    /// A copy of `examples/<name>`.
    ///
    /// # Panics
    /// There is no such example.
    pub fn example(name: &str) -> Project {
        let mut files = BTreeMap::new();
        read(&crate::root().join("examples").join(name), "", &mut files);
        Project(files)
    }

    /// A copy of `tests/projects/<name>`.
    ///
    /// # Panics
    /// There is no such project.
    pub fn of_tests(name: &str) -> Project {
        let mut files = BTreeMap::new();
        read(
            &crate::root().join("tests/projects").join(name),
            "",
            &mut files,
        );
        Project(files)
    }

    /// Replaces text in a file.
    ///
    /// # Panics
    /// The file does not hold it.
    pub fn edit(&mut self, file: &str, from: &str, to: &str) {
        let bytes = self.0.get_mut(file).expect("the file is there");
        let text = String::from_utf8_lossy(bytes).into_owned();
        assert!(text.contains(from), "{file} does not hold {from:?}");
        *bytes = text.replacen(from, to, 1).into_bytes();
    }

    /// Adds text to the end of a file.
    ///
    /// # Panics
    /// There is no such file.
    pub fn append(&mut self, file: &str, text: &str) {
        let bytes = self.0.get_mut(file).expect("the file is there");
        bytes.extend_from_slice(text.as_bytes());
    }

    /// Puts a file in, in the place of one of that name.
    pub fn put(&mut self, file: &str, text: &str) {
        self.0.insert(file.to_owned(), text.as_bytes().to_vec());
    }

    /// Reads the spec.
    ///
    /// # Panics
    /// It has mistakes.
    pub fn load(&self, registry: &Registry) -> Config {
        let files = MemoryFiles(self.0.clone());
        let loaded: Loaded = zonewright_zones::load(&files, &StandIns, registry);
        let mistakes = loaded.diagnostics;
        loaded
            .config
            .unwrap_or_else(|| panic!("the spec has mistakes: {mistakes:#?}"))
    }
}

fn read(dir: &Path, prefix: &str, out: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(dir)
        .expect("the example is there")
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        // What a user left behind by trying the example out is not part of it.
        if name == ".zonewright" || name == "state" {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.path().is_dir() {
            read(&entry.path(), &format!("{path}/"), out);
        } else {
            let bytes = std::fs::read(entry.path()).expect("a file");
            out.insert(path, bytes);
        }
    }
}
