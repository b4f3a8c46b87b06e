//! Test checks: a kind's struct against its schema, and request bodies against the vendor's own
//! description of its API.

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json, json};
use zonewright_engine::schema::{Attr, KindSchema, Type};

use crate::script::Script;

fn sample(ty: &Type) -> Json {
    match ty {
        Type::Bool => json!(true),
        Type::Int => json!(1),
        Type::Within(ranges) => json!(ranges[0].0),
        Type::String | Type::Duration | Type::Any => json!("x"),
        Type::OneOf(all) => json!(all[0]),
        Type::Cidr => json!("10.0.0.0/16"),
        Type::List(item) => json!([sample(item)]),
        Type::Map(item) => json!({ "k": sample(item) }),
        Type::Object(attrs) => table(attrs),
    }
}

fn table(attrs: &[Attr]) -> Json {
    let entries = attrs.iter().map(|a| (a.name.to_owned(), sample(&a.ty)));
    Json::Object(entries.collect::<Map<_, _>>())
}

/// The struct takes all that the schema allows, keeps it, and misses what the schema requires.
pub(crate) fn fits<T: Serialize + DeserializeOwned>(schema: &KindSchema) {
    let full = table(&schema.attrs);
    let read: T = serde_json::from_value(full.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), full, "{}", schema.kind);
    for attr in &schema.attrs {
        let mut less = full.clone();
        less.as_object_mut().unwrap().remove(attr.name);
        let read = serde_json::from_value::<T>(less);
        assert_eq!(
            read.is_err(),
            attr.required,
            "{} {}",
            schema.kind,
            attr.name
        );
        assert!(attr.doc.ends_with('.'), "{} {}", schema.kind, attr.name);
    }
    let clash = schema
        .outputs
        .iter()
        .find(|o| schema.attr(o.name).is_some());
    assert!(clash.is_none(), "{} {clash:?}", schema.kind);
}

/// The vendor's OpenAPI document, where there is a copy of it.
fn document(name: &str) -> Option<Json> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/specs");
    let dir = std::env::var_os("ZONEWRIGHT_SPECS").map_or_else(beside, PathBuf::from);
    let path = dir.join(format!("{name}.openapi.json"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        let required = std::env::var_os("ZONEWRIGHT_REQUIRE_SUITES").is_some();
        assert!(!required, "no {}; set ZONEWRIGHT_SPECS", path.display());
        println!("skipped: no {}; set ZONEWRIGHT_SPECS", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

fn follow<'a>(document: &'a Json, node: &'a Json) -> &'a Json {
    match node["$ref"].as_str() {
        Some(link) => follow(document, document.pointer(&link[1..]).unwrap()),
        None => node,
    }
}

fn same_path(template: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let (t, p): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    t.len() == p.len() && t.iter().zip(&p).all(|(t, p)| t.starts_with('{') || t == p)
}

/// Every body that was sent is one that the vendor describes. Gives the complaints.
pub(crate) fn complaints(script: &Script, name: &str) -> Vec<String> {
    let Some(document) = document(name) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (method, path, body) in script.bodies() {
        let method = method.to_lowercase();
        let paths = document["paths"].as_object().unwrap();
        // A literal path goes before one with parameters.
        let mut fitting: Vec<_> = paths.iter().filter(|(t, _)| same_path(t, &path)).collect();
        fitting.sort_by_key(|(t, _)| t.matches('{').count());
        let Some((_, operations)) = fitting.first() else {
            all.push(format!("{method} {path}: no such path"));
            continue;
        };
        let request = follow(&document, &operations[&method]["requestBody"]);
        let mut schema = request["content"]["application/json"]["schema"].clone();
        if schema.is_null() {
            continue;
        }
        schema["components"] = document["components"].clone();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        for error in validator.iter_errors(&body) {
            all.push(format!(
                "{method} {path}: {error} at {}",
                error.instance_path()
            ));
        }
    }
    all
}
