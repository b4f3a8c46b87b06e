//! Takes the names of regions, machine sizes, database sizes and MySQL versions out of DigitalOcean's
//! OpenAPI document: its list of regions, its example of the database options, and every machine size
//! that it mentions.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Writes the table into the provider.
pub(crate) fn write(specs: &Path) -> io::Result<()> {
    fs::write(table(), generate(specs)?)
}

fn table() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../providers/src/digitalocean/names/table.rs")
}

/// The text of the table.
pub(crate) fn generate(specs: &Path) -> io::Result<String> {
    let file = fs::read(specs.join("digitalocean.openapi.json"))?;
    let document: Value = serde_json::from_slice(&file)?;
    let options = &document["components"]["responses"]["options"]["content"]["application/json"]["example"]
        ["options"];
    let mysql = &options["mysql"];
    let mut regions = texts(&document["components"]["schemas"]["region_slug"]["enum"]);
    regions.extend(texts(&mysql["regions"]));
    let layouts = mysql["layouts"].as_array().into_iter().flatten();
    let databases: BTreeSet<&str> = layouts.flat_map(|l| texts(&l["sizes"])).collect();
    let mut machines = BTreeSet::new();
    mentioned(&document, &mut machines);
    let mut out = String::from(
        "//! Written by `cargo xtask digitalocean-names` from the vendor's OpenAPI document.\n",
    );
    for (name, doc, list) in [
        ("REGIONS", "Regions.", regions),
        ("MACHINES", "Sizes of machines.", machines),
        ("DATABASES", "Sizes of MySQL nodes.", databases),
        ("MYSQL", "Versions of MySQL.", texts(&mysql["versions"])),
    ] {
        if list.is_empty() {
            let message = format!("the document has nothing for {name}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let _ = write!(
            out,
            "\n/// {doc}\n#[rustfmt::skip]\npub(super) const {name}: &[&str] = &[\n"
        );
        for item in list {
            let _ = writeln!(out, "    {item:?},");
        }
        out.push_str("];\n");
    }
    Ok(out)
}

fn texts(list: &Value) -> BTreeSet<&str> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).collect()
}

fn mentioned<'a>(value: &'a Value, out: &mut BTreeSet<&'a str>) {
    match value {
        Value::String(text) if is_machine(text) => {
            out.insert(text);
        }
        Value::Array(items) => items.iter().for_each(|v| mentioned(v, out)),
        Value::Object(map) => map.values().for_each(|v| mentioned(v, out)),
        _ => {}
    }
}

/// `s-2vcpu-4gb`, `c-2`, `c-4-8GiB`, `gd-4vcpu-16gb-intel`; no size of a database.
fn is_machine(text: &str) -> bool {
    let mut parts = text.split('-');
    let (family, size) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let families = ["s", "c", "c2", "g", "gd", "m", "m3", "m6", "so", "so1_5"];
    let number = size.trim_end_matches("vcpu");
    families.contains(&family)
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
        && !text.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_what_is_generated() {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/specs");
        let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/specs");
        let Some(specs) = [specs, shared].into_iter().find(|s| s.is_dir()) else {
            let required = std::env::var_os("ZONEWRIGHT_REQUIRE_SUITES").is_some();
            assert!(!required, "no OpenAPI document beside the checkout");
            println!("skipped: no OpenAPI document beside the checkout");
            return;
        };
        let committed = fs::read_to_string(table()).unwrap();
        assert!(
            committed == generate(&specs).unwrap(),
            "the table is stale: run `cargo xtask digitalocean-names`"
        );
    }

    #[test]
    fn sizes_of_machines_are_told_from_those_of_databases() {
        for yes in ["s-2vcpu-4gb", "c-2", "c-4-8GiB", "gd-4vcpu-16gb-intel"] {
            assert!(is_machine(yes), "{yes}");
        }
        for no in ["db-s-1vcpu-1gb", "s-", "c-x", "nyc3", "m-2 is a size"] {
            assert!(!is_machine(no), "{no}");
        }
    }
}
