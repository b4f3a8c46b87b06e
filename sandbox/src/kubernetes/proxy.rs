//! The service proxy: `services/[scheme:]name[:port]/proxy/path`, answered by what runs behind the Service.
//!
//! Whether somebody is there is decided as the real API server decides it, from the Endpoints. What the
//! pods then say is scripted: Prometheus and WordPress are known, every other program says `ok`.

mod prometheus;
mod wordpress;

use http::Method;
use serde_json::Value;

use super::failure::Failure;
use super::kinds::{key, table};
use super::request::{Answer, Call, Ctx, Place, Reply};

/// A request that has arrived at a pod.
struct Visit<'a> {
    call: &'a Call,
    /// The path that the program sees, from its slash on.
    path: String,
    /// The ready pods behind the Service.
    pods: Vec<Value>,
    namespace: String,
}

/// Answers for the pods of a Service, or says that there are none. `rest` is the path after `proxy`.
pub(crate) fn service(
    call: &Call,
    ctx: &Ctx<'_, '_>,
    place: &Place,
    rest: &[&str],
) -> Result<Reply, Failure> {
    let text = place.name.as_deref().unwrap_or_default();
    let (name, port) = name_and_port(text)
        .ok_or_else(|| Failure::bad_request(format!("invalid service request {text:?}")))?;
    let at = key(place.namespace.as_deref(), name);
    let service = ctx.tables().get(&place.table, &at);
    let service = service.ok_or_else(|| Failure::not_found(&place.kind, name))?;
    let port = port_name(service, name, port)?;
    let endpoints = ctx.tables().get(&table(ctx.cluster, "", "endpoints"), &at);
    let subsets = endpoints.and_then(|e| e["subsets"].as_array());
    let subsets = subsets.filter(|s| !s.is_empty()).ok_or_else(|| {
        Failure::unavailable(&format!("no endpoints available for service {name:?}"))
    })?;
    let addresses = subsets
        .iter()
        .filter(|s| has_port(s, &port))
        .find_map(|s| s["addresses"].as_array().filter(|a| !a.is_empty()));
    let addresses = addresses.ok_or_else(|| {
        Failure::unavailable(&format!("no endpoints available for service {text:?}"))
    })?;
    let pods = table(ctx.cluster, "", "pods");
    let pods = addresses.iter().filter_map(|address| {
        let pod = address["targetRef"]["name"].as_str()?;
        ctx.tables()
            .get(&pods, &key(place.namespace.as_deref(), pod))
    });
    let visit = Visit {
        call,
        path: format!("/{}", rest.join("/")),
        pods: pods.cloned().collect(),
        namespace: place.namespace.clone().unwrap_or_default(),
    };
    Ok(visit.answer(ctx))
}

/// `name`, `name:port`, `scheme:name` with an empty or a given port.
fn name_and_port(text: &str) -> Option<(&str, &str)> {
    match text.split(':').collect::<Vec<_>>().as_slice() {
        [name] => Some((name, "")),
        [name, port] => Some((name, port)),
        ["http" | "https", name, port] => Some((name, port)),
        _ => None,
    }
}

/// The name of the port that is meant; the empty name for an unnamed one.
fn port_name(service: &Value, name: &str, asked: &str) -> Result<String, Failure> {
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let named = |p: &Value| p["name"].as_str().unwrap_or_default().to_owned();
    let Ok(number) = asked.parse::<u64>() else {
        let only: Vec<&Value> = ports.collect();
        return Ok(match (asked, only.as_slice()) {
            ("", [one]) => named(one),
            _ => asked.to_owned(),
        });
    };
    let mut ports = ports.filter(|p| p["port"] == number);
    ports.next().map(named).ok_or_else(|| {
        Failure::unavailable(&format!(
            "no service port {number} found for service {name:?}"
        ))
    })
}

fn has_port(subset: &Value, name: &str) -> bool {
    let mut ports = subset["ports"].as_array().into_iter().flatten();
    ports.any(|p| p["name"].as_str().unwrap_or_default() == name)
}

impl Visit<'_> {
    fn answer(&self, ctx: &Ctx<'_, '_>) -> Reply {
        if self.runs("wordpress") {
            return wordpress::answer(self, ctx);
        }
        match self.pods.iter().find(|p| is_prometheus(p)) {
            Some(pod) => prometheus::answer(self, ctx, pod),
            None => text(200, "ok\n"),
        }
    }

    /// Whether a container's image is this program, whatever its registry and tag.
    fn runs(&self, program: &str) -> bool {
        let images = self.pods.iter().flat_map(|p| {
            let containers = p["spec"]["containers"].as_array();
            containers.into_iter().flatten().map(|c| &c["image"])
        });
        images.filter_map(Value::as_str).any(|image| {
            let last = image.rsplit('/').next().unwrap_or(image);
            last.split([':', '@']).next() == Some(program)
        })
    }

    fn is_read(&self) -> bool {
        [Method::GET, Method::HEAD].contains(&self.call.method)
    }
}

fn is_prometheus(pod: &Value) -> bool {
    let labels = &pod["metadata"]["labels"];
    labels["app.kubernetes.io/name"] == "prometheus"
        && labels["operator.prometheus.io/name"].is_string()
}

fn text(code: u16, text: &str) -> Reply {
    Answer::Bytes(
        code,
        "text/plain; charset=utf-8",
        text.to_owned().into_bytes(),
    )
    .into()
}

fn json(code: u16, value: &Value) -> Reply {
    Answer::Bytes(code, "application/json", value.to_string().into_bytes()).into()
}
