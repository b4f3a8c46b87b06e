//! Lists in pages. The links name the vendor's public host, as the real ones do: a client that
//! follows them instead of counting leaves the sandbox.

use serde_json::{Map, Value, json};

use crate::call::Call;
use crate::reply;

use super::Answer;

const HOST: &str = "https://api.digitalocean.com/v2";

/// One page of a list under the name `root`.
pub(super) fn list(call: &Call, root: &str, items: Vec<Value>) -> Answer {
    let total = items.len();
    let size = call.number("per_page", 20).clamp(1, 200);
    let page = call.number("page", 1).max(1);
    let last = total.div_ceil(size).max(1);
    let skip = (page - 1).saturating_mul(size);
    let items: Vec<Value> = items.into_iter().skip(skip).take(size).collect();
    let mut links = Map::new();
    if last > 1 {
        let link = |n: usize| {
            let path = call.segments.join("/");
            json!(format!("{HOST}/{path}?page={n}&per_page={size}"))
        };
        let mut pages = Map::new();
        if page > 1 {
            pages.insert("first".into(), link(1));
            pages.insert("prev".into(), link(page - 1));
        }
        if page < last {
            pages.insert("next".into(), link(page + 1));
            pages.insert("last".into(), link(last));
        }
        links.insert("pages".into(), Value::Object(pages));
    }
    Ok(reply::json(
        200,
        &json!({root: items, "links": links, "meta": {"total": total}}),
    ))
}
