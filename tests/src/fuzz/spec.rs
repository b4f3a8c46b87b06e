//! Specs, their layout, and the texts that name things.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use zonewright_engine::address::{Address, AttrPath, InstanceId, Kind, RefText, ZoneName};
use zonewright_engine::expr::Reference;
use zonewright_engine::schema::Registry;
use zonewright_zones::{MemoryFiles, VendoredCharts, fmt, load};

use super::reply::providers;

static REGISTRY: LazyLock<Registry> =
    LazyLock::new(|| Registry::new(providers(b"").iter().map(|p| p.schema())));

const ROOT: &[u8] = b"[project]\nname = \"f\"\nenv = \"t\"\nzones = [\"pz\"]\nactive = \"pz\"\n\
    [secret]\ntoken = { env = \"T\" }\n[providers.digitalocean]\ntoken = \"${secret.token}\"\n\
    [providers.cloudflare]\ntoken = \"${secret.token}\"\n";

/// A zone file of any bytes gives a configuration or mistakes, whose places are in the file; the same ones
/// each time.
///
/// # Panics
/// It does not hold.
pub fn spec(bytes: &[u8]) {
    let files = BTreeMap::from([
        ("zonewright.toml".to_owned(), ROOT.to_vec()),
        ("zones/pz.toml".to_owned(), bytes.to_vec()),
        ("app.yaml".to_owned(), bytes.to_vec()),
    ]);
    let files = MemoryFiles(files);
    let loaded = load(&files, &VendoredCharts(&files), &REGISTRY);
    for diagnostic in &loaded.diagnostics {
        for label in &diagnostic.labels {
            let range = label.range();
            let len = match label.file() {
                "zonewright.toml" => ROOT.len(),
                _ => bytes.len(),
            };
            assert!(
                range.start <= range.end && range.end <= len,
                "{diagnostic:?}"
            );
        }
        let told = serde_json::to_string(&diagnostic.to_json());
        assert!(told.is_ok(), "{diagnostic:?}");
        zonewright::report::graphical(diagnostic, false, None);
    }
    assert!(
        loaded.config.is_some() || !loaded.diagnostics.is_empty(),
        "no word of why"
    );
    let again = load(&files, &VendoredCharts(&files), &REGISTRY);
    assert_eq!(again.config, loaded.config);
}

/// Laying out twice is laying out once, and changes nothing that is said.
///
/// # Panics
/// It does not hold.
pub fn layout(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(once) = fmt(text) else {
        return;
    };
    let twice = fmt(&once).map_err(|e| e.message.clone());
    assert_eq!(twice.as_deref(), Ok(&*once));
    let text = text
        .strip_prefix('\u{feff}')
        .unwrap_or(text)
        .replace("\r\n", "\n");
    let value = |text: &str| text.parse::<toml::Table>();
    if let (Ok(before), Ok(after)) = (value(&text), value(&once)) {
        assert_eq!(format!("{before:?}"), format!("{after:?}"));
    }
}

/// What is read is printed as it was read.
///
/// # Panics
/// It does not hold.
pub fn reference(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    macro_rules! printed {
        ($($what:ty),+) => {$(
            if let Ok(read) = text.parse::<$what>() {
                let again = read.to_string().parse::<$what>();
                assert_eq!(again.as_ref(), Ok(&read), "{text:?}");
                assert_eq!(again.map(|a| a.to_string()), Ok(read.to_string()));
            }
        )+};
    }
    printed!(Address, AttrPath, InstanceId, Kind, ZoneName, Reference);
    let _ = RefText::parse(text);
}
