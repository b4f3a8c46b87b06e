//! The zones as name servers answer them: messages over UDP and TCP, and Debian's `dig`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use zonewright_sandbox::fault::{Fault, Kind};

use crate::client;
use crate::lifetime::Server;

/// Adds a record to `guajiro.xyz`.
async fn add(server: &Server, record: Value) {
    let zones = call(server, "GET", "/zones?name=guajiro.xyz", &Value::Null).await;
    let zone = zones["result"][0]["id"].as_str().unwrap();
    let servers = &zones["result"][0]["name_servers"];
    assert_eq!(servers[0], "ada.ns.cloudflare.com");
    let made = call(
        server,
        "POST",
        &format!("/zones/{zone}/dns_records"),
        &record,
    )
    .await;
    assert_eq!(made["success"], true, "{made}");
}

async fn call(server: &Server, method: &str, path: &str, body: &Value) -> Value {
    let env = server.ready.env();
    let find = |name: &str| env.iter().find(|(n, _)| *n == name).unwrap().1.clone();
    let url = format!("{}{path}", find("CLOUDFLARE_BASE_URL"));
    let authorization = format!("Bearer {}", find("CLOUDFLARE_API_TOKEN"));
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let headers = [("authorization", authorization.as_str())];
    let (_, bytes) = client::send(method, &url, &headers, body.as_bytes()).await;
    serde_json::from_slice(&bytes).unwrap()
}

async fn filled() -> Server {
    let server = Server::start(None).await;
    for record in [
        json!({"type": "A", "name": "wp-pz", "content": "203.0.113.7", "ttl": 60}),
        json!({"type": "A", "name": "wp-bz", "content": "192.0.2.1", "ttl": 60}),
        json!({"type": "CNAME", "name": "wp-active", "content": "wp-pz.guajiro.xyz", "ttl": 300}),
        json!({"type": "CNAME", "name": "away", "content": "else.where.test"}),
        json!({"type": "A", "name": "seen", "content": "203.0.113.8", "proxied": true}),
        json!({"type": "A", "name": "*.wild", "content": "203.0.113.9"}),
        json!({"type": "TXT", "name": "note", "content": "zonewright-epoch=3"}),
        json!({"type": "MX", "name": "@", "content": "mail.guajiro.xyz", "priority": 10}),
        json!({"type": "SRV", "name": "_x._tcp",
            "data": {"priority": 1, "weight": 2, "port": 3, "target": "wp-pz.guajiro.xyz"}}),
        json!({"type": "A", "name": "deep.below", "content": "203.0.113.10"}),
    ] {
        add(&server, record).await;
    }
    server
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(77, MessageType::Query, OpCode::Query);
    let name = Name::from_ascii(format!("{name}.")).unwrap();
    message.add_query(Query::query(name, kind));
    message
}

async fn ask(address: SocketAddr, name: &str, kind: RecordType) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let bytes = question(name, kind).to_vec().unwrap();
    socket.send_to(&bytes, address).await.unwrap();
    let mut buffer = [0u8; 4096];
    let length = socket.recv(&mut buffer).await.unwrap();
    let reply = Message::from_vec(&buffer[..length]).unwrap();
    assert_eq!(reply.metadata.id, 77);
    reply
}

fn shown(message: &Message) -> Vec<String> {
    let line = |r: &hickory_proto::rr::Record| {
        format!("{} {} {} {}", r.name, r.ttl, r.record_type(), r.data)
    };
    message.answers.iter().map(line).collect()
}

#[tokio::test]
async fn zones_answer_with_authority() {
    let server = filled().await;
    let at = server.ready.endpoints().dns;
    let active = ask(at, "WP-active.guajiro.xyz", RecordType::A).await;
    assert!(active.metadata.authoritative);
    assert!(!active.metadata.recursion_available);
    assert_eq!(
        shown(&active),
        [
            "wp-active.guajiro.xyz. 300 CNAME wp-pz.guajiro.xyz.",
            "wp-pz.guajiro.xyz. 60 A 203.0.113.7",
        ]
    );
    for (name, kind, wanted) in [
        (
            "wp-active",
            RecordType::CNAME,
            "wp-active.guajiro.xyz. 300 CNAME wp-pz.guajiro.xyz.",
        ),
        (
            "away",
            RecordType::A,
            "away.guajiro.xyz. 300 CNAME else.where.test.",
        ),
        (
            "a.wild",
            RecordType::A,
            "a.wild.guajiro.xyz. 300 A 203.0.113.9",
        ),
        (
            "note",
            RecordType::TXT,
            "note.guajiro.xyz. 300 TXT zonewright-epoch=3",
        ),
        (
            "_x._tcp",
            RecordType::SRV,
            "_x._tcp.guajiro.xyz. 300 SRV 1 2 3 wp-pz.guajiro.xyz.",
        ),
    ] {
        let reply = ask(at, &format!("{name}.guajiro.xyz"), kind).await;
        assert_eq!(shown(&reply), [wanted]);
    }
    let mail = ask(at, "guajiro.xyz", RecordType::MX).await;
    assert_eq!(shown(&mail), ["guajiro.xyz. 300 MX 10 mail.guajiro.xyz."]);
    let servers = ask(at, "guajiro.xyz", RecordType::NS).await;
    assert_eq!(servers.answers.len(), 2);
    // A proxied name shows the vendor, not the origin.
    let proxied = ask(at, "seen.guajiro.xyz", RecordType::A).await;
    let first = &shown(&proxied)[0];
    assert!(
        first.starts_with("seen.guajiro.xyz. 300 A 104.21."),
        "{first}"
    );
}

#[tokio::test]
async fn what_is_not_there_is_told_apart() {
    let server = filled().await;
    let at = server.ready.endpoints().dns;
    for (name, kind, code) in [
        ("nothing.guajiro.xyz", RecordType::A, ResponseCode::NXDomain),
        ("wp-pz.guajiro.xyz", RecordType::AAAA, ResponseCode::NoError),
        ("below.guajiro.xyz", RecordType::A, ResponseCode::NoError),
    ] {
        let reply = ask(at, name, kind).await;
        assert_eq!(reply.metadata.response_code, code, "{name}");
        assert!(reply.answers.is_empty());
        assert!(reply.metadata.authoritative);
        let RData::SOA(soa) = &reply.authorities[0].data else {
            panic!("no SOA")
        };
        assert_eq!(soa.minimum, 1800);
    }
    let foreign = ask(at, "example.org", RecordType::A).await;
    assert_eq!(foreign.metadata.response_code, ResponseCode::Refused);
    let fault = Fault {
        service: Some("dns".to_owned()),
        method: None,
        path: Some("/wp-pz.guajiro.xyz./A".to_owned()),
        nth: 1,
        count: 1,
        kind: Kind::Status {
            code: 500,
            body: None,
            headers: Default::default(),
        },
    };
    server.client().add_fault(&fault).await.unwrap();
    let failed = ask(at, "wp-pz.guajiro.xyz", RecordType::A).await;
    assert_eq!(failed.metadata.response_code, ResponseCode::ServFail);
    let again = ask(at, "wp-pz.guajiro.xyz", RecordType::A).await;
    assert_eq!(shown(&again).len(), 1);
    let log = server.client().requests().await.unwrap();
    assert!(
        log.as_array()
            .unwrap()
            .iter()
            .any(|r| r["service"] == "dns")
    );
}

#[tokio::test]
async fn a_long_answer_is_cut_over_udp_and_whole_over_tcp() {
    let server = filled().await;
    for n in 0..40 {
        let content = format!("203.0.113.{}", n + 100);
        add(
            &server,
            json!({"type": "A", "name": "many", "content": content}),
        )
        .await;
    }
    let at = server.ready.endpoints().dns;
    let cut = ask(at, "many.guajiro.xyz", RecordType::A).await;
    assert!(cut.metadata.truncation);
    assert!(cut.answers.is_empty());
    let mut stream = TcpStream::connect(at).await.unwrap();
    let bytes = question("many.guajiro.xyz", RecordType::A)
        .to_vec()
        .unwrap();
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    for _ in 0..2 {
        stream.write_all(&length).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let mut length = [0u8; 2];
        stream.read_exact(&mut length).await.unwrap();
        let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut reply).await.unwrap();
        assert_eq!(Message::from_vec(&reply).unwrap().answers.len(), 40);
    }
    let server = server.restart().await;
    assert_eq!(server.ready.endpoints().dns, at, "the port is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn dig_understands_the_answers() {
    // Of Debian's package `bind9-dnsutils`.
    let program = "/usr/bin/dig";
    if !Path::new(program).is_file() {
        let required = std::env::var_os("ZONEWRIGHT_REQUIRE_SUITES").is_some();
        assert!(!required, "bind9-dnsutils is not installed");
        println!("skipped: bind9-dnsutils is not installed");
        return;
    }
    let server = filled().await;
    let at = server.ready.endpoints().dns;
    for transport in ["+notcp", "+tcp"] {
        let output = Command::new(program)
            .args(["@127.0.0.1", "-p", &at.port().to_string(), transport])
            .args(["+norecurse", "+time=5", "wp-active.guajiro.xyz", "A"])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("status: NOERROR"), "{text}");
        assert!(text.contains("flags: qr aa"), "{text}");
        assert!(text.contains("203.0.113.7"), "{text}");
        assert!(!text.contains("WARNING"), "{text}");
    }
}
