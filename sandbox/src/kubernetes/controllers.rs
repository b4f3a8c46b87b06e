//! The scripted controllers: they bring objects to the state that a real cluster would bring them to.
//!
//! There are no timers. Changes put objects into a queue, a look at an object says when to look again,
//! and [`settle`] works off what is due. When a wait began is stored beside the objects, so that a world
//! that was closed for a while has moved on.

mod cert_manager;
mod certificate;
mod claim;
pub(crate) mod definition;
mod ingress;
mod job;
mod job_pod;
mod monitoring;
mod namespace;
mod owners;
mod pods;
mod service;
mod workload;

pub(crate) use job_pod::logs as printed;

use std::time::Duration;

use serde_json::{Value, json};

use super::kinds::table;
use super::memory::ObjectRef;
use super::request::Ctx;

/// Kinds that somebody looks at, as `group/plural`.
const WATCHED: [&str; 19] = [
    "core/namespaces",
    "core/services",
    "core/persistentvolumeclaims",
    "apps/deployments",
    "apps/statefulsets",
    "apps/daemonsets",
    "batch/jobs",
    "networking.k8s.io/ingresses",
    "apiextensions.k8s.io/customresourcedefinitions",
    "admissionregistration.k8s.io/validatingwebhookconfigurations",
    "admissionregistration.k8s.io/mutatingwebhookconfigurations",
    "cert-manager.io/clusterissuers",
    "cert-manager.io/issuers",
    "cert-manager.io/certificates",
    "monitoring.coreos.com/prometheuses",
    "monitoring.coreos.com/alertmanagers",
    "monitoring.coreos.com/thanosrulers",
    "monitoring.coreos.com/prometheusagents",
    "apiregistration.k8s.io/apiservices",
];

/// Kinds that depend on which workloads are ready.
const AFTER_WORKLOADS: [&str; 10] = [
    "networking.k8s.io/ingresses",
    "admissionregistration.k8s.io/validatingwebhookconfigurations",
    "admissionregistration.k8s.io/mutatingwebhookconfigurations",
    "cert-manager.io/clusterissuers",
    "cert-manager.io/issuers",
    "cert-manager.io/certificates",
    "monitoring.coreos.com/prometheuses",
    "monitoring.coreos.com/alertmanagers",
    "monitoring.coreos.com/thanosrulers",
    "monitoring.coreos.com/prometheusagents",
];

/// Looks that one request may cause; far above what converging needs.
const MOST_LOOKS: usize = 200_000;

/// Does everything that is due.
pub(crate) fn settle(ctx: &mut Ctx<'_, '_>) {
    for _ in 0..MOST_LOOKS {
        ingest(ctx);
        let now = ctx.world.now_ms();
        let Some((table, key)) = ctx.world.kubernetes().with(ctx.cluster, |c| c.pop(now)) else {
            return;
        };
        if let Some(again) = look(ctx, &table, &key) {
            ctx.world
                .kubernetes()
                .with(ctx.cluster, |c| c.enqueue((table, key), again));
        }
    }
}

/// Puts what has changed, and what depends on it, into the queue.
fn ingest(ctx: &mut Ctx<'_, '_>) {
    let seen = ctx.world.kubernetes().with(ctx.cluster, |c| c.seen);
    let revision = ctx.tables().revision();
    if seen == Some(revision) {
        return;
    }
    let prefix = format!("kubernetes/{}/", ctx.cluster);
    let mut wanted: Vec<ObjectRef> = Vec::new();
    let mut orphaned: Vec<String> = Vec::new();
    let mut silent: Vec<String> = Vec::new();
    let mut owned: Vec<(String, ObjectRef)> = Vec::new();
    match seen.and_then(|seen| ctx.tables().changes_since(seen)) {
        Some(changes) => {
            for change in changes {
                let Some(name) = change.table.strip_prefix(&prefix) else {
                    continue;
                };
                let at = (change.table.clone(), change.key.clone());
                if let Some(gone) = &change.gone {
                    orphaned.extend(gone["metadata"]["uid"].as_str().map(str::to_owned));
                } else if let Some(object) = ctx.tables().get(&at.0, &at.1) {
                    owned.extend(owners::uids(object).map(|uid| (uid, at.clone())));
                }
                if name == "core/pods" && change.gone.is_some() {
                    silent.push(change.key.clone());
                }
                dependents(ctx, name, &change.key, &mut wanted);
                if WATCHED.contains(&name) {
                    wanted.push(at);
                }
            }
        }
        None => {
            let tables: Vec<&String> = ctx.tables().names(&prefix).collect();
            for table in tables {
                let watched = table
                    .strip_prefix(&prefix)
                    .is_some_and(|n| WATCHED.contains(&n));
                for (key, object) in ctx.tables().list(table) {
                    let at = (table.clone(), key.clone());
                    owned.extend(owners::uids(object).map(|uid| (uid, at.clone())));
                    if watched {
                        wanted.push(at);
                    }
                }
            }
        }
    }
    ctx.world.kubernetes().with(ctx.cluster, |c| {
        c.seen = Some(revision);
        for (uid, at) in owned {
            c.owned.entry(uid).or_default().insert(at);
        }
        for at in wanted {
            c.enqueue(at, 0);
        }
    });
    for uid in orphaned {
        owners::collect(ctx, &uid);
    }
    // What a pod has printed goes with it.
    let logs = printed(ctx.cluster);
    for key in silent {
        if ctx.tables().get(&logs, &key).is_some() {
            ctx.txn.delete(&logs, &key);
        }
    }
}

/// The objects to look at again when an object of the table `name` has changed.
fn dependents(ctx: &Ctx<'_, '_>, name: &str, key: &str, out: &mut Vec<ObjectRef>) {
    let namespace = key.split_once('/').map_or("-", |(namespace, _)| namespace);
    let mut all = |group_plural: &str, prefix: &str| {
        let table = format!("kubernetes/{}/{group_plural}", ctx.cluster);
        let keys: Vec<String> = ctx
            .tables()
            .range(&table, prefix, "")
            .map(|(k, _)| k.clone())
            .collect();
        out.extend(keys.into_iter().map(|k| (table.clone(), k)));
    };
    match name {
        "apps/deployments" => AFTER_WORKLOADS.iter().for_each(|n| all(n, "")),
        "core/pods" => all("core/services", &format!("{namespace}/")),
        "core/services" => all("networking.k8s.io/ingresses", ""),
        // A solver's token may be in any namespace.
        "core/secrets" => {
            all("cert-manager.io/clusterissuers", "");
            all("cert-manager.io/issuers", &format!("{namespace}/"));
            all("cert-manager.io/certificates", "");
        }
        "cert-manager.io/clusterissuers" => all("cert-manager.io/certificates", ""),
        "cert-manager.io/issuers" => all("cert-manager.io/certificates", &format!("{namespace}/")),
        _ => {}
    }
}

/// Looks at one object; gives the time of the next look if one is needed without a change.
fn look(ctx: &mut Ctx<'_, '_>, table: &str, key: &str) -> Option<u64> {
    let prefix = format!("kubernetes/{}/", ctx.cluster);
    let name = table.strip_prefix(&prefix)?.to_owned();
    let Some(object) = ctx.tables().get(table, key).cloned() else {
        if name == "core/services" {
            service::gone(ctx, key);
        }
        let (clock, key) = (clock_table(ctx.cluster), format!("{table}|{key}"));
        if ctx.tables().get(&clock, &key).is_some() {
            ctx.txn.delete(&clock, &key);
        }
        return None;
    };
    let it = Looked {
        table: table.to_owned(),
        key: key.to_owned(),
        object,
    };
    match name.as_str() {
        "core/namespaces" => namespace::look(ctx, it),
        "core/services" => service::look(ctx, it),
        "core/persistentvolumeclaims" => claim::look(ctx, it),
        "apps/deployments" | "apps/statefulsets" | "apps/daemonsets" => workload::look(ctx, it),
        "batch/jobs" => job::look(ctx, it),
        "networking.k8s.io/ingresses" => ingress::look(ctx, it),
        "apiextensions.k8s.io/customresourcedefinitions" => definition::look(ctx, it),
        "cert-manager.io/clusterissuers" | "cert-manager.io/issuers" => {
            cert_manager::issuer(ctx, it)
        }
        "cert-manager.io/certificates" => certificate::look(ctx, it),
        "apiregistration.k8s.io/apiservices" => api_service(ctx, it),
        _ if name.starts_with("admissionregistration") => cert_manager::inject(ctx, it),
        _ if name.starts_with("monitoring") => monitoring::look(ctx, it),
        _ => None,
    }
}

/// An object that a controller looks at.
pub(crate) struct Looked {
    pub(crate) table: String,
    pub(crate) key: String,
    pub(crate) object: Value,
}

impl Looked {
    pub(crate) fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub(crate) fn namespace(&self) -> &str {
        self.object["metadata"]["namespace"].as_str().unwrap_or("-")
    }

    pub(crate) fn uid(&self) -> &str {
        self.object["metadata"]["uid"].as_str().unwrap_or_default()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.object["metadata"]["generation"].as_u64().unwrap_or(0)
    }

    pub(crate) fn is_terminating(&self) -> bool {
        self.object["metadata"]["deletionTimestamp"].is_string()
    }

    /// Stores the object if `change` changes it.
    pub(crate) fn update(&mut self, ctx: &mut Ctx<'_, '_>, change: impl FnOnce(&mut Value)) {
        let mut new = self.object.clone();
        change(&mut new);
        if new != self.object {
            self.object = ctx.store(&self.table, &self.key, new);
        }
    }

    /// When the state `stamp` of this object began, in milliseconds; now, when it is new.
    pub(crate) fn since(&self, ctx: &mut Ctx<'_, '_>, stamp: &str) -> u64 {
        let clock = clock_table(ctx.cluster);
        let key = format!("{}|{}", self.table, self.key);
        let stamp = format!("{}/{stamp}", self.uid());
        let known = ctx
            .tables()
            .get(&clock, &key)
            .filter(|k| k["stamp"] == stamp.as_str());
        if let Some(since) = known.and_then(|k| k["since"].as_u64()) {
            return since;
        }
        let now = ctx.world.now_ms();
        ctx.txn
            .put(&clock, &key, json!({"stamp": stamp, "since": now}));
        now
    }
}

/// When states of objects began.
fn clock_table(cluster: &str) -> String {
    format!("kubernetes/{cluster}/~since/~since")
}

/// The end of a wait that began at `since`; `None` when it is over.
pub(crate) fn waits_until(ctx: &Ctx<'_, '_>, since: u64, seconds: u64) -> Option<u64> {
    let scaled = ctx.world.profile().scale(Duration::from_secs(seconds));
    let due = since + u64::try_from(scaled.as_millis()).unwrap_or(u64::MAX);
    (ctx.world.now_ms() < due).then_some(due)
}

/// Sets a condition; its transition time moves when its status does.
pub(crate) fn condition(status: &mut Value, now: &str, condition: (&str, bool, &str, &str)) {
    let (kind, holds, reason, message) = condition;
    let holds = if holds { "True" } else { "False" };
    if status.is_null() {
        *status = json!({});
    }
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(list) = status["conditions"].as_array_mut() else {
        return;
    };
    let mut new = json!({"type": kind, "status": holds, "lastTransitionTime": now,
                         "reason": reason, "message": message});
    match list.iter_mut().find(|c| c["type"] == kind) {
        Some(known) => {
            if known["status"] == holds {
                new["lastTransitionTime"] = known["lastTransitionTime"].clone();
            }
            *known = new;
        }
        None => list.push(new),
    }
}

/// Whether an object has a condition that holds.
pub(crate) fn holds(object: &Value, kind: &str) -> bool {
    let mut conditions = object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    conditions.any(|c| c["type"] == kind && c["status"] == "True")
}

/// Whether a Deployment that satisfies `wanted` is available and has replicas.
pub(crate) fn has_ready_deployment(ctx: &Ctx<'_, '_>, wanted: impl Fn(&Value) -> bool) -> bool {
    let deployments = table(ctx.cluster, "apps", "deployments");
    let mut all = ctx.tables().list(&deployments);
    all.any(|(_, d)| d["status"]["readyReplicas"].as_u64().unwrap_or(0) > 0 && wanted(d))
}

/// An aggregated API is available when its Service has somebody behind it.
fn api_service(ctx: &mut Ctx<'_, '_>, mut it: Looked) -> Option<u64> {
    let service = &it.object["spec"]["service"];
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let at = format!("{}/{}", text(&service["namespace"]), text(&service["name"]));
    let local = service.is_null();
    let endpoints = ctx.tables().get(&table(ctx.cluster, "", "endpoints"), &at);
    let ready = local || endpoints.is_some_and(|e| e["subsets"][0]["addresses"][0].is_object());
    let now = ctx.now();
    let told = if ready {
        ("Available", true, "Passed", "all checks passed")
    } else {
        (
            "Available",
            false,
            "MissingEndpoints",
            "the service has no endpoints",
        )
    };
    it.update(ctx, |o| condition(&mut o["status"], &now, told));
    (!ready).then(|| ctx.world.now_ms() + 1000)
}
