//! What pods say about why they do not run: the reason that people look for when a workload is not ready or
//! a Job has failed. It only explains: what cannot be read is left out.
//!
//! A program may write anything into its termination message. The values of the Secrets that its pod takes
//! are taken out of it, and without these it is not quoted.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::client::Api;

/// How much of a message is quoted, in characters.
const MOST: usize = 200;
/// Values below this number of bytes say nothing when they occur in a message.
const LEAST: usize = 4;

/// Whose words are quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quote {
    /// What was written into the termination message, not the end of a log that stands in for it.
    Messages,
    /// The end of the log, too: that of a program which is known.
    Logs,
}

/// Why a pod does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// The pod and its reason.
    pub(crate) text: String,
    /// How long that is worth waiting for, if it seldom goes away by itself.
    pub(crate) patience: Option<Duration>,
}

/// Why the first of the newest pods that says so does not run.
pub(crate) async fn told(api: &Api, namespace: &str, selector: &str, quote: Quote) -> Option<Told> {
    let path = format!("/api/v1/namespaces/{namespace}/pods?limit=20&labelSelector={selector}");
    let pods = api.get(&path).await.ok()?;
    let newest = newest(pods["items"].as_array()?);
    let mut troubles = newest.iter().filter_map(|pod| Some((*pod, trouble(pod)?)));
    let (pod, trouble) = troubles.next()?;
    let patience = trouble.reason.as_deref().and_then(patience);
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let mut out = format!("pod {name}: {}", one_line(&trouble.what));
    let message = trouble
        .message
        .filter(|_| quote == Quote::Logs || !trouble.log);
    if let Some(message) = message
        && let Some(values) = values(api, namespace, pod).await
    {
        out += &format!(": {}", one_line(&masked(&message, &values)));
    }
    Some(Told {
        text: out,
        patience,
    })
}

/// The pods of the template that was made last: what keeps older ones from running is over soon.
fn newest(pods: &[Json]) -> Vec<&Json> {
    let stays = |pod: &&Json| pod["metadata"]["deletionTimestamp"].is_null();
    let template = |pod: &Json| {
        let labels = &pod["metadata"]["labels"];
        let hashes = ["pod-template-hash", "controller-revision-hash"];
        let mut found = hashes.iter().filter_map(|key| labels[*key].as_str());
        found.next().map(str::to_owned)
    };
    let born = |pod: &&&Json| {
        pod["metadata"]["creationTimestamp"]
            .as_str()
            .map(str::to_owned)
    };
    let here: Vec<&Json> = pods.iter().filter(stays).collect();
    let last = here.iter().max_by_key(born).and_then(|pod| template(pod));
    here.into_iter()
        .filter(|pod| template(pod) == last)
        .collect()
}

/// How long a reason is worth waiting for. What a controller or a person may still bring (a Secret, an
/// image, a node of an autoscaled pool) takes minutes, a name that is no name stays what it is.
pub(crate) fn patience(reason: &str) -> Option<Duration> {
    let seconds = match reason {
        "InvalidImageName" | "ErrImageNeverPull" => 5,
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => 60,
        "ErrImagePull" | "ImagePullBackOff" => 120,
        "CrashLoopBackOff" => 180,
        "Unschedulable" => 300,
        _ => return None,
    };
    Some(Duration::from_secs(seconds))
}

/// What keeps a pod from running.
#[derive(Debug, Default, PartialEq, Eq)]
struct Trouble {
    /// In the words of Kubernetes.
    what: String,
    /// In those of the program.
    message: Option<String>,
    /// Whether these may be the end of its log.
    log: bool,
    /// The reason, as Kubernetes calls it.
    reason: Option<String>,
}

fn reason(said: &Json) -> Option<String> {
    said["reason"].as_str().map(str::to_owned)
}

fn trouble(pod: &Json) -> Option<Trouble> {
    let of = |what: String| Trouble {
        what,
        ..Trouble::default()
    };
    let status = &pod["status"];
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    let scheduled = conditions.find(|c| c["type"] == "PodScheduled" && c["status"] == "False");
    if let Some((condition, words)) = scheduled.and_then(|c| Some((c, words(c)?))) {
        return Some(Trouble {
            reason: reason(condition),
            ..of(words)
        });
    }
    for (list, declared) in [
        ("initContainerStatuses", "initContainers"),
        ("containerStatuses", "containers"),
    ] {
        for container in status[list].as_array().into_iter().flatten() {
            if let Some(mut found) = of_container(container) {
                let name = &container["name"];
                let mut all = pod["spec"][declared].as_array().into_iter().flatten();
                let own = all.find(|c| c["name"] == *name);
                let policy = own.map(|c| &c["terminationMessagePolicy"]);
                found.log = policy.is_some_and(|p| p == "FallbackToLogsOnError");
                return Some(found);
            }
        }
    }
    let failed = status["phase"] == "Failed";
    words(status).filter(|_| failed).map(of)
}

fn of_container(container: &Json) -> Option<Trouble> {
    let name = container["name"].as_str().unwrap_or_default();
    let waiting = &container["state"]["waiting"];
    let word = waiting["reason"].as_str().unwrap_or_default();
    if !matches!(word, "" | "ContainerCreating" | "PodInitializing") {
        let waits = words(waiting).unwrap_or_default();
        let last = ended(&container["lastState"]["terminated"]);
        let (before, message) = last.unzip();
        let before = before.map_or_else(String::new, |b| format!("; it {b}"));
        return Some(Trouble {
            what: format!("container {name}: {waits}{before}"),
            message: message.flatten(),
            log: false,
            reason: reason(waiting),
        });
    }
    let (how, message) = ended(&container["state"]["terminated"])?;
    Some(Trouble {
        what: format!("container {name} {how}"),
        message,
        log: false,
        reason: None,
    })
}

/// How a container ended that did not end well, and what it said.
fn ended(terminated: &Json) -> Option<(String, Option<String>)> {
    let code = terminated["exitCode"].as_i64().filter(|c| *c != 0)?;
    let reason = terminated["reason"].as_str().filter(|r| !r.is_empty());
    let reason = reason.map_or_else(String::new, |r| format!(" ({r})"));
    let said = terminated["message"].as_str().map(str::trim);
    let said = said.filter(|s| !s.is_empty()).map(str::to_owned);
    Some((format!("ended with exit code {code}{reason}"), said))
}

fn words(said: &Json) -> Option<String> {
    let text = |key: &str| said[key].as_str().filter(|t| !t.is_empty());
    match (text("reason"), text("message")) {
        (Some(reason), Some(message)) => Some(format!("{reason}: {message}")),
        (one, other) => one.or(other).map(str::to_owned),
    }
}

/// The values of all Secrets that a pod takes; `None` when one of them cannot be read.
async fn values(api: &Api, namespace: &str, pod: &Json) -> Option<Vec<String>> {
    let mut out = Vec::new();
    for name in secrets(&pod["spec"]) {
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
        let secret = match api.get(&path).await {
            Ok(secret) => secret,
            Err(failure) if failure.refusal().is_some_and(|r| r.code == 404) => continue,
            Err(_) => return None,
        };
        for (_, value) in secret["data"].as_object().into_iter().flatten() {
            let bytes = STANDARD.decode(value.as_str()?).ok()?;
            let value = String::from_utf8_lossy(&bytes).trim().to_owned();
            out.extend((value.len() >= LEAST).then_some(value));
        }
    }
    // What another one is a part of goes after it.
    out.sort_by_key(|v| std::cmp::Reverse(v.len()));
    Some(out)
}

/// The names of the Secrets that containers and volumes take.
fn secrets(spec: &Json) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut note = |name: &Json| out.extend(name.as_str().map(str::to_owned));
    let list = |of: &Json| of.as_array().cloned().unwrap_or_default();
    for container in list(&spec["initContainers"])
        .iter()
        .chain(&list(&spec["containers"]))
    {
        for variable in list(&container["env"]) {
            note(&variable["valueFrom"]["secretKeyRef"]["name"]);
        }
        for source in list(&container["envFrom"]) {
            note(&source["secretRef"]["name"]);
        }
    }
    for volume in list(&spec["volumes"]) {
        note(&volume["secret"]["secretName"]);
        for source in list(&volume["projected"]["sources"]) {
            note(&source["secret"]["name"]);
        }
    }
    out
}

fn masked(message: &str, values: &[String]) -> String {
    let mut out = message.to_owned();
    for value in values {
        out = out.replace(value, "(secret)");
    }
    out
}

/// One line that a terminal can show.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ").replace(char::is_control, "");
    line.chars().take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn what(pod: &Json) -> Option<(String, Option<String>, bool)> {
        trouble(pod).map(|t| (t.what, t.message, t.log))
    }

    #[test]
    fn the_first_reason_that_explains_is_told() {
        let unscheduled = json!({"status": {"conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/1 nodes are available"}]}});
        let expected = (
            "Unschedulable: 0/1 nodes are available".to_owned(),
            None,
            false,
        );
        assert_eq!(what(&unscheduled), Some(expected));
        let crashes = json!({"spec": {"containers": [{"name": "a", "terminationMessagePolicy": "FallbackToLogsOnError"}]},
            "status": {"containerStatuses": [{"name": "a",
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
                "lastState": {"terminated": {"exitCode": 2, "reason": "Error", "message": "no config\n"}}}]}});
        let expected =
            "container a: CrashLoopBackOff: back-off 40s; it ended with exit code 2 (Error)";
        let expected = (expected.to_owned(), Some("no config".to_owned()), true);
        assert_eq!(what(&crashes), Some(expected));
        let ended = json!({"status": {"phase": "Failed", "containerStatuses": [
            {"name": "ok", "state": {"terminated": {"exitCode": 0}}},
            {"name": "b", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]}});
        let expected = (
            "container b ended with exit code 137 (OOMKilled)".to_owned(),
            None,
            false,
        );
        assert_eq!(what(&ended), Some(expected));
        let evicted =
            json!({"status": {"phase": "Failed", "reason": "Evicted", "message": "disk"}});
        assert_eq!(
            what(&evicted),
            Some(("Evicted: disk".to_owned(), None, false))
        );
        let starts = json!({"status": {"phase": "Pending", "containerStatuses": [
            {"name": "a", "state": {"waiting": {"reason": "ContainerCreating"}}}]}});
        assert_eq!(what(&starts), None);
    }

    #[test]
    fn only_pods_of_the_newest_template_tell() {
        let pod = |name: &str, hash: &str, born: &str| json!({"metadata": {"name": name, "creationTimestamp": born, "labels": {"pod-template-hash": hash}}});
        let mut going = pod("d", "c", "2026-01-01T00:00:09Z");
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:10Z");
        let pods = [
            pod("a", "a", "2026-01-01T00:00:00Z"),
            pod("b", "b", "2026-01-01T00:00:02Z"),
            pod("c", "b", "2026-01-01T00:00:01Z"),
            going,
        ];
        let names: Vec<&str> = newest(&pods)
            .iter()
            .filter_map(|p| p["metadata"]["name"].as_str())
            .collect();
        assert_eq!(names, ["b", "c"]);
    }

    #[test]
    fn what_never_gets_better_is_waited_for_least() {
        let of = |reason: &str| patience(reason).map(|p| p.as_secs());
        assert_eq!(of("InvalidImageName"), Some(5));
        assert!(of("CreateContainerConfigError") < of("ImagePullBackOff"));
        assert!(of("CrashLoopBackOff") < of("Unschedulable"));
        assert_eq!(of("ContainerCreating"), None);
        let waits = json!({"status": {"containerStatuses": [{"name": "a", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}});
        assert_eq!(
            trouble(&waits).unwrap().reason.as_deref(),
            Some("ImagePullBackOff")
        );
        let unscheduled = json!({"status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}});
        assert_eq!(
            trouble(&unscheduled).unwrap().reason.as_deref(),
            Some("Unschedulable")
        );
    }

    #[test]
    fn secrets_of_a_pod_are_found_and_taken_out() {
        let spec = json!({"initContainers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "a"}}}]}],
            "containers": [{"envFrom": [{"secretRef": {"name": "b"}}]}],
            "volumes": [{"secret": {"secretName": "c"}},
                {"projected": {"sources": [{"secret": {"name": "d"}}]}}]});
        let names: Vec<String> = secrets(&spec).into_iter().collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        let values = ["hunter22hunter22".to_owned(), "hunter22".to_owned()];
        let said = masked("no hunter22hunter22 and\nno hunter22", &values);
        assert_eq!(one_line(&said), "no (secret) and no (secret)");
    }
}
