//! `GET` and `LIST`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::kinds::{Kind, key};
use super::request::{Answer, Call, Ctx, Place, Reply};
use super::scale::scale_of;
use super::selector::{Fields, Labels};
use super::write::lookup;

/// One object, its scale, or its metadata.
pub(crate) fn get(call: &Call, ctx: &Ctx<'_, '_>, place: &Place) -> Result<Reply, Failure> {
    let name = place.name.as_deref().unwrap_or_default();
    let live = lookup(ctx, place).ok_or_else(|| Failure::not_found(&place.kind, name))?;
    let answer = match place.subresource.as_deref() {
        Some("scale") => scale_of(place, &live),
        _ if call.wants_partial() => partial(&live),
        _ => live,
    };
    Ok(Answer::Json(200, answer).into())
}

/// The metadata of an object as an object of its own.
pub(crate) fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
           "metadata": object["metadata"]})
}

/// The filters of a LIST or WATCH.
pub(crate) struct Filter {
    labels: Labels,
    pub(crate) fields: Fields,
}

impl Filter {
    pub(crate) fn of(call: &Call) -> Result<Filter, Failure> {
        Ok(Filter {
            labels: Labels::parse(call.param("labelSelector").unwrap_or_default())?,
            fields: Fields::parse(call.param("fieldSelector").unwrap_or_default())?,
        })
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.labels.matches(object) && self.fields.matches(object)
    }
}

/// The start of the keys in `namespace`; all keys without one.
pub(crate) fn prefix(namespace: Option<&str>) -> String {
    namespace.map(|n| format!("{n}/")).unwrap_or_default()
}

/// A collection, a page at a time when `limit` is given.
pub(crate) fn list(call: &Call, ctx: &Ctx<'_, '_>, place: &Place) -> Result<Reply, Failure> {
    let filter = Filter::of(call)?;
    let limit: usize = match call.param("limit") {
        Some(text) => text
            .parse()
            .map_err(|_| Failure::bad_request("limit: not a number"))?,
        None => 0,
    };
    let (after, revision) = match call.param("continue") {
        Some(token) => continue_from(token)?,
        None => (String::new(), ctx.tables().revision()),
    };
    let prefix = prefix(place.namespace.as_deref());
    let mut page = Page::new(&place.kind, call.wants_partial());
    let mut next = None;
    let mut last = String::new();
    let pinned = filter.fields.name().zip(place.namespace.as_deref());
    let pinned = pinned.map(|(name, namespace)| key(Some(namespace), name));
    let rows = ctx
        .tables()
        .range(&place.table, pinned.as_deref().unwrap_or(&prefix), &after);
    for (key, object) in rows.filter(|(_, o)| filter.matches(o)) {
        if limit > 0 && page.count == limit {
            next = Some(URL_SAFE_NO_PAD.encode(json!({"v": revision, "k": last}).to_string()));
            break;
        }
        page.push(object);
        last.clone_from(key);
    }
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if let Some(token) = next {
        metadata["continue"] = json!(token);
    }
    Ok(Answer::Bytes(200, "application/json", page.finish(&metadata)).into())
}

fn continue_from(token: &str) -> Result<(String, u64), Failure> {
    let parsed = URL_SAFE_NO_PAD.decode(token).ok();
    let parsed: Option<Value> = parsed.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let parsed = parsed.ok_or_else(|| Failure::bad_request("continue key is not valid"))?;
    let after = parsed["k"].as_str().unwrap_or_default().to_owned();
    Ok((after, parsed["v"].as_u64().unwrap_or(0)))
}

/// A list that is written as it grows: the objects are not copied.
struct Page {
    text: Vec<u8>,
    count: usize,
    kind: String,
    api_version: String,
    /// Items of built-in lists do not repeat their kind.
    bare: bool,
    partial: bool,
    item_version: String,
}

impl Page {
    fn new(kind: &Kind, partial: bool) -> Page {
        let (list, api_version) = if partial {
            (
                "PartialObjectMetadataList".to_owned(),
                "meta.k8s.io/v1".to_owned(),
            )
        } else {
            (kind.list_kind.clone(), kind.api_version())
        };
        Page {
            text: b"{\"items\":[".to_vec(),
            count: 0,
            kind: list,
            api_version,
            bare: !kind.is_custom() && !partial,
            partial,
            item_version: kind.api_version(),
        }
    }

    fn push(&mut self, object: &Value) {
        if self.count > 0 {
            self.text.push(b',');
        }
        self.count += 1;
        if self.partial {
            self.text
                .extend_from_slice(partial(object).to_string().as_bytes());
            return;
        }
        self.text.push(b'{');
        let mut first = true;
        let version = Value::String(self.item_version.clone());
        for (name, value) in object.as_object().into_iter().flat_map(Map::iter) {
            if self.bare && (name == "kind" || name == "apiVersion") {
                continue;
            }
            if !first {
                self.text.push(b',');
            }
            first = false;
            let value = if name == "apiVersion" {
                &version
            } else {
                value
            };
            self.write(&Value::String(name.clone()));
            self.text.push(b':');
            self.write(value);
        }
        self.text.push(b'}');
    }

    fn write(&mut self, value: &Value) {
        serde_json::to_writer(&mut self.text, value)
            .expect("invariant: a vector takes every write");
    }

    fn finish(mut self, metadata: &Value) -> Vec<u8> {
        let rest = json!({"kind": self.kind, "apiVersion": self.api_version, "metadata": metadata});
        let rest = rest.to_string();
        self.text.extend_from_slice(b"],");
        self.text
            .extend_from_slice(rest.trim_start_matches('{').as_bytes());
        self.text
    }
}
