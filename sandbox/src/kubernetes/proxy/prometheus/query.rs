//! Instant queries: `up`, with matchers, compared with a number, counted or summed. Other expressions
//! are refused in words, so that nobody takes silence for a result.

use serde_json::{Map, Value, json};

use super::super::super::request::{Ctx, Reply, decode};
use super::super::{Visit, json as json_reply};

pub(super) fn answer(visit: &Visit<'_>, ctx: &Ctx<'_, '_>, targets: &[Value]) -> Reply {
    let body = String::from_utf8_lossy(&visit.call.body);
    let form = body.split('&').filter_map(|pair| pair.split_once('='));
    let posted = form.filter(|(name, _)| *name == "query");
    let posted = posted.map(|(_, value)| decode(value, true)).next();
    let asked = visit.call.param("query").map(str::to_owned).or(posted);
    let at = ctx.world.now_ms();
    let Some(asked) = asked else {
        return failure(
            400,
            "bad_data",
            "invalid parameter \"query\": unknown position: parse error: no expression found in input",
        );
    };
    match evaluate(&asked, targets, at) {
        Some(result) => json_reply(
            200,
            &json!({"status": "success", "data": {"resultType": "vector", "result": result}}),
        ),
        None => {
            let text = format!(
                "the sandbox's Prometheus evaluates `up`, with matchers and a comparison, and \
                 count() or sum() of it; not {asked:?}"
            );
            failure(422, "execution", &text)
        }
    }
}

fn failure(code: u16, kind: &str, text: &str) -> Reply {
    json_reply(
        code,
        &json!({"status": "error", "errorType": kind, "error": text}),
    )
}

fn evaluate(text: &str, targets: &[Value], at: u64) -> Option<Value> {
    let text = text.trim();
    for (function, sums) in [("count", false), ("sum", true)] {
        let Some(inner) = text.strip_prefix(function) else {
            continue;
        };
        let inner = inner.trim().strip_prefix('(')?.strip_suffix(')')?;
        let samples = select(inner, targets)?;
        if samples.is_empty() {
            return Some(json!([]));
        }
        let value = match sums {
            true => samples.iter().filter(|(_, up)| *up).count(),
            false => samples.len(),
        };
        return Some(json!([sample(&json!({}), value, at)]));
    }
    let samples = select(text, targets)?;
    let shown = samples.into_iter().map(|(labels, up)| {
        let mut labels = labels.clone();
        labels["__name__"] = json!("up");
        sample(&labels, usize::from(up), at)
    });
    Some(shown.collect())
}

fn sample(labels: &Value, value: usize, at: u64) -> Value {
    // Whole seconds and milliseconds, as the real one writes them.
    let time = Value::from(serde_json::Number::from_f64(at as f64 / 1000.0));
    json!({"metric": labels, "value": [time, value.to_string()]})
}

/// The samples of `up{…} == n`. A target that was never scraped has no sample.
fn select<'t>(text: &str, targets: &'t [Value]) -> Option<Vec<(&'t Value, bool)>> {
    let text = text.trim();
    let (selector, wanted) = match text.rsplit_once("==").filter(|(_, n)| !n.contains('}')) {
        Some((selector, number)) => (selector, Some(number.trim().parse::<u8>().ok()?)),
        None => (text, None),
    };
    let matchers = selector.trim().strip_prefix("up")?.trim();
    let matchers = match matchers {
        "" => Map::new(),
        braced => pairs(braced.strip_prefix('{')?.strip_suffix('}')?)?,
    };
    let found = targets.iter().filter(|t| t["health"] != "unknown");
    let found = found.map(|t| (&t["labels"], t["health"] == "up"));
    let found = found.filter(|(labels, up)| {
        wanted.is_none_or(|n| n == u8::from(*up))
            && matchers.iter().all(|(k, v)| labels.get(k) == Some(v))
    });
    Some(found.collect())
}

/// `name="value", …`.
fn pairs(text: &str) -> Option<Map<String, Value>> {
    let pairs = text.split(',').map(str::trim).filter(|p| !p.is_empty());
    let pairs = pairs.map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
        Some((name.trim().to_owned(), json!(value)))
    });
    pairs.collect()
}
