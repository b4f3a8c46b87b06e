//! What is done rather than read: a certificate that is issued, a Job that runs. Both are gone after.

use std::time::Duration;

use serde_json::{Value as Json, json};
use zonewright_engine::check::{Answer, Container};
use zonewright_engine::provider::{ErrorClass, ProviderError, Status};
use zonewright_engine::restore::finish::Heard;

use super::cluster::{Cluster, is_gone};
use super::{LABEL, failed, text};
use crate::kubernetes::client::Apply;
use crate::kubernetes::ready;
use crate::kubernetes::told::{Quote, told};

const NAME: &str = "zonewright-probe";
/// A Job that hangs ends by itself.
const JOB_SECONDS: u64 = 240;

/// What something was made for: the value of [`LABEL`]. Who cleans up removes what is for his purpose
/// alone: a Job that changes data is not a probe's to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A certificate that shows that one is issued.
    Certificate,
    /// A Job that shows that the application reaches its database.
    Smoke,
    /// A Job that asks a database from inside the zone.
    Database,
    /// A Job of the spec that finishes a restore.
    Restore,
}

impl Purpose {
    fn value(self) -> &'static str {
        match self {
            Purpose::Certificate => "certificate",
            Purpose::Smoke => "smoke",
            Purpose::Database => "database",
            Purpose::Restore => "restore",
        }
    }

    /// Where what is made for it may be.
    fn lists(self) -> &'static [&'static str] {
        match self {
            Purpose::Certificate => &["/apis/cert-manager.io/v1/certificates", "/api/v1/secrets"],
            Purpose::Smoke | Purpose::Database | Purpose::Restore => &["/apis/batch/v1/jobs"],
        }
    }

    fn selector(self) -> String {
        format!("labelSelector={}", self.selector_value())
    }

    fn selector_value(self) -> String {
        format!("{LABEL}%3D{}", self.value())
    }
}

/// How something that was made ended.
enum Ended {
    /// It is ready, or has done what it is for.
    Ready,
    /// It has failed, and says why.
    Failed(String),
    /// It went away before its end: nobody knows what it has done.
    Removed(String),
}

impl Ended {
    /// The answer of a probe; what was taken away has shown nothing.
    fn answer(self, good: String, bad: impl Fn(&str) -> String) -> Result<Answer, ProviderError> {
        match self {
            Ended::Ready => Ok(Answer::Done(Ok(good))),
            Ended::Failed(why) => Ok(Answer::Done(Err(bad(&why)))),
            Ended::Removed(why) => Err(failed(bad(&why))),
        }
    }
}

/// Connects as WordPress does, and says what it sees in the termination message. WordPress names no
/// authority of its own: PHP takes that of `SSL_CERT_FILE`. What it verifies, its configuration says.
pub const PING: &str = r#"
$say = fn($t) => file_put_contents("/dev/termination-log", $t);
$extra = (string) getenv("WORDPRESS_CONFIG_EXTRA");
if ($extra !== "") { eval($extra); }
$verified = MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_VERIFY_SERVER_CERT;
$flags = defined("MYSQL_CLIENT_FLAGS") ? MYSQL_CLIENT_FLAGS : ($extra !== "" ? 0 : $verified);
if (($flags & $verified) !== $verified) {
    $say("WordPress would not verify the database: MYSQL_CLIENT_FLAGS in WORDPRESS_CONFIG_EXTRA needs "
        . "MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_VERIFY_SERVER_CERT");
    exit(1);
}
[$host, $port] = array_pad(explode(":", (string) getenv("WORDPRESS_DB_HOST")), 2, "3306");
mysqli_report(MYSQLI_REPORT_OFF);
$db = mysqli_init();
$db->options(MYSQLI_OPT_CONNECT_TIMEOUT, 10);
$ok = @$db->real_connect($host, getenv("WORDPRESS_DB_USER"), getenv("WORDPRESS_DB_PASSWORD"),
    getenv("WORDPRESS_DB_NAME"), (int) $port, null, $flags);
if (!$ok) {
    // The server's words name users and databases; those of TLS are warnings and have no number.
    $why = ["1045" => ": user or password", "1049" => ": no such database", "2002" => ": TLS or no answer",
        "2006" => ": no TLS"];
    $number = mysqli_connect_errno();
    $say("error $number from the database" . ($why[$number] ?? ""));
    exit(1);
}
$row = $db->query("SELECT @@global.read_only")->fetch_row();
$cipher = $db->query("SHOW STATUS LIKE 'Ssl_cipher'")->fetch_row();
if (empty($cipher[1])) { $say("connected without TLS"); exit(1); }
$say("connected with verified TLS, read_only " . $row[0]
    . ($extra === "" ? "; no WORDPRESS_CONFIG_EXTRA says that WordPress verifies, too" : ""));
"#;

/// Issues a certificate from the staging issuer.
pub(super) async fn certificate(
    cluster: &Cluster,
    issuer: &str,
    namespace: &str,
    name: &str,
) -> Result<Answer, ProviderError> {
    let labels = json!({LABEL: Purpose::Certificate.value()});
    let body = json!({
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": NAME, "namespace": namespace, "labels": labels},
        "spec": {
            "secretName": NAME,
            "dnsNames": [name],
            "issuerRef": {"name": issuer, "kind": "ClusterIssuer"},
            // The issued Secret has no owner by default; with the label it is found again.
            "secretTemplate": {"labels": labels},
        },
    });
    let path = format!("/apis/cert-manager.io/v1/namespaces/{namespace}/certificates/{NAME}");
    let done = run(cluster, &path, &body, None).await;
    sweep(cluster, Purpose::Certificate).await?;
    let bad = |why: &str| format!("{issuer}: {why}");
    done?.answer(format!("{issuer} issued {name}"), bad)
}

/// Runs a Job with the application's image, Secrets and CA.
pub(super) async fn job(cluster: &Cluster, from: &Container) -> Result<Answer, ProviderError> {
    let container = &from.pod["containers"][0];
    let mut one = json!({
        "name": "probe",
        "image": container["image"],
        "command": ["php", "-r", PING],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    for field in [
        "env",
        "envFrom",
        "volumeMounts",
        "securityContext",
        "imagePullPolicy",
    ] {
        if !container[field].is_null() {
            one[field] = container[field].clone();
        }
    }
    let mut pod = json!({"restartPolicy": "Never", "containers": [one]});
    for field in [
        "volumes",
        "imagePullSecrets",
        "securityContext",
        "serviceAccountName",
    ] {
        if !from.pod[field].is_null() {
            pod[field] = from.pod[field].clone();
        }
    }
    let labels = json!({LABEL: Purpose::Smoke.value()});
    let namespace = &from.namespace;
    let body = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": NAME, "namespace": namespace, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": JOB_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    });
    let path = format!("/apis/batch/v1/namespaces/{namespace}/jobs/{NAME}");
    let watched = (namespace.as_str(), Purpose::Smoke);
    let done = run(cluster, &path, &body, Some(watched)).await;
    let said = said(cluster, namespace, Purpose::Smoke).await;
    sweep(cluster, Purpose::Smoke).await?;
    let said = said.map(|s| format!(": {s}")).unwrap_or_default();
    let bad = |why: &str| format!("the Job in {namespace}: {why}");
    done?.answer(format!("a Job in {namespace} succeeded{said}"), bad)
}

/// Runs a pod as a Job, which is gone after; what it has said.
pub(super) async fn hear(
    cluster: &Cluster,
    namespace: &str,
    purpose: Purpose,
    pod: Json,
) -> Result<String, ProviderError> {
    let labels = json!({LABEL: purpose.value()});
    let body = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": NAME, "namespace": namespace, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": JOB_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    });
    let path = format!("/apis/batch/v1/namespaces/{namespace}/jobs/{NAME}");
    let done = run(cluster, &path, &body, Some((namespace, purpose))).await;
    let said = whole(cluster, namespace, purpose).await;
    sweep(cluster, purpose).await?;
    match done? {
        Ended::Ready => said.ok_or_else(|| failed("the Job in the zone has said nothing")),
        Ended::Failed(why) | Ended::Removed(why) => {
            Err(failed(format!("the Job in {namespace}: {why}")))
        }
    }
}

/// Runs a Job of the spec as it is written; it is gone after.
pub(super) async fn declared_job(cluster: &Cluster, job: &Json) -> Heard {
    let namespace = text(job, "/metadata/namespace");
    let namespace = if namespace.is_empty() {
        "default"
    } else {
        namespace
    };
    let name = text(job, "/metadata/name");
    let path = format!("/apis/batch/v1/namespaces/{namespace}/jobs/{name}");
    let what = format!("Job {namespace}/{name}");
    // A run that was killed may have left it; what is somebody else's is not touched.
    let before = match sweep(cluster, Purpose::Restore).await {
        Ok(_) => cluster.read(&path, &what).await,
        Err(failed) => Err(failed),
    };
    match before {
        Ok(None) => {}
        Ok(Some(_)) => return Heard::Failed(format!("{what} exists already")),
        Err(failed) => return Heard::Failed(failed.message),
    }
    let mut body = job.clone();
    for pointer in ["/metadata", "/spec/template/metadata"] {
        label(&mut body, pointer, Purpose::Restore.value());
    }
    let watched = Some((namespace, Purpose::Restore));
    let done = run(cluster, &path, &body, watched).await;
    let swept = sweep(cluster, Purpose::Restore).await;
    match (done, swept) {
        (Ok(Ended::Ready), Ok(_)) => Heard::Ran,
        (Ok(Ended::Failed(why)), _) => Heard::Failed(format!("{what}: {why}")),
        (Ok(Ended::Removed(why)), _) => Heard::Lost(format!("{what}: {why}")),
        (Err(failed), _) => Heard::Lost(failed.message),
        (_, Err(left)) => Heard::Lost(left.message),
    }
}

/// Puts our label on what is at a place of an object. What is no table there is left to the API server.
fn label(object: &mut Json, pointer: &str, value: &str) {
    let mut place = object;
    for part in pointer.split('/').skip(1).chain(["labels", LABEL]) {
        let Json::Object(map) = place else {
            return;
        };
        let missing = if part == LABEL { Json::Null } else { json!({}) };
        place = map.entry(part).or_insert(missing);
    }
    *place = json!(value);
}

/// What the pod of a Job that did what it is for said. It is evidence only: without it the Job's end counts.
async fn said(cluster: &Cluster, namespace: &str, purpose: Purpose) -> Option<String> {
    let said = whole(cluster, namespace, purpose).await?;
    Some(said.chars().take(200).collect())
}

/// The same, as long as it is: the API server keeps 4096 bytes.
async fn whole(cluster: &Cluster, namespace: &str, purpose: Purpose) -> Option<String> {
    let selector = purpose.selector();
    let path = format!("/api/v1/namespaces/{namespace}/pods?{selector}");
    let pods = cluster.read(&path, "pods").await.ok()??;
    let pointer = "/items/0/status/containerStatuses/0/state/terminated/message";
    let said = text(&pods, pointer).trim();
    (!said.is_empty()).then(|| said.to_owned())
}

/// What a rehearsal makes is its own.
const FORCED: Apply = Apply {
    force: true,
    dry: false,
};

/// Makes an object and waits until it is ready, failed or gone. Where pods belong to it, why they do not run
/// is told with its failure, also when they are gone by then: a Job that has had its time takes them along.
async fn run(
    cluster: &Cluster,
    path: &str,
    body: &Json,
    pods: Option<(&str, Purpose)>,
) -> Result<Ended, ProviderError> {
    let kind = text(body, "/kind").to_owned();
    let made = cluster.api.patch(path, FORCED, body).await;
    made.map_err(|f| f.error(&kind, true))?;
    let mut pause = Duration::from_millis(100);
    let mut waited_for = None;
    loop {
        let live = cluster.read(path, &kind).await?;
        let Some(live) = live else {
            return Ok(Ended::Removed("somebody removed it".to_owned()));
        };
        match ready::status(&live) {
            Status::Ready => return Ok(Ended::Ready),
            Status::Failed(why) => {
                let now = trouble(cluster, pods).await;
                return Ok(Ended::Failed(match now.or(waited_for) {
                    Some(trouble) => format!("{why}; {trouble}"),
                    None => why,
                }));
            }
            Status::Deleting => return Ok(Ended::Removed("somebody removes it".to_owned())),
            Status::Pending(why) => {
                tracing::debug!(kind, why, "waiting");
                waited_for = trouble(cluster, pods).await.or(waited_for);
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// What keeps the pods of a Job from doing what it is for.
async fn trouble(cluster: &Cluster, pods: Option<(&str, Purpose)>) -> Option<String> {
    let (namespace, purpose) = pods?;
    let quote = match purpose {
        Purpose::Smoke => Quote::Logs,
        Purpose::Certificate | Purpose::Database | Purpose::Restore => Quote::Messages,
    };
    let told = told(&cluster.api, namespace, &purpose.selector_value(), quote).await;
    told.map(|t| t.text)
}

/// Removes everything that was made for a purpose; the number of objects.
pub(super) async fn sweep(cluster: &Cluster, purpose: Purpose) -> Result<usize, ProviderError> {
    let mut gone = 0;
    for list in purpose.lists() {
        let path = format!("{list}?{}", purpose.selector());
        let Some(found) = cluster.read(&path, "what probes left").await? else {
            continue;
        };
        let (root, plural) = list.rsplit_once('/').unwrap_or((list, ""));
        for item in found["items"].as_array().into_iter().flatten() {
            let namespace = text(item, "/metadata/namespace");
            let name = text(item, "/metadata/name");
            remove(
                cluster,
                &format!("{root}/namespaces/{namespace}/{plural}/{name}"),
            )
            .await?;
            gone += 1;
            // An issued Secret stays behind, and older versions do not give it our label.
            let issued = text(item, "/spec/secretName");
            if !issued.is_empty() {
                let path = format!("/api/v1/namespaces/{namespace}/secrets/{issued}");
                remove(cluster, &path).await?;
            }
        }
    }
    Ok(gone)
}

/// Removes an object; one that is gone is as good.
async fn remove(cluster: &Cluster, path: &str) -> Result<(), ProviderError> {
    let options = json!({"apiVersion": "v1", "kind": "DeleteOptions",
        "propagationPolicy": "Background"});
    match cluster.api.delete(path, &options).await {
        Ok(_) => Ok(()),
        Err(failure) if is_gone(&failure) => Ok(()),
        Err(failure) => {
            let error = failure.error(path, true);
            let message = format!("cannot remove what a probe made: {error}");
            Err(ProviderError::new(ErrorClass::Failed, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use zonewright_engine::secret::Secret;

    use super::*;
    use crate::kubernetes::tests::sessions::{Answers, listen};

    /// A Job that cannot start is given up after its time and takes its pod along: what that waited for was
    /// seen before.
    #[tokio::test]
    async fn what_kept_a_pod_is_told_when_the_pod_is_gone() {
        let job = |condition: Json| json!({"apiVersion": "batch/v1", "kind": "Job", "status": {"conditions": condition}});
        let late = json!([{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]);
        let waiting =
            json!({"reason": "CreateContainerConfigError", "message": "secret \"s\" not found"});
        let pod = json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [
            {"name": "probe", "state": {"waiting": waiting}}]}});
        let pods = |items: Json| (200, json!({"items": items}));
        let (patch, get) = (
            "PATCH /apis/batch/v1/namespaces/app/jobs/zonewright-probe",
            "GET /apis/batch/v1/namespaces/app/jobs/zonewright-probe",
        );
        let answers = Answers::from([
            (
                "GET /api/v1/namespaces/kube-system",
                vec![(200, json!({"metadata": {"uid": "u"}}))],
            ),
            (patch, vec![(201, job(json!([])))]),
            (get, vec![(200, job(json!([]))), (200, job(late))]),
            (
                "GET /api/v1/namespaces/app/pods",
                vec![pods(json!([pod])), pods(json!([]))],
            ),
            ("GET /apis/batch/v1/jobs", vec![(200, json!({"items": []}))]),
        ]);
        let (server, _) = listen(answers).await;
        let credentials = json!({"server": server, "token": "t0ken"});
        let cluster = Cluster::open(&Secret::new("c", credentials.to_string(), None)).await;
        let from = Container {
            namespace: "app".to_owned(),
            pod: json!({"containers": [{"image": "i"}]}),
        };
        let answer = job_of(&cluster.expect("it opens"), &from).await;
        let expected = "the Job in app: DeadlineExceeded; pod p: container probe: CreateContainerConfigError: secret \"s\" not found";
        assert_eq!(answer, Some(expected.to_owned()));
    }

    /// How a Job failed.
    async fn job_of(cluster: &Cluster, from: &Container) -> Option<String> {
        match super::job(cluster, from).await {
            Ok(Answer::Done(Err(why))) => Some(why),
            _ => None,
        }
    }
}
