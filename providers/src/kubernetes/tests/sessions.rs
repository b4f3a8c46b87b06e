//! Sessions against a server with canned answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value as Json, json};
use zonewright_engine::config::Sharing;
use zonewright_engine::provider::{
    ErrorClass, Mark, Observed, Op, Outcome, ReadTarget, Session, Verb, Wait,
};
use zonewright_engine::secret::Secret;
use zonewright_engine::value::Value;

use super::{body, marker, value};
use crate::kubernetes::{Options, provider};

/// Answers by `METHOD path`, the query left out; several are given one after the other.
pub(crate) type Answers = BTreeMap<&'static str, Vec<(u16, Json)>>;

#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = self.0.lock().expect("no panic").clone();
        lines.sort();
        lines
    }
}

async fn answer(request: Request, answers: Arc<Mutex<Answers>>, seen: Seen) -> Response {
    let (parts, bytes) = request.into_parts();
    let authorised = parts
        .headers
        .get("authorization")
        .is_some_and(|h| h == "Bearer t0ken");
    let bytes = axum::body::to_bytes(bytes, 1 << 20).await.expect("a body");
    let path = parts
        .uri
        .path()
        .strip_prefix("/clusters/c1")
        .expect("the prefix");
    let line = format!("{} {path}", parts.method);
    let query = parts
        .uri
        .query()
        .map(|q| format!("?{q}"))
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let text = if text.is_empty() {
        text
    } else {
        format!(" {text}")
    };
    seen.0
        .lock()
        .expect("no panic")
        .push(format!("{line}{query}{text}"));
    let mut answers = answers.lock().expect("no panic");
    let next = answers
        .iter_mut()
        .find(|(key, _)| **key == line)
        .map(|(_, list)| {
            if list.len() > 1 {
                list.remove(0)
            } else {
                list[0].clone()
            }
        });
    let (code, json) = match next {
        _ if !authorised => (401, json!({"kind": "Status", "message": "Unauthorized"})),
        Some(next) => next,
        None => (
            404,
            json!({"kind": "Status", "reason": "NotFound", "message": "not found"}),
        ),
    };
    let code = StatusCode::from_u16(code).expect("a code");
    let text = if json.is_null() {
        "404 page not found".to_owned()
    } else {
        json.to_string()
    };
    (code, Body::from(text)).into_response()
}

async fn serve(answers: Answers) -> (Arc<dyn Session>, Seen) {
    let (server, seen) = listen(answers).await;
    (open(&server, "t0ken").await, seen)
}

/// A server with these answers: its URL, and what it was asked.
pub(crate) async fn listen(answers: Answers) -> (String, Seen) {
    let seen = Seen::default();
    let (log, answers) = (seen.clone(), Arc::new(Mutex::new(answers)));
    let app = Router::new().fallback(move |request: Request| answer(request, answers, log));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    (format!("http://{address}/clusters/c1"), seen)
}

async fn open(server: &str, token: &str) -> Arc<dyn Session> {
    let credentials = json!({"server": server, "certificate_authority_data": "", "token": token, "expires_at": "x"});
    let credentials = Secret::new("credentials", credentials.to_string(), None);
    let options = Options {
        pause: Duration::from_millis(1),
        ..Options::default()
    };
    let config = value(json!({}));
    let opened = provider(options)
        .open(&config, Some(("c1", &credentials)))
        .await;
    opened.expect("a session")
}

fn map(name: &str) -> Json {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "a"}, "data": {"k": "v"}})
}

/// The object as it is in the cluster, marked for an address.
fn live(name: &str, uid: &str, address: &str) -> Json {
    let mut object = map(name);
    object["metadata"]["uid"] = uid.into();
    object["metadata"]["labels"] = json!({body::OWNER: body::owner(&marker(address))});
    object["metadata"]["annotations"] = json!({body::ADDRESS: address});
    object
}

fn address(name: &str) -> String {
    format!("bz/kubernetes.manifest.{name}")
}

fn target(object: Json, name: &str, id: Option<&str>) -> ReadTarget {
    let marker = marker(&address(name));
    ReadTarget {
        address: marker.address.clone(),
        kind: marker.address.kind.clone(),
        id: id.map(str::to_owned),
        desired: Some(value(object)),
        marker,
        observe: false,
    }
}

fn op(name: &str, verb: Verb) -> Op {
    let marker = marker(&address(name));
    Op {
        address: marker.address.clone(),
        kind: marker.address.kind.clone(),
        marker,
        former: None,
        sharing: Sharing::default(),
        verb,
    }
}

fn told(observed: &[Observed]) -> Vec<String> {
    let short = |o: &Observed| match o {
        Observed::Present(live) => format!("present {} {}", live.id, live.mark.text().is_some()),
        Observed::Foreign(live) => format!("foreign {}", live.id),
        Observed::Gone => "gone".to_owned(),
        Observed::Unreadable(error) => format!("unreadable {error}"),
    };
    observed.iter().map(short).collect()
}

fn page(items: Vec<Json>, next: &str) -> (u16, Json) {
    (
        200,
        json!({"kind": "List", "metadata": {"continue": next}, "items": items}),
    )
}

#[tokio::test]
async fn a_list_that_leads_to_itself_is_an_error() {
    let pages = ["t", "t"].map(|next| page(vec![live("m0", "u0", &address("m0"))], next));
    let (session, seen) = serve(Answers::from([(
        "GET /api/v1/namespaces/a/configmaps",
        pages.to_vec(),
    )]))
    .await;
    let targets: Vec<_> = (0..5)
        .map(|i| target(map(&format!("m{i}")), &format!("m{i}"), None))
        .collect();
    let error = session.refresh(&targets).await.expect_err("no end");
    let said = "the list /api/v1/namespaces/a/configmaps leads to itself";
    assert_eq!(error.to_string(), said);
    assert_eq!(seen.lines().len(), 2, "{:?}", seen.lines());
}

#[tokio::test]
async fn a_kind_is_looked_at_by_pages() {
    let maps = vec![
        page(vec![live("m0", "u0", &address("m0"))], "t/1"),
        page(vec![live("m1", "u1", &address("other"))], ""),
    ];
    let mut foreign = map("m3");
    foreign["metadata"]["uid"] = "u3".into();
    let mut known = map("m4");
    known["metadata"]["uid"] = "u4".into();
    let (session, seen) = serve(Answers::from([
        ("GET /api/v1/namespaces/a/configmaps", maps),
        (
            "GET /api/v1/namespaces/a/configmaps/m3",
            vec![(200, foreign)],
        ),
        ("GET /api/v1/namespaces/a/configmaps/m4", vec![(200, known)]),
        (
            "GET /apis",
            vec![(200, json!({"kind": "APIGroupDiscoveryList", "items": []}))],
        ),
    ]))
    .await;
    let unserved = json!({"apiVersion": "x.io/v1", "kind": "X", "metadata": {"name": "x"}});
    let targets: Vec<_> = (0..5)
        .map(|i| {
            target(
                map(&format!("m{i}")),
                &format!("m{i}"),
                (i == 4).then_some("u4"),
            )
        })
        .chain([target(unserved, "x", Some("u9"))])
        .collect();
    let observed = session.refresh(&targets).await.expect("an answer");
    let want = [
        "present u0 true",
        "foreign u1",
        "gone",
        "foreign u3",
        "present u4 false",
        "gone",
    ];
    assert_eq!(told(&observed), want);
    let owner = body::owner(&marker(&address("m0")));
    let list = format!(
        "GET /api/v1/namespaces/a/configmaps?limit=500&labelSelector=zonewright.dev/owner%20in%20%28{owner}%29"
    );
    let want = [
        "GET /api/v1/namespaces/a/configmaps/m2".to_owned(),
        "GET /api/v1/namespaces/a/configmaps/m3".to_owned(),
        "GET /api/v1/namespaces/a/configmaps/m4".to_owned(),
        list.clone(),
        format!("{list}&continue=t%2F1"),
        "GET /apis".to_owned(),
    ];
    assert_eq!(seen.lines(), want);
}

#[tokio::test]
async fn many_missing_objects_take_one_more_list() {
    let (session, seen) = serve(Answers::from([(
        "GET /api/v1/namespaces/a/configmaps",
        vec![(503, Json::Null), page(Vec::new(), "")],
    )]))
    .await;
    let targets: Vec<_> = (0..100)
        .map(|i| target(map(&format!("m{i}")), &format!("m{i}"), None))
        .collect();
    let observed = session.refresh(&targets).await.expect("an answer");
    assert!(observed.iter().all(|o| *o == Observed::Gone));
    // One was repeated.
    assert_eq!(seen.lines().len(), 3);
}

#[tokio::test]
async fn a_create_takes_nothing_of_others() {
    let there = live("m", "u1", &address("other"));
    let (session, seen) = serve(Answers::from([(
        "GET /api/v1/namespaces/a/configmaps/m",
        vec![(200, there)],
    )]))
    .await;
    let create = op(
        "m",
        Verb::Create {
            desired: value(map("m")),
        },
    );
    let error = session.apply(&create).await.expect_err("a conflict");
    assert_eq!(error.class, ErrorClass::Conflict);
    assert_eq!(
        error.message,
        "ConfigMap a/m: it belongs to bz/kubernetes.manifest.other"
    );
    assert_eq!(seen.lines().len(), 1);
}

#[tokio::test]
async fn a_create_is_an_apply_without_force() {
    let (session, seen) = serve(Answers::from([(
        "PATCH /api/v1/namespaces/a/configmaps/m",
        vec![(201, live("m", "u1", &address("m")))],
    )]))
    .await;
    let create = op(
        "m",
        Verb::Create {
            desired: value(map("m")),
        },
    );
    let Ok(Outcome::Ready(live)) = session.apply(&create).await else {
        panic!("not ready");
    };
    assert_eq!(
        (live.id.as_str(), live.mark),
        ("u1", Mark::Carried(create.marker.to_string()))
    );
    let lines = seen.lines();
    assert!(lines[1].starts_with(
        "PATCH /api/v1/namespaces/a/configmaps/m?fieldManager=zonewright&force=false&fieldValidation=Strict {"
    ));
}

#[tokio::test]
async fn refusals_of_a_write_have_classes() {
    let says = |code: u16, message: &str| (code, json!({"kind": "Status", "message": message}));
    let conflict = |with: &str| {
        json!({"kind": "Status", "reason": "Conflict", "message": "m", "details": {"causes": [
        {"reason": "FieldManagerConflict", "message": format!("conflict with {with}"), "field": ".data.k"}]}})
    };
    let (session, seen) = serve(Answers::from([(
        "PATCH /api/v1/namespaces/a/configmaps/m",
        vec![
            (409, conflict("\"helm\"")),
            says(
                500,
                "Internal error occurred: failed calling webhook \"w\": connection refused",
            ),
            (404, Json::Null),
            (409, conflict("\"kubectl-edit\" using v1")),
            says(401, "Unauthorized"),
        ],
    )]))
    .await;
    let update = op(
        "m",
        Verb::Update {
            id: "u1".to_owned(),
            desired: value(map("m")),
            changed: Vec::new(),
            live: value(map("m")),
        },
    );
    let transient = ErrorClass::Transient { after: None };
    for want in [
        ErrorClass::Conflict,
        transient.clone(),
        transient,
        ErrorClass::Unauthorized,
    ] {
        let error = session.apply(&update).await.expect_err("a refusal");
        assert_eq!(error.class, want, "{error}");
    }
    let lines = seen.lines();
    // Only an edit is taken back by force.
    let forced: Vec<bool> = lines.iter().map(|l| l.contains("force=true")).collect();
    assert_eq!(forced, [false, false, false, false, true], "{lines:?}");
    assert!(
        lines.iter().all(|l| l.contains(r#""uid":"u1""#)),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_deletion_is_for_one_uid() {
    let (session, seen) = serve(Answers::from([(
        "DELETE /api/v1/namespaces/a/configmaps/m",
        vec![
            (200, live("m", "u1", &address("m"))),
            (409, json!({"kind": "Status", "message": "the UID in the precondition (u1) does not match"})),
            (200, json!({"kind": "Status", "status": "Success"})),
        ],
    )]))
    .await;
    let delete = op(
        "m",
        Verb::Delete {
            id: "u1".to_owned(),
            prior: value(map("m")),
        },
    );
    assert!(matches!(
        session.apply(&delete).await,
        Ok(Outcome::Submitted { .. })
    ));
    assert!(matches!(session.apply(&delete).await, Ok(Outcome::Gone)));
    assert!(matches!(session.apply(&delete).await, Ok(Outcome::Gone)));
    assert!(seen.lines()[0].contains(r#""preconditions":{"uid":"u1"}"#));
}

#[tokio::test]
async fn a_poll_says_why_it_waits() {
    let deployment = |ready: u32| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "d", "namespace": "a", "uid": "u1", "generation": 1},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "d"}}},
            "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1,
                "readyReplicas": ready, "availableReplicas": ready}})
    };
    let pod = json!({"metadata": {"name": "d-1"}, "status": {"containerStatuses": [
        {"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]}});
    let (session, _) = serve(Answers::from([
        (
            "GET /apis/apps/v1/namespaces/a/deployments/d",
            vec![(200, deployment(0)), (200, deployment(1))],
        ),
        ("GET /api/v1/namespaces/a/pods", vec![page(vec![pod], "")]),
    ]))
    .await;
    let poll = |id: &str, wait| {
        op(
            "d",
            Verb::Poll {
                id: id.to_owned(),
                wait,
                context: value(deployment(0)),
            },
        )
    };
    let answer = session.apply(&poll("u1", Wait::Ready)).await;
    let Ok(Outcome::Stuck {
        detail, patience, ..
    }) = answer
    else {
        panic!("not stuck: {answer:?}");
    };
    assert_eq!(patience, Duration::from_secs(120));
    assert_eq!(
        detail,
        "0 of 1 replicas ready; pod d-1: container c: ImagePullBackOff: no such image"
    );
    assert!(matches!(
        session.apply(&poll("u1", Wait::Ready)).await,
        Ok(Outcome::Ready(_))
    ));
    assert!(matches!(
        session.apply(&poll("u0", Wait::Gone)).await,
        Ok(Outcome::Gone)
    ));
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_unreachable() {
    let session = open("http://127.0.0.1:9", "t0ken").await;
    let error = session
        .refresh(&[target(map("m"), "m", None)])
        .await
        .expect_err("no answer");
    assert_eq!(error.class, ErrorClass::Unreachable, "{error}");
    assert!(!error.message.contains("t0ken"));
}

#[tokio::test]
async fn a_kubeconfig_that_wants_no_verification_is_refused() {
    let kubeconfig = "{apiVersion: v1, kind: Config, current-context: c,
        clusters: [{name: c, cluster: {server: 'https://127.0.0.1:9', insecure-skip-tls-verify: true}}],
        contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {token: t0ken}}]}";
    let mut config = value(json!({}));
    if let Value::Map(map) = &mut config {
        let secret = Secret::new("kubeconfig", kubeconfig, None);
        map.insert("kubeconfig", Value::Secret(secret));
    }
    let opened = provider(Options::default()).open(&config, None).await;
    let error = opened.err().expect("refused");
    assert_eq!(error.class, ErrorClass::Invalid);
    assert!(
        error.message.contains("insecure-skip-tls-verify"),
        "{error}"
    );
}

#[tokio::test]
async fn a_wrong_token_is_unauthorized() {
    let (_, seen) = serve(Answers::new()).await;
    assert!(seen.lines().is_empty());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let (answers, log) = (Arc::new(Mutex::new(Answers::new())), seen.clone());
    let app = Router::new().fallback(move |request: Request| answer(request, answers, log));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let session = open(&format!("http://{address}/clusters/c1"), "wrong").await;
    let error = session
        .refresh(&[target(map("m"), "m", None)])
        .await
        .expect_err("refused");
    assert_eq!(error.class, ErrorClass::Unauthorized);
}

#[test]
fn the_schema_holds_together() {
    let schema = provider(Options::default()).schema();
    assert!(
        schema
            .kinds
            .iter()
            .all(|k| k.is_object() && k.kind.provider() == schema.name)
    );
    let rules = schema.objects.expect("rules");
    let known: Value = value(map("m"));
    assert_eq!((rules.canonical)(&known), known);
    for (kind, path) in rules.immutable {
        assert!(kind.contains('/') && !path.is_empty(), "{kind}");
    }
}
