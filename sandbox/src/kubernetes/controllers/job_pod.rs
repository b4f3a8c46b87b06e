//! The pod of a Job: whether it can start, how it ends, what it prints.
//!
//! What a program does is not known here. A pod whose environment names a database succeeds when that
//! database lets it in; every other pod succeeds.

use serde_json::{Value, json};

use super::super::environment::{self, Variables};
use super::super::kinds::{key, table};
use super::super::request::{Ctx, new_uid};
use super::Looked;
use crate::digitalocean::login::{self, Client, Refusal};
use crate::mysql::inside::{self, Trust};

/// On a Job or its pod template: what the program prints when it succeeds; on the pod template of another
/// workload: what it says last when it crashes.
pub(super) const OUTPUT: &str = "sandbox.zonewright.dev/output";
/// How a pod ends, with what it has printed or what it waits for.
pub(super) enum End {
    Running,
    CannotStart(String),
    Succeeded(String),
    Failed(String),
}

/// The table of what pods have printed.
pub(crate) fn logs(cluster: &str) -> String {
    format!("kubernetes/{cluster}/~logs/~logs")
}

fn as_pod(it: &Looked) -> Value {
    let mut pod = it.object["spec"]["template"].clone();
    pod["metadata"]["namespace"] = it.object["metadata"]["namespace"].clone();
    pod
}

/// How the pod of a Job ends.
pub(super) fn end(ctx: &Ctx<'_, '_>, it: &Looked) -> End {
    let pod = as_pod(it);
    if let Some(missing) = environment::missing(ctx.home(), &pod) {
        return End::CannotStart(missing);
    }
    let variables = environment::of_pod(ctx.home(), &pod);
    if inside::is_client(&pod)
        && let Some(said) = ask(ctx, &pod, &variables)
    {
        return End::Succeeded(said);
    }
    match connect(ctx, &variables) {
        Err(refused) => End::Failed(refused),
        Ok(said) => {
            let own = it.object["metadata"]["annotations"][OUTPUT].as_str();
            let output = own.or(pod["metadata"]["annotations"][OUTPUT].as_str());
            End::Succeeded(output.map_or(said, |o| format!("{o}\n")))
        }
    }
}

/// What a Job with nothing but a MySQL client says of the database that its environment names.
fn ask(ctx: &Ctx<'_, '_>, pod: &Value, variables: &Variables) -> Option<String> {
    let [host, user, password, database] = environment::database(variables)?;
    let client = Client {
        host: &host,
        user: &user,
        password: &password,
        database: &database,
    };
    let now = ctx.world.now_ms();
    let session = match login::from_cluster(ctx.tables(), now, ctx.cluster, &client) {
        Ok(session) => session,
        Err(_) => {
            let said = connect(ctx, variables).err()?;
            return Some(format!("failed={said}"));
        }
    };
    let volume = &pod["spec"]["volumes"][0]["secret"];
    let namespace = pod["metadata"]["namespace"].as_str()?;
    let mounted = volume["secretName"].as_str().and_then(|name| {
        let key = volume["items"][0]["key"].as_str()?;
        environment::data(ctx.home(), namespace, "secrets", name)?.remove(key)
    });
    let trust = Trust {
        authority: mounted.as_deref().unwrap_or_default(),
    };
    Some(inside::lines(ctx.tables(), now, &session.id, &trust))
}

/// What a client of the database prints that the environment names.
fn connect(ctx: &Ctx<'_, '_>, variables: &Variables) -> Result<String, String> {
    let Some([host, user, password, database]) = environment::database(variables) else {
        return Ok(String::new());
    };
    let client = Client {
        host: &host,
        user: &user,
        password: &password,
        database: &database,
    };
    let opened = login::from_cluster(ctx.tables(), ctx.world.now_ms(), ctx.cluster, &client);
    match opened {
        Ok(session) => {
            let read_only = u8::from(!session.writable);
            Ok(format!(
                "connected to {host} as {user}, read_only={read_only}\n"
            ))
        }
        Err(Refusal::Unreachable) => Err(format!(
            "ERROR 2003 (HY000): Can't connect to MySQL server on '{host}'\n"
        )),
        Err(Refusal::Denied) => Err(format!(
            "ERROR 1045 (28000): Access denied for user '{user}' (using password: YES)\n"
        )),
        Err(Refusal::UnknownDatabase) => Err(format!(
            "ERROR 1049 (42000): Unknown database '{database}'\n"
        )),
    }
}

fn name(it: &Looked) -> String {
    let hex: String = it.uid().chars().filter(char::is_ascii_hexdigit).collect();
    format!("{}-{}", it.name(), &hex[..5.min(hex.len())])
}

/// Makes the pod what it is at this moment.
pub(super) fn ensure(ctx: &mut Ctx<'_, '_>, it: &Looked, end: Option<&End>) {
    let pods = table(ctx.cluster, "", "pods");
    let name = name(it);
    let at = key(Some(it.namespace()), &name);
    let known = ctx.tables().get(&pods, &at).cloned();
    let mut pod = known.clone().unwrap_or_else(|| new_pod(ctx, it, &name));
    pod["status"] = status(ctx, &pod, end);
    if known.as_ref() != Some(&pod) {
        ctx.store(&pods, &at, pod);
    }
    if let Some(End::Succeeded(text) | End::Failed(text)) = end {
        let logs = logs(ctx.cluster);
        if ctx
            .tables()
            .get(&logs, &at)
            .is_none_or(|known| known != text.as_str())
        {
            ctx.txn.put(&logs, &at, json!(text));
        }
    }
}

/// Removes the pod.
pub(super) fn remove(ctx: &mut Ctx<'_, '_>, it: &Looked) {
    let pods = table(ctx.cluster, "", "pods");
    let at = key(Some(it.namespace()), &name(it));
    if ctx.tables().get(&pods, &at).is_some() {
        ctx.txn.delete(&pods, &at);
    }
}

fn new_pod(ctx: &Ctx<'_, '_>, it: &Looked, name: &str) -> Value {
    let template = &it.object["spec"]["template"];
    let mut labels = template["metadata"]["labels"].clone();
    for (label, value) in [
        ("job-name", it.name()),
        ("batch.kubernetes.io/job-name", it.name()),
        ("controller-uid", it.uid()),
        ("batch.kubernetes.io/controller-uid", it.uid()),
    ] {
        labels[label] = json!(value);
    }
    let owner = json!({"apiVersion": "batch/v1", "kind": "Job", "name": it.name(),
        "uid": it.uid(), "controller": true, "blockOwnerDeletion": true});
    let mut metadata = json!({"name": name, "namespace": it.namespace(), "uid": new_uid(),
        "generation": 1, "creationTimestamp": ctx.now(), "labels": labels,
        "ownerReferences": [owner]});
    if template["metadata"]["annotations"].is_object() {
        metadata["annotations"] = template["metadata"]["annotations"].clone();
    }
    let mut spec = template["spec"].clone();
    spec["nodeName"] = json!("node-1");
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
}

fn status(ctx: &Ctx<'_, '_>, pod: &Value, end: Option<&End>) -> Value {
    let now = ctx.now();
    let known = &pod["status"];
    let started = known["startTime"]
        .as_str()
        .map_or(now.clone(), str::to_owned);
    let (phase, state) = match end {
        None | Some(End::Running) => ("Running", json!({"running": {"startedAt": started}})),
        Some(End::CannotStart(why)) => (
            "Pending",
            json!({"waiting": {"reason": "CreateContainerConfigError", "message": why}}),
        ),
        // What is printed stands for what is written into the termination message too.
        Some(End::Succeeded(said)) => (
            "Succeeded",
            json!({"terminated": {"exitCode": 0, "reason": "Completed", "message": said.trim(),
                "startedAt": started, "finishedAt": now}}),
        ),
        Some(End::Failed(said)) => (
            "Failed",
            json!({"terminated": {"exitCode": 1, "reason": "Error", "message": said.trim(),
                "startedAt": started, "finishedAt": now}}),
        ),
    };
    // A pod that has ended stays as it ended.
    if known["phase"] == phase && phase != "Pending" {
        return known.clone();
    }
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let containers: Vec<Value> = containers
        .map(|c| {
            json!({"name": c["name"], "image": c["image"], "imageID": "", "restartCount": 0,
                "ready": phase == "Running", "started": phase == "Running", "state": state})
        })
        .collect();
    let up = phase == "Running";
    let ready = json!({"type": "Ready", "status": if up { "True" } else { "False" },
        "lastTransitionTime": now});
    json!({"phase": phase, "startTime": started, "conditions": [ready],
        "containerStatuses": containers, "hostIP": "10.110.0.2", "qosClass": "BestEffort"})
}
