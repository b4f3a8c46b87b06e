//! Which images objects name, and how firmly.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value as Json;

/// How firmly a reference names an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pin {
    /// Whatever is newest: no tag, or `latest`.
    Floating,
    /// A tag, which its owner can move.
    Tag,
    /// A digest: the same bytes for ever.
    Digest,
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pin::Floating => "floating",
            Pin::Tag => "tag",
            Pin::Digest => "digest",
        })
    }
}

/// How firmly a reference names its image.
pub fn pin(image: &str) -> Pin {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    if digest.is_some_and(|d| d.starts_with("sha256:") && d.len() == 71) {
        return Pin::Digest;
    }
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.split_once(':') {
        Some((_, tag)) if !tag.is_empty() && tag != "latest" => Pin::Tag,
        _ => Pin::Floating,
    }
}

/// The images that an object names and where it does: fields called `image`, and arguments whose value is
/// one. A field that holds no text, as in the schema of a definition, is none.
pub fn images(object: &Json) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    if object["kind"] != "CustomResourceDefinition" {
        walk(object, String::new(), &mut out);
    }
    out
}

fn walk(json: &Json, path: String, out: &mut BTreeMap<String, String>) {
    match json {
        Json::Object(map) => {
            for (key, value) in map {
                let below = match path.is_empty() {
                    true => key.clone(),
                    false => format!("{path}.{key}"),
                };
                match value.as_str() {
                    Some(text) if key == "image" && !text.is_empty() => {
                        out.insert(below, text.to_owned());
                    }
                    _ => walk(value, below, out),
                }
            }
        }
        Json::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                let below = format!("{path}[{i}]");
                match item.as_str().and_then(argument) {
                    Some(image) => {
                        out.insert(below, image.to_owned());
                    }
                    None => walk(item, below, out),
                }
            }
        }
        _ => {}
    }
}

/// `--prometheus-config-reloader=quay.io/x/y:v1`: operators are told images in their arguments.
fn argument(text: &str) -> Option<&str> {
    let (flag, value) = text.split_once('=')?;
    let (host, rest) = value.split_once('/')?;
    let tag = rest.rsplit('/').next()?.split_once(':')?.1;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let is_image = flag.starts_with("--")
        && host.contains('.')
        && !host.contains(':')
        && !tag.is_empty()
        && value.chars().all(plain);
    is_image.then_some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_as_firm_as_they_are() {
        for (image, expected) in [
            ("nginx", Pin::Floating),
            ("nginx:latest", Pin::Floating),
            ("registry:5000/nginx", Pin::Floating),
            ("registry:5000/nginx:1.29", Pin::Tag),
            ("nginx@sha256:short", Pin::Floating),
        ] {
            assert_eq!(pin(image), expected, "{image}");
        }
        let digest = format!("ghcr.io/a/b:latest@sha256:{}", "0".repeat(64));
        assert_eq!(pin(&digest), Pin::Digest);
    }

    #[test]
    fn images_are_found_where_programs_look_for_them() {
        let object = json!({
            "kind": "Deployment",
            "spec": { "template": { "spec": {
                "initContainers": [{ "image": "a:1" }],
                "containers": [{ "image": "b", "args": [
                    "--reloader=quay.io/p/c:v1", "--url=http://x.y/z:8", "--dir=/a.b/c", "a=b"
                ] }],
            } } },
        });
        let found = images(&object);
        let names: Vec<&str> = found.values().map(String::as_str).collect();
        assert_eq!(names, ["quay.io/p/c:v1", "b", "a:1"]);
        let place = "spec.template.spec.containers[0].args[0]";
        assert_eq!(found[place], "quay.io/p/c:v1");
        assert!(images(&json!({ "kind": "CustomResourceDefinition", "image": "x" })).is_empty());
    }
}
