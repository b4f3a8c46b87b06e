//! Prometheus behind its Service: health, targets, and queries about `up`.
//!
//! Targets follow from the ServiceMonitors that the Prometheus object selects, the Services that these
//! select, and their endpoints, as the operator and the service discovery derive them. A target is up
//! when its pod is ready and nobody has taken it down by the annotation [`SCRAPE`].

mod query;

use serde_json::{Value, json};

use super::super::kinds::{key, table};
use super::super::request::{Ctx, Reply};
use super::super::selector::matches_label_selector;
use super::{Visit, json as json_reply, text};

/// On a ServiceMonitor, Service or pod: `down` makes its targets fail, `unknown` leaves them unscraped.
const SCRAPE: &str = "sandbox.zonewright.dev/scrape";

pub(super) fn answer(visit: &Visit<'_>, ctx: &Ctx<'_, '_>, pod: &Value) -> Reply {
    match visit.path.as_str() {
        "/-/healthy" => text(200, "Prometheus Server is Healthy.\n"),
        "/-/ready" => text(200, "Prometheus Server is Ready.\n"),
        "/api/v1/targets" if visit.is_read() => {
            let (state, pool) = (visit.call.param("state"), visit.call.param("scrapePool"));
            let mut active = targets(ctx, &visit.namespace, pod);
            active.retain(|t| pool.is_none_or(|p| t["scrapePool"] == p));
            let active = match state {
                Some("dropped") => Vec::new(),
                _ => active,
            };
            success(&json!({"activeTargets": active, "droppedTargets": [],
                            "droppedTargetCounts": {}}))
        }
        "/api/v1/query" => query::answer(visit, ctx, &targets(ctx, &visit.namespace, pod)),
        "/api/v1/status/buildinfo" => success(&json!({"version": "3.14.0", "revision": "sandbox",
            "branch": "HEAD", "buildUser": "", "buildDate": "", "goVersion": ""})),
        _ => text(404, "404 page not found\n"),
    }
}

fn success(data: &Value) -> Reply {
    json_reply(200, &json!({"status": "success", "data": data}))
}

/// The targets of the Prometheus object that made `pod`, in the order of their pools.
fn targets(ctx: &Ctx<'_, '_>, namespace: &str, pod: &Value) -> Vec<Value> {
    let name = pod["metadata"]["labels"]["operator.prometheus.io/name"].as_str();
    let own = table(ctx.cluster, "monitoring.coreos.com", "prometheuses");
    let at = key(Some(namespace), name.unwrap_or_default());
    let Some(prometheus) = ctx.tables().get(&own, &at) else {
        return Vec::new();
    };
    let selector = &prometheus["spec"]["serviceMonitorSelector"];
    // The operator selects nothing without a selector; an empty one selects everything.
    if !selector.is_object() {
        return Vec::new();
    }
    let interval = prometheus["spec"]["scrapeInterval"]
        .as_str()
        .unwrap_or("30s");
    let monitors = table(ctx.cluster, "monitoring.coreos.com", "servicemonitors");
    ctx.tables()
        .list(&monitors)
        .filter(|(_, m)| matches_label_selector(selector, &m["metadata"]["labels"]))
        .filter(|(_, m)| sees_namespace(ctx, prometheus, &m["metadata"]["namespace"]))
        .flat_map(|(_, m)| of_monitor(ctx, m, interval))
        .collect()
}

/// Whether a Prometheus looks for monitors in a namespace.
fn sees_namespace(ctx: &Ctx<'_, '_>, prometheus: &Value, namespace: &Value) -> bool {
    let selector = &prometheus["spec"]["serviceMonitorNamespaceSelector"];
    if !selector.is_object() {
        return prometheus["metadata"]["namespace"] == *namespace;
    }
    let namespaces = table(ctx.cluster, "", "namespaces");
    let at = key(None, namespace.as_str().unwrap_or_default());
    let found = ctx.tables().get(&namespaces, &at);
    found.is_some_and(|n| matches_label_selector(selector, &n["metadata"]["labels"]))
}

fn of_monitor(ctx: &Ctx<'_, '_>, monitor: &Value, interval: &str) -> Vec<Value> {
    let services = table(ctx.cluster, "", "services");
    let selector = &monitor["spec"]["selector"];
    let wanted: Vec<&Value> = ctx
        .tables()
        .list(&services)
        .map(|(_, s)| s)
        .filter(|s| in_namespace(monitor, &s["metadata"]["namespace"]))
        .filter(|s| matches_label_selector(selector, &s["metadata"]["labels"]))
        .collect();
    let endpoints = monitor["spec"]["endpoints"]
        .as_array()
        .into_iter()
        .flatten();
    let mut out = Vec::new();
    for (index, endpoint) in endpoints.enumerate() {
        for service in &wanted {
            let scrape = Scrape {
                monitor,
                endpoint,
                index,
                service,
                interval,
            };
            out.extend(scrape.targets(ctx));
        }
    }
    out
}

fn in_namespace(monitor: &Value, namespace: &Value) -> bool {
    let selector = &monitor["spec"]["namespaceSelector"];
    let names = selector["matchNames"].as_array();
    selector["any"] == true
        || match names {
            Some(names) => names.contains(namespace),
            None => monitor["metadata"]["namespace"] == *namespace,
        }
}

/// One endpoint of a monitor on one Service.
struct Scrape<'a> {
    monitor: &'a Value,
    endpoint: &'a Value,
    index: usize,
    service: &'a Value,
    interval: &'a str,
}

impl Scrape<'_> {
    fn targets(&self, ctx: &Ctx<'_, '_>) -> Vec<Value> {
        let metadata = &self.service["metadata"];
        let at = key(
            metadata["namespace"].as_str(),
            metadata["name"].as_str().unwrap_or_default(),
        );
        let endpoints = ctx.tables().get(&table(ctx.cluster, "", "endpoints"), &at);
        let subsets = endpoints.and_then(|e| e["subsets"].as_array());
        let mut out = Vec::new();
        for subset in subsets.into_iter().flatten() {
            let Some(port) = self.port(subset) else {
                continue;
            };
            for (field, ready) in [("addresses", true), ("notReadyAddresses", false)] {
                let addresses = subset[field].as_array().into_iter().flatten();
                out.extend(addresses.map(|a| self.target(ctx, a, &port, ready)));
            }
        }
        out
    }

    /// The port of a subset that the endpoint names, by name or by number.
    fn port(&self, subset: &Value) -> Option<Value> {
        let mut ports = subset["ports"].as_array().into_iter().flatten();
        let found = ports.find(|p| match &self.endpoint["targetPort"] {
            Value::Number(number) => p["port"].as_u64() == number.as_u64(),
            Value::String(name) => p["name"] == name.as_str(),
            _ => p["name"] == self.endpoint["port"],
        });
        found.cloned()
    }

    fn target(&self, ctx: &Ctx<'_, '_>, address: &Value, port: &Value, ready: bool) -> Value {
        let pod = address["targetRef"]["name"].as_str().unwrap_or_default();
        let namespace = self.service["metadata"]["namespace"].as_str();
        let pods = table(ctx.cluster, "", "pods");
        let pod_object = ctx.tables().get(&pods, &key(namespace, pod));
        let (health, error) = self.health(pod_object, ready);
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let instance = format!("{}:{}", text(&address["ip"]), port["port"]);
        let scheme = self.endpoint["scheme"].as_str().unwrap_or("http");
        let path = self.endpoint["path"].as_str().unwrap_or("/metrics");
        let url = format!("{scheme}://{instance}{path}");
        let monitor = &self.monitor["metadata"];
        let pool = format!(
            "serviceMonitor/{}/{}/{}",
            text(&monitor["namespace"]),
            text(&monitor["name"]),
            self.index
        );
        let service = text(&self.service["metadata"]["name"]);
        let labels = json!({"container": self.container(pod_object), "endpoint": port["name"],
            "instance": instance, "job": self.job(), "namespace": namespace, "pod": pod,
            "service": service});
        let discovered = json!({"__address__": instance, "__metrics_path__": path,
            "__scheme__": scheme, "job": pool, "__meta_kubernetes_namespace": namespace,
            "__meta_kubernetes_service_name": service, "__meta_kubernetes_pod_name": pod});
        json!({"discoveredLabels": discovered, "labels": labels, "scrapePool": pool,
            "scrapeUrl": url, "globalUrl": url, "lastError": error, "lastScrape": ctx.now(),
            "lastScrapeDuration": 0.004, "health": health,
            "scrapeInterval": self.endpoint["interval"].as_str().unwrap_or(self.interval),
            "scrapeTimeout": "10s"})
    }

    fn health(&self, pod: Option<&Value>, ready: bool) -> (&'static str, String) {
        let of = |object: &Value| {
            let switch = object["metadata"]["annotations"][SCRAPE].as_str();
            switch.map(str::to_owned)
        };
        let switched = of(self.monitor)
            .or_else(|| of(self.service))
            .or_else(|| pod.and_then(of));
        match switched.as_deref() {
            Some("down") => (
                "down",
                "server returned HTTP status 500 Internal Server Error".to_owned(),
            ),
            Some("unknown") => ("unknown", String::new()),
            _ if ready => ("up", String::new()),
            _ => ("down", "connect: connection refused".to_owned()),
        }
    }

    fn job(&self) -> Value {
        let label = self.monitor["spec"]["jobLabel"].as_str();
        let labels = &self.service["metadata"]["labels"];
        let named = label.and_then(|l| labels.get(l)).filter(|v| v.is_string());
        named.unwrap_or(&self.service["metadata"]["name"]).clone()
    }

    fn container(&self, pod: Option<&Value>) -> Value {
        pod.map(|p| p["spec"]["containers"][0]["name"].clone())
            .unwrap_or_default()
    }
}
