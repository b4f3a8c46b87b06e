//! How far a live object is: the rules of kstatus with our corrections.
//!
//! Pure. Nothing here fails for a state that can still get better by itself.

use serde_json::Value as Json;
use zonewright_engine::provider::Status;

/// How far an object is.
pub(crate) fn status(object: &Json) -> Status {
    let metadata = &object["metadata"];
    if metadata["deletionTimestamp"].is_string() {
        return Status::Deleting;
    }
    let group = object["apiVersion"]
        .as_str()
        .and_then(|v| v.rsplit_once('/'))
        .map_or("", |(group, _)| group);
    let kind = object["kind"].as_str().unwrap_or_default();
    let seen = object["status"]["observedGeneration"].as_i64();
    let generation = metadata["generation"].as_i64();
    if let (Some(seen), Some(generation)) = (seen, generation)
        && seen < generation
    {
        return pending("the controller has not seen the change yet");
    }
    if let Some(condition) = condition(object, "Stalled").filter(|c| c["status"] == "True") {
        return Status::Failed(said(condition));
    }
    if let Some(condition) = condition(object, "Reconciling").filter(|c| c["status"] == "True") {
        return Status::Pending(said(condition));
    }
    match (group, kind) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "ReplicaSet") => replicas(object, &["readyReplicas", "availableReplicas"]),
        ("batch", "Job") => job(object),
        ("", "Pod") => pod(object),
        ("", "Service") => service(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("", "Namespace") => phase(object, "Active"),
        ("networking.k8s.io", "Ingress") | ("batch", "CronJob") => Status::Ready,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        ("apiregistration.k8s.io", "APIService") => must(object, &["Available"]),
        (
            "admissionregistration.k8s.io",
            "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration",
        ) => webhooks(object),
        ("autoscaling", "HorizontalPodAutoscaler") => Status::Ready,
        ("cert-manager.io", "Certificate") => certificate(object),
        ("cert-manager.io", "Issuer" | "ClusterIssuer") => must(object, &["Ready"]),
        ("monitoring.coreos.com", "Prometheus" | "Alertmanager") => {
            must(object, &["Available", "Reconciled"])
        }
        _ => generic(object),
    }
}

fn pending(why: impl Into<String>) -> Status {
    Status::Pending(why.into())
}

/// Conditions may be null on a fresh object.
fn condition<'a>(object: &'a Json, kind: &str) -> Option<&'a Json> {
    object["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|c| c["type"] == kind)
}

fn said(condition: &Json) -> String {
    let text = |key: &str| condition[key].as_str().filter(|t| !t.is_empty());
    match (text("reason"), text("message")) {
        (Some(reason), Some(message)) => format!("{reason}: {message}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => format!(
            "{} is {}",
            condition["type"].as_str().unwrap_or("condition"),
            condition["status"].as_str().unwrap_or("unknown")
        ),
    }
}

/// These conditions must be true, and current where they say which generation they are about.
fn must(object: &Json, kinds: &[&str]) -> Status {
    let generation = object["metadata"]["generation"].as_i64();
    for kind in kinds {
        let Some(condition) = condition(object, kind) else {
            return pending(format!("no {kind} condition yet"));
        };
        if condition["status"] != "True" {
            return Status::Pending(said(condition));
        }
        if let (Some(seen), Some(generation)) =
            (condition["observedGeneration"].as_i64(), generation)
            && seen < generation
        {
            return pending(format!("{kind} is not current yet"));
        }
    }
    Status::Ready
}

fn generic(object: &Json) -> Status {
    match condition(object, "Ready") {
        Some(condition) if condition["status"] != "True" => Status::Pending(said(condition)),
        _ => Status::Ready,
    }
}

fn phase(object: &Json, wanted: &str) -> Status {
    match object["status"]["phase"].as_str() {
        Some(phase) if phase == wanted => Status::Ready,
        Some(phase) => pending(format!("phase {phase}")),
        None => pending("no phase yet"),
    }
}

fn number(object: &Json, key: &str) -> i64 {
    object["status"][key].as_i64().unwrap_or(0)
}

fn wanted(object: &Json) -> i64 {
    object["spec"]["replicas"].as_i64().unwrap_or(1)
}

/// Each count must have reached the wanted number, and none may be left over.
fn replicas(object: &Json, counts: &[&str]) -> Status {
    let want = wanted(object);
    if object["status"]["observedGeneration"].is_null() {
        return pending("the controller has not seen it yet");
    }
    let have = number(object, "replicas");
    if have > want {
        return pending(format!("{} old replicas to remove", have - want));
    }
    for count in counts {
        let have = number(object, count);
        if have < want {
            let what = count.trim_end_matches("Replicas");
            return pending(format!("{have} of {want} replicas {what}"));
        }
    }
    Status::Ready
}

fn deployment(object: &Json) -> Status {
    let progressing = condition(object, "Progressing");
    if let Some(condition) = progressing
        && condition["reason"] == "ProgressDeadlineExceeded"
    {
        return Status::Failed(said(condition));
    }
    let counts = ["updatedReplicas", "readyReplicas", "availableReplicas"];
    let counted = replicas(object, &counts);
    // With no replicas wanted, no condition says more than the counts do.
    if counted != Status::Ready || wanted(object) == 0 {
        return counted;
    }
    match condition(object, "Available") {
        Some(condition) if condition["status"] != "True" => Status::Pending(said(condition)),
        _ => Status::Ready,
    }
}

fn stateful_set(object: &Json) -> Status {
    let strategy = &object["spec"]["updateStrategy"];
    if strategy["type"] == "OnDelete" {
        return replicas(object, &["readyReplicas"]);
    }
    let counted = replicas(object, &["readyReplicas"]);
    if counted != Status::Ready {
        return counted;
    }
    let want = wanted(object);
    let partition = strategy["rollingUpdate"]["partition"].as_i64().unwrap_or(0);
    let updated = number(object, "updatedReplicas");
    if partition > 0 {
        let need = (want - partition).max(0);
        return if updated < need {
            pending(format!("{updated} of {need} replicas updated"))
        } else {
            Status::Ready
        };
    }
    let status = &object["status"];
    if want > 0
        && status["updateRevision"].is_string()
        && status["currentRevision"] != status["updateRevision"]
    {
        return pending(format!("{updated} of {want} replicas updated"));
    }
    Status::Ready
}

fn daemon_set(object: &Json) -> Status {
    if object["status"]["observedGeneration"].is_null() {
        return pending("the controller has not seen it yet");
    }
    let want = number(object, "desiredNumberScheduled");
    for count in [
        "currentNumberScheduled",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberReady",
    ] {
        // Under OnDelete the pods are updated when somebody deletes them.
        if count == "updatedNumberScheduled"
            && object["spec"]["updateStrategy"]["type"] == "OnDelete"
        {
            continue;
        }
        let have = number(object, count);
        if have < want {
            return pending(format!("{have} of {want} nodes ({count})"));
        }
    }
    Status::Ready
}

fn job(object: &Json) -> Status {
    let is = |kind| condition(object, kind).filter(|c| c["status"] == "True");
    if let Some(failed) = is("Failed") {
        return Status::Failed(said(failed));
    }
    if is("Complete").is_some() || is("Suspended").is_some() || object["spec"]["suspend"] == true {
        return Status::Ready;
    }
    let done = number(object, "succeeded");
    let want = object["spec"]["completions"].as_i64().unwrap_or(1);
    pending(format!("{done} of {want} completions"))
}

fn pod(object: &Json) -> Status {
    match object["status"]["phase"].as_str() {
        Some("Succeeded") => return Status::Ready,
        Some("Failed") => {
            let why = object["status"]["message"]
                .as_str()
                .or(object["status"]["reason"].as_str());
            return Status::Failed(why.unwrap_or("the pod failed").to_owned());
        }
        _ => {}
    }
    if let Some(trouble) = waits(object) {
        return Status::Pending(trouble);
    }
    must(object, &["Ready"])
}

/// What keeps a pod from being ready, if it says so.
fn waits(pod: &Json) -> Option<String> {
    let scheduled = condition(pod, "PodScheduled").filter(|c| c["status"] == "False");
    if let Some(condition) = scheduled {
        return Some(said(condition));
    }
    for list in ["initContainerStatuses", "containerStatuses"] {
        for container in pod["status"][list].as_array().into_iter().flatten() {
            let waiting = &container["state"]["waiting"];
            let reason = waiting["reason"].as_str().unwrap_or_default();
            if !matches!(reason, "" | "ContainerCreating" | "PodInitializing") {
                let name = container["name"].as_str().unwrap_or_default();
                return Some(format!("container {name}: {}", said(waiting)));
            }
        }
    }
    None
}

fn service(object: &Json) -> Status {
    if object["spec"]["type"] != "LoadBalancer" {
        return Status::Ready;
    }
    let first = &object["status"]["loadBalancer"]["ingress"][0];
    let address = first["ip"].as_str().or(first["hostname"].as_str());
    if address.is_some_and(|a| !a.is_empty()) {
        Status::Ready
    } else {
        pending("no load balancer address yet")
    }
}

/// A claim may wait for its first consumer, which waits for it in turn: unbound is ready enough
/// unless the volume is lost.
fn claim(object: &Json) -> Status {
    match object["status"]["phase"].as_str() {
        Some("Bound" | "Pending") => Status::Ready,
        Some("Lost") => Status::Failed("its volume is lost".to_owned()),
        _ => pending("no phase yet"),
    }
}

fn definition(object: &Json) -> Status {
    if let Some(condition) = condition(object, "NamesAccepted").filter(|c| c["status"] == "False") {
        return Status::Failed(said(condition));
    }
    match condition(object, "Established") {
        Some(condition) if condition["status"] == "True" => Status::Ready,
        Some(condition) if condition["reason"] != "Installing" => Status::Failed(said(condition)),
        _ => pending("not established yet"),
    }
}

/// A configuration that asks for its CA to be injected works once it has it.
fn webhooks(object: &Json) -> Status {
    let injected = object["metadata"]["annotations"]
        .as_object()
        .is_some_and(|notes| {
            notes.keys().any(|k| {
                k.starts_with("cert-manager.io/inject-ca-from")
                    || k == "cert-manager.io/inject-apiserver-ca"
            })
        });
    let missing = object["webhooks"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|w| {
            w["clientConfig"]["caBundle"]
                .as_str()
                .is_none_or(str::is_empty)
        });
    match missing {
        Some(webhook) if injected => pending(format!(
            "no CA bundle yet for {}",
            webhook["name"].as_str().unwrap_or("a webhook")
        )),
        _ => Status::Ready,
    }
}

fn certificate(object: &Json) -> Status {
    if let Some(issuing) = condition(object, "Issuing").filter(|c| c["status"] == "True") {
        return Status::Pending(said(issuing));
    }
    if let Some(condition) = condition(object, "Ready").filter(|c| c["status"] == "False")
        && (condition["reason"] == "Failed" || object["status"]["lastFailureTime"].is_string())
    {
        // Why is told by the order; the certificate itself only says that it does not exist.
        let order = failed_order(object);
        return Status::Failed(said(order.unwrap_or(condition)));
    }
    must(object, &["Ready"])
}

fn failed_order(certificate: &Json) -> Option<&Json> {
    condition(certificate, "Issuing").filter(|c| c["reason"] == "Failed")
}

#[cfg(test)]
mod tests {
    use super::status;
    use serde_json::Value as Json;

    fn check(object: &str, want: &str) {
        let object: Json = serde_json::from_str(object).expect("JSON");
        assert_eq!(format!("{:?}", status(&object)), want, "{object}");
    }

    #[test]
    fn deployments() {
        let with = |replicas: u32, status: &str| {
            format!(
                r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"generation":2}},"spec":{{"replicas":{replicas}}},"status":{status}}}"#
            )
        };
        check(
            &with(1, "{}"),
            r#"Pending("the controller has not seen it yet")"#,
        );
        check(
            &with(1, r#"{"observedGeneration":1,"replicas":1}"#),
            r#"Pending("the controller has not seen the change yet")"#,
        );
        check(
            &with(
                2,
                r#"{"observedGeneration":2,"replicas":2,"updatedReplicas":2,"readyReplicas":1}"#,
            ),
            r#"Pending("1 of 2 replicas ready")"#,
        );
        check(
            &with(
                1,
                r#"{"observedGeneration":2,"replicas":2,"updatedReplicas":1}"#,
            ),
            r#"Pending("1 old replicas to remove")"#,
        );
        check(&with(0, r#"{"observedGeneration":2}"#), "Ready");
        check(
            &with(0, r#"{"observedGeneration":2,"replicas":1}"#),
            r#"Pending("1 old replicas to remove")"#,
        );
        check(
            &with(
                1,
                r#"{"observedGeneration":2,"conditions":[{"type":"Progressing","status":"False","reason":"ProgressDeadlineExceeded","message":"m"}]}"#,
            ),
            r#"Failed("ProgressDeadlineExceeded: m")"#,
        );
    }

    #[test]
    fn what_runs_to_its_end() {
        check(
            r#"{"apiVersion":"batch/v1","kind":"Job","status":{"active":1}}"#,
            r#"Pending("0 of 1 completions")"#,
        );
        check(
            r#"{"apiVersion":"batch/v1","kind":"Job","status":{"conditions":[{"type":"Complete","status":"True"}]}}"#,
            "Ready",
        );
        check(
            r#"{"apiVersion":"v1","kind":"Pod","status":{"phase":"Failed","reason":"Evicted"}}"#,
            r#"Failed("Evicted")"#,
        );
        check(
            r#"{"apiVersion":"v1","kind":"Pod","status":{"phase":"Pending","containerStatuses":[{"name":"a","state":{"waiting":{"reason":"ImagePullBackOff"}}}]}}"#,
            r#"Pending("container a: ImagePullBackOff")"#,
        );
    }

    #[test]
    fn what_waits_for_somebody_else() {
        check(
            r#"{"apiVersion":"v1","kind":"Service","spec":{"type":"LoadBalancer","clusterIP":"10.0.0.1"},"status":{"loadBalancer":{}}}"#,
            r#"Pending("no load balancer address yet")"#,
        );
        check(
            r#"{"apiVersion":"v1","kind":"Service","spec":{"type":"LoadBalancer"},"status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.9"}]}}}"#,
            "Ready",
        );
        check(r#"{"apiVersion":"v1","kind":"Service","spec":{}}"#, "Ready");
        check(
            r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","status":{"conditions":null}}"#,
            r#"Pending("not established yet")"#,
        );
        check(
            r#"{"apiVersion":"cert-manager.io/v1","kind":"ClusterIssuer","status":{"conditions":[{"type":"Ready","status":"False","reason":"ErrRegister"}]}}"#,
            r#"Pending("ErrRegister")"#,
        );
        check(
            r#"{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"annotations":{"cert-manager.io/inject-ca-from-secret":"a/b"}},"webhooks":[{"name":"w","clientConfig":{}}]}"#,
            r#"Pending("no CA bundle yet for w")"#,
        );
        check(
            r#"{"apiVersion":"x.io/v1","kind":"X","metadata":{"deletionTimestamp":"t"}}"#,
            "Deleting",
        );
    }
}
