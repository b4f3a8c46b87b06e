//! Each kind of fault, over a real socket.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zonewright_sandbox::control::Client;
use zonewright_sandbox::fault::{Fault, Kind};
use zonewright_sandbox::lifecycle::Ready;

use crate::client;
use crate::lifetime::Server;

const BODY: &str = r#"{"name":"v","region":"nyc3","ip_range":"10.20.0.0/20"}"#;

fn token(ready: &Ready) -> String {
    let env = ready.env();
    let (_, value) = env
        .into_iter()
        .find(|(name, _)| *name == "DIGITALOCEAN_TOKEN")
        .unwrap();
    value
}

/// Sends one request on a fresh connection; gives everything that comes back until it closes.
async fn send(ready: &Ready, line: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(ready.address()).await.unwrap();
    let request = format!(
        "{line} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        ready.address(),
        token(ready),
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    // A reset is a closed connection too.
    let _ = stream.read_to_end(&mut reply).await;
    String::from_utf8(reply).unwrap()
}

async fn count(client: &Client) -> usize {
    let dump = client.dump().await.unwrap();
    let vpcs = dump["digitalocean"]["vpcs"].as_object().unwrap();
    vpcs.values().filter(|vpc| vpc["default"] == false).count()
}

fn fault(kind: Kind) -> Fault {
    Fault {
        service: Some("digitalocean".to_owned()),
        method: Some("POST".to_owned()),
        path: Some("/v2/vpc*".to_owned()),
        nth: 1,
        count: 1,
        kind,
    }
}

async fn last(client: &Client) -> Value {
    let requests = client.requests().await.unwrap();
    requests.as_array().unwrap().last().unwrap().clone()
}

#[tokio::test]
async fn a_dropped_reply_closes_the_socket_before_or_after_the_effect() {
    let server = Server::start(None).await;
    let client = server.client();
    for (kind, effect) in [(Kind::DropBefore, 0), (Kind::DropAfter, 1)] {
        client.add_fault(&fault(kind.clone())).await.unwrap();
        assert_eq!(send(&server.ready, "POST /v2/vpcs", BODY).await, "");
        assert_eq!(count(&client).await, effect, "{kind:?}");
        let entry = last(&client).await;
        assert_eq!(entry["status"], Value::Null);
        assert_eq!(entry["applied"], effect == 1);
        assert_eq!(entry["fault"], kind.name());
        client.clear_faults().await.unwrap();
    }
    let repeat = send(&server.ready, "POST /v2/vpcs", BODY).await;
    assert!(repeat.starts_with("HTTP/1.1 422"), "{repeat}");
    server.stop().await;
}

#[tokio::test]
async fn a_status_comes_before_or_after_the_effect() {
    let server = Server::start(None).await;
    let client = server.client();
    let limited = json!({"kind": "status", "code": 429, "headers": {"retry-after": "29"},
        "method": "POST", "count": 2});
    let limited: Fault = serde_json::from_value(limited).unwrap();
    client.add_fault(&limited).await.unwrap();
    for _ in 0..2 {
        let reply = send(&server.ready, "POST /v2/vpcs", BODY).await;
        assert!(reply.starts_with("HTTP/1.1 429"), "{reply}");
        assert!(reply.contains("retry-after: 29"), "{reply}");
        assert!(reply.contains("too_many_requests"), "{reply}");
    }
    assert_eq!(count(&client).await, 0);
    let faults = client.faults().await.unwrap();
    assert_eq!(
        (&faults[0]["matched"], &faults[0]["struck"]),
        (&json!(2), &json!(2))
    );
    let late = Kind::StatusAfter { code: 502 };
    client.add_fault(&fault(late)).await.unwrap();
    // The two requests above were not counted by the fault added after them.
    let reply = send(&server.ready, "POST /v2/vpcs", BODY).await;
    assert!(reply.starts_with("HTTP/1.1 502"), "{reply}");
    assert_eq!(count(&client).await, 1);
    server.stop().await;
}

#[tokio::test]
async fn a_request_can_be_delayed_and_held() {
    let server = Server::start(None).await;
    let client = server.client();
    client
        .add_fault(&fault(Kind::Delay { ms: 60 }))
        .await
        .unwrap();
    let start = Instant::now();
    let reply = send(&server.ready, "POST /v2/vpcs", "{}").await;
    assert!(reply.starts_with("HTTP/1.1 422"), "{reply}");
    assert!(start.elapsed() >= Duration::from_millis(60));
    client.clear_faults().await.unwrap();

    let second = BODY.replace("10.20.", "10.30.").replace("\"v\"", "\"w\"");
    for (kind, body, during, after) in [
        (Kind::HoldBefore, BODY, 0, 1),
        (Kind::HoldAfter, second.as_str(), 2, 2),
    ] {
        client.add_fault(&fault(kind.clone())).await.unwrap();
        let (ready, body) = (server.ready.clone(), body.to_owned());
        let reply = tokio::spawn(async move { send(&ready, "POST /v2/vpcs", &body).await });
        while client.held().await.unwrap() == json!([]) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(client.held().await.unwrap()[0]["kind"], kind.name());
        assert_eq!(count(&client).await, during);
        assert!(!reply.is_finished());
        client.release().await.unwrap();
        assert!(reply.await.unwrap().starts_with("HTTP/1.1 201"));
        assert_eq!(count(&client).await, after);
        client.clear_faults().await.unwrap();
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_while_held_before_changes_nothing() {
    let server = Server::start(None).await;
    let client = server.client();
    client.add_fault(&fault(Kind::HoldBefore)).await.unwrap();
    let ready = server.ready.clone();
    let reply = tokio::spawn(async move { send(&ready, "POST /v2/vpcs", BODY).await });
    while client.held().await.unwrap() == json!([]) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    reply.abort();
    while client.held().await.unwrap() != json!([]) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    client.release().await.unwrap();
    assert_eq!(count(&client).await, 0);
    server.stop().await;
}

#[tokio::test]
async fn the_log_tells_reads_from_writes() {
    let server = Server::start(None).await;
    let client = server.client();
    send(&server.ready, "GET /v2/vpcs?page=1", "").await;
    send(&server.ready, "POST /v2/vpcs", "{}").await;
    let clusters = server.ready.endpoints().clusters;
    let url = format!("https://{clusters}/clusters/x/api/v1/a?dryRun=All");
    let authority = server.ready.cluster_authority();
    let (status, _) = client::send_encrypted(authority, "PATCH", &url, &[], b"{}").await;
    assert_eq!(status, 503);
    client.health().await.unwrap();
    let log = client.requests().await.unwrap();
    let seen: Vec<(&str, bool, bool)> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            let flag = |name: &str| e[name].as_bool().unwrap();
            (
                e["service"].as_str().unwrap(),
                flag("mutating"),
                flag("applied"),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("digitalocean", false, false),
            ("digitalocean", true, false),
            ("kubernetes", false, false),
        ]
    );
    assert_eq!(log[0]["query"], "page=1");
    assert_eq!(log[1]["status"], 422);
    client.clear_requests().await.unwrap();
    assert_eq!(client.requests().await.unwrap(), json!([]));
    for bad in [
        json!({"kind": "explode"}),
        json!({"kind": "drop_after", "cuont": 2}),
    ] {
        let refused = client.call(http::Method::POST, "/faults", Some(bad)).await;
        assert!(refused.unwrap_err().to_string().contains("400"));
    }
    server.stop().await;
}
