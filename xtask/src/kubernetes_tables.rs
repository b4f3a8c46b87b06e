//! Trims a recorded Kubernetes API server's discovery and schemas to the facts that the sandbox needs.
//!
//! A field type is written as one of: `"s"` string, `"i"` integer, `"n"` number, `"b"` boolean, `"x"` any
//! scalar, `"?"` anything, `"#Name"` a named type, `"@Name"` a named type that is atomic, `["a", T]` an
//! atomic list, `["s", T]` a set, `["m", T, {key: default}]` a list keyed by fields, `{"": T}` a map and
//! `{"@": T}` an atomic map. A named type is `{"f": {field: T}}`, with `"a": 1` when it is atomic.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// Groups whose schemas are not part of the recording.
const LEFT_OUT: [&str; 2] = ["resource.k8s.io", "flowcontrol.apiserver.k8s.io"];

/// Writes the tables into the sandbox crate.
pub(crate) fn write(specs: &Path) -> io::Result<()> {
    let dir = tables_dir();
    fs::create_dir_all(&dir)?;
    for (name, text) in generate(specs)? {
        fs::write(dir.join(name), text)?;
    }
    Ok(())
}

fn tables_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sandbox/src/kubernetes/tables")
}

/// The text of each table by file name.
pub(crate) fn generate(specs: &Path) -> io::Result<BTreeMap<&'static str, String>> {
    let discovery = read(&specs.join("kubernetes.discovery.json"))?;
    let schemas = read(&specs.join("kubernetes.schemas.json"))?;
    let Some(schemas) = schemas["components"]["schemas"].as_object() else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "no component schemas",
        ));
    };
    let trimmer = Trimmer { schemas };
    let kinds = trimmer.kinds(&discovery);
    let types = trimmer.types(&kinds);
    Ok(BTreeMap::from([
        ("kinds.json", lines_of_array(&kinds)),
        ("types.json", lines_of_object(&types)),
    ]))
}

fn read(path: &Path) -> io::Result<Value> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn lines_of_array(items: &[Value]) -> String {
    let lines: Vec<String> = items.iter().map(Value::to_string).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

fn lines_of_object(items: &Map<String, Value>) -> String {
    let mut out = String::from("{\n");
    for (i, (name, value)) in items.iter().enumerate() {
        let comma = if i + 1 < items.len() { "," } else { "" };
        let _ = writeln!(out, "{}:{value}{comma}", json!(name));
    }
    out.push_str("}\n");
    out
}

struct Trimmer<'a> {
    schemas: &'a Map<String, Value>,
}

impl Trimmer<'_> {
    fn kinds(&self, discovery: &Value) -> Vec<Value> {
        let groups = [&discovery["api"], &discovery["apis"]];
        let mut out = Vec::new();
        for group in groups.iter().flat_map(|g| array(&g["items"])) {
            let name = group["metadata"]["name"].as_str().unwrap_or_default();
            if LEFT_OUT.contains(&name) {
                continue;
            }
            for version in array(&group["versions"]) {
                for resource in array(&version["resources"]) {
                    out.push(self.kind(name, &version["version"], resource));
                }
            }
        }
        out
    }

    fn kind(&self, group: &str, version: &Value, resource: &Value) -> Value {
        let kind = &resource["responseKind"]["kind"];
        let mut out = json!({
            "group": group, "version": version, "kind": kind,
            "plural": resource["resource"], "singular": resource["singularResource"],
            "namespaced": resource["scope"] == "Namespaced", "verbs": resource["verbs"],
        });
        if !resource["shortNames"].is_null() {
            out["shortNames"] = resource["shortNames"].clone();
        }
        let subresources: Map<String, Value> = array(&resource["subresources"])
            .map(|s| {
                (
                    text(&s["subresource"]),
                    json!([s["responseKind"], s["verbs"]]),
                )
            })
            .collect();
        if !subresources.is_empty() {
            out["subresources"] = Value::Object(subresources);
        }
        let gvk = json!({"group": group, "kind": kind, "version": version});
        let found = self.schemas.iter().find(|(_, schema)| {
            array(&schema["x-kubernetes-group-version-kind"]).any(|known| *known == gvk)
        });
        if let Some((name, _)) = found {
            out["type"] = json!(short(name));
        }
        out
    }

    /// Every named type that the kinds reach.
    fn types(&self, kinds: &[Value]) -> Map<String, Value> {
        let by_short: BTreeMap<String, &Value> = self
            .schemas
            .iter()
            .map(|(name, schema)| (short(name), schema))
            .collect();
        let mut todo: BTreeSet<String> = kinds
            .iter()
            .filter_map(|k| k["type"].as_str().map(str::to_owned))
            .collect();
        todo.insert(short("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"));
        let mut out = Map::new();
        while let Some(name) = todo.pop_first() {
            let Some(schema) = by_short.get(&name) else {
                continue;
            };
            let mut fields = Map::new();
            for (field, of) in schema["properties"].as_object().into_iter().flatten() {
                let of = self.field_type(of);
                references(&of, &mut |r| {
                    if !out.contains_key(r) && r != name {
                        todo.insert(r.to_owned());
                    }
                });
                fields.insert(field.clone(), of);
            }
            let mut named = json!({"f": fields});
            if schema["x-kubernetes-map-type"] == "atomic" {
                named["a"] = json!(1);
            }
            out.insert(name, named);
        }
        out
    }

    fn field_type(&self, schema: &Value) -> Value {
        let atomic = schema["x-kubernetes-map-type"] == "atomic";
        let reference = schema["$ref"]
            .as_str()
            .or_else(|| schema["allOf"][0]["$ref"].as_str());
        if let Some(path) = reference {
            let name = path.rsplit('/').next().unwrap_or_default();
            let Some(target) = self.schemas.get(name) else {
                return json!("?");
            };
            if target["properties"].is_object() {
                return json!(format!("{}{}", if atomic { '@' } else { '#' }, short(name)));
            }
            return self.field_type(target);
        }
        match schema["type"].as_str() {
            Some("string") => json!("s"),
            Some("integer") => json!("i"),
            Some("number") => json!("n"),
            Some("boolean") => json!("b"),
            Some("array") => self.list_type(schema),
            Some("object") if schema["additionalProperties"].is_object() => {
                let of = self.field_type(&schema["additionalProperties"]);
                if atomic {
                    json!({"@": of})
                } else {
                    json!({"": of})
                }
            }
            None if schema["oneOf"].is_array() => json!("x"),
            _ => json!("?"),
        }
    }

    fn list_type(&self, schema: &Value) -> Value {
        let of = self.field_type(&schema["items"]);
        match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => json!(["s", of]),
            Some("map") => {
                let keys: Map<String, Value> = array(&schema["x-kubernetes-list-map-keys"])
                    .map(|key| (text(key), self.default_of(&schema["items"], &text(key))))
                    .collect();
                json!(["m", of, keys])
            }
            _ => json!(["a", of]),
        }
    }

    fn default_of(&self, item: &Value, key: &str) -> Value {
        let path = item["allOf"][0]["$ref"].as_str().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        self.schemas
            .get(name)
            .map_or(Value::Null, |s| s["properties"][key]["default"].clone())
    }
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn short(name: &str) -> String {
    let prefixes = [
        "io.k8s.api.",
        "io.k8s.apimachinery.pkg.apis.",
        "io.k8s.apiextensions-apiserver.pkg.apis.",
        "io.k8s.kube-aggregator.pkg.apis.",
    ];
    prefixes
        .iter()
        .find_map(|p| name.strip_prefix(p))
        .unwrap_or(name)
        .to_owned()
}

fn references(of: &Value, found: &mut impl FnMut(&str)) {
    match of {
        Value::String(s) => {
            if let Some(name) = s.strip_prefix(['#', '@']) {
                found(name);
            }
        }
        Value::Array(parts) => parts.iter().take(2).for_each(|p| references(p, found)),
        Value::Object(map) => map.values().for_each(|p| references(p, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_tables_are_what_the_recording_gives() {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/specs");
        let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/specs");
        let Some(specs) = [specs, shared].into_iter().find(|s| s.is_dir()) else {
            let required = std::env::var_os("ZONEWRIGHT_REQUIRE_SUITES").is_some();
            assert!(!required, "no recorded API server beside the checkout");
            println!("skipped: no recorded API server beside the checkout");
            return;
        };
        for (name, text) in generate(&specs).unwrap() {
            let committed = fs::read_to_string(tables_dir().join(name)).unwrap();
            assert!(
                committed == text,
                "{name} is stale: run `cargo xtask kubernetes-tables`"
            );
        }
    }
}
