//! Laws of loading, and its limits.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use zonewright_zones::{Code, Diagnostic, MAX_SHOWN, MemoryFiles, VendoredCharts, fmt, load};

use crate::fixture::{files, load_text, print, print_config};
use crate::registry::registry;

const EXAMPLE: &str = include_str!("../cases/wordpress.txt");

fn example() -> BTreeMap<String, String> {
    let (project, _) = EXAMPLE.split_once("//= out").unwrap();
    files(project).0
}

fn load_files(files: BTreeMap<String, String>) -> zonewright_zones::Loaded {
    let files = MemoryFiles(files);
    load(&files, &VendoredCharts(&files), &registry())
}

#[test]
fn a_zone_that_only_extends_is_its_base_renamed() {
    let mut files = example();
    let pz = files.get_mut("zones/pz.toml").unwrap();
    *pz = pz
        .replace("cidr = \"10.10.0.0/16\"", "")
        .replace("\"${zone.cidr}\"", "\"10.0.0.0/8\"");
    // Names of objects that are the same in both zones stay as they are.
    let alone = pz
        .replace("ip_range = \"10.0.0.0/8\"", "")
        .replace("exposed = true", "");
    files.insert(
        "zones/pz.toml".into(),
        format!("{alone}\n[role.standby.zone]\nexposed = true\n"),
    );
    files.insert("zones/bz.toml".into(), "[zone]\nextends = \"pz\"\n".into());
    for chart in ["cert_manager", "monitoring", "traefik"] {
        let text = files[&format!("charts/pz/{chart}.yaml")].clone();
        files.insert(format!("charts/bz/{chart}.yaml"), text);
    }
    let loaded = load_files(files);
    // The base gave its range up, so that the zones do not overlap; a standby like its base is exposed.
    let known = [Code::NetworkShared, Code::StandbyExposed, Code::NotLocked];
    let other = |d: &Diagnostic| !known.contains(&d.code);
    assert!(!loaded.diagnostics.iter().any(other), "{}", print(&loaded));
    let config = loaded.config.unwrap();
    let of = |zone: &str| {
        let text = print_config(&config);
        let resources = text.split_once("pz/provider.kubernetes").unwrap().1;
        let lines: Vec<&str> = resources.lines().skip(1).collect();
        let own = lines
            .chunks(2)
            .filter(|l| l[0].starts_with(&format!("{zone}/")));
        own.map(|l| l.join("\n")).collect::<Vec<_>>().join("\n")
    };
    assert!(of("pz").lines().count() > 20);
    assert_eq!(of("bz").replace("bz", "pz"), of("pz"));
}

#[test]
fn loading_twice_gives_the_same_digest_and_another_spec_another() {
    let first = load_files(example()).config.unwrap();
    assert_eq!(first, load_files(example()).config.unwrap());
    let mut files = example();
    let pz = files.get_mut("zones/pz.toml").unwrap();
    *pz = pz.replace("max = 3", "max = 4");
    assert_ne!(first.digest, load_files(files).config.unwrap().digest);
}

#[test]
fn only_so_many_mistakes_are_shown() {
    let mut text = String::from("//- zones/pz.toml\n");
    for i in 0..55 {
        writeln!(text, "[digitalocean.vpc.v{i}]\nname = \"a\"").unwrap();
    }
    let loaded = load_text(&text);
    assert_eq!((loaded.diagnostics.len(), loaded.hidden), (MAX_SHOWN, 5));
    assert!(
        loaded
            .diagnostics
            .iter()
            .all(|d| d.code == Code::MissingAttribute)
    );
}

fn codes(loaded: &zonewright_zones::Loaded) -> Vec<&'static str> {
    loaded.diagnostics.iter().map(|d| d.code.id()).collect()
}

#[test]
fn hostile_sizes_and_depths_are_refused() {
    let deep = "a.".repeat(50_000) + "a = 1\n";
    assert!(codes(&load_text(&format!("//- zones/pz.toml\n{deep}"))).contains(&"ZW1005"));
    let huge = "#".repeat(9 * 1024 * 1024);
    assert_eq!(
        codes(&load_text(&format!("//- zones/pz.toml\n{huge}"))),
        ["ZW1008"]
    );
}

fn manifest(text: &str) -> zonewright_zones::Loaded {
    let spec = "//- zones/pz.toml\n[providers.kubernetes]\ncluster = \"${digitalocean.kubernetes_cluster.main}\"\n\
        [digitalocean.kubernetes_cluster.main]\nname = \"c\"\nregion = \"r\"\nversion = \"1\"\n\
        node_pool = { size = \"s\", min = 1, max = 2 }\n[kubernetes.manifest.a]\nfile = \"a.yaml\"\n";
    load_text(&format!("{spec}//- a.yaml\n{text}"))
}

#[test]
fn aliases_and_depths_of_yaml_are_limited() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let before = vec![format!("*a{}", i - 1); 9].join(", ");
        writeln!(bomb, "a{i}: &a{i} [{before}]").unwrap();
    }
    assert_eq!(codes(&manifest(&bomb)), ["ZW1701"]);
    let deep = format!("a: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(codes(&manifest(&deep)), ["ZW1701"]);
}

#[test]
fn ten_thousand_objects_load() {
    let mut text = String::new();
    for i in 0..10_000 {
        let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: { namespace: web, name: ";
        write!(text, "---\n{object}c{i} }}\ndata: {{ a: b }}\n").unwrap();
    }
    let loaded = manifest(&text);
    assert_eq!(loaded.config.map(|c| c.resources.len()), Some(10_001));
}

#[test]
fn not_utf8_names_the_byte() {
    struct Latin1(MemoryFiles);
    impl zonewright_zones::Files for Latin1 {
        fn read(&self, path: &str) -> Result<Vec<u8>, zonewright_zones::FileError> {
            if path == "zones/pz.toml" {
                return Ok(b"[zone]\nregion = \"M\xfcnchen\"\n".to_vec());
            }
            self.0.read(path)
        }
        fn list(&self, dir: &str) -> Result<Vec<String>, zonewright_zones::FileError> {
            self.0.list(dir)
        }
    }
    let files = Latin1(files(""));
    let loaded = load(&files, &VendoredCharts(&files), &registry());
    assert_eq!(codes(&loaded), ["ZW1002"]);
    assert!(loaded.diagnostics[0].message.ends_with("byte 18"));
}

fn mangled() -> impl Strategy<Value = BTreeMap<String, String>> {
    let edits = prop::collection::vec(
        (
            any::<prop::sample::Index>(),
            any::<prop::sample::Index>(),
            "\\PC{0,6}|[\\[\\]{}\"'=.$#\n]{1,4}",
        ),
        1..6,
    );
    edits.prop_map(|edits| {
        let mut files = example();
        for (file, at, text) in edits {
            let names: Vec<String> = files.keys().cloned().collect();
            let content = files.get_mut(file.get(&names)).unwrap();
            let mut at = at.index(content.len() + 1);
            while !content.is_char_boundary(at) {
                at -= 1;
            }
            content.insert_str(at, &text);
        }
        files
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn loading_never_panics_and_spans_stay_inside(files in mangled()) {
        let loaded = load_files(files);
        for diagnostic in &loaded.diagnostics {
            for label in &diagnostic.labels {
                let text = &loaded.sources[label.file()];
                prop_assert!(text.get(label.range()).is_some());
            }
            let _ = print(&loaded);
            let _ = diagnostic.to_json();
        }
        let failed = loaded.diagnostics.iter().any(|d| d.severity() == zonewright_zones::Severity::Error);
        prop_assert_eq!(failed, loaded.config.is_none());
    }

    #[test]
    fn any_text_is_a_root_file_or_a_mistake(text in "\\PC*|[\\[\\]a-z=\"\n.]*") {
        let _ = load_files(BTreeMap::from([("zonewright.toml".to_owned(), text)]));
    }

    #[test]
    fn formatting_twice_is_formatting_once(files in mangled()) {
        for (path, text) in files {
            if path.ends_with(".toml") && let Ok(once) = fmt(&text) {
                let twice = fmt(&once).ok();
                prop_assert_eq!(twice.as_ref(), Some(&once), "{}", text);
            }
        }
    }
}

#[test]
fn a_credential_is_shown_nowhere() {
    let token = "dop_v1_0123456789abcdef0123456789abcdef";
    for spec in [
        format!("[zone]\ncidr = \"{token}\"\n"),
        format!("[zone]\na = {token}\n"),
        format!("[zone\n# {token}\nb = [\n"),
        format!("[cloudflare.dns_record.a]\ntype = \"{token}\"\nzone = \"${{{token}.b.c.d}}\"\n"),
        format!("[{token}]\n"),
    ] {
        let loaded = load_text(&format!("//- zones/pz.toml\n{spec}"));
        assert!(loaded.config.is_none(), "{spec}");
        let json: Vec<_> = loaded.diagnostics.iter().map(|d| d.to_json()).collect();
        let shown = print(&loaded) + &serde_json::to_string(&json).unwrap();
        assert!(!shown.contains("0123456789abcdef"), "{shown}");
        assert!(!format!("{loaded:?}").contains("0123456789abcdef"));
    }
}
