//! Object storage over HTTP, signed by hand and by `curl`.

use std::process::Command;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zonewright_sandbox::control::Switches;

use crate::client;
use crate::lifetime::Server;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

struct Spaces {
    server: Server,
    endpoint: String,
    key: String,
    secret: String,
    /// The `Host` header, where it is not the address.
    host: Option<&'static str>,
}

impl Spaces {
    async fn new() -> Spaces {
        let server = Server::start(None).await;
        let env = server.ready.env();
        let find = |name: &str| env.iter().find(|(n, _)| *n == name).unwrap().1.clone();
        let endpoint = find("ZONEWRIGHT_SANDBOX_S3");
        assert_eq!(endpoint, server.ready.endpoints().s3());
        Spaces {
            endpoint,
            key: find("SPACES_ACCESS_KEY_ID"),
            secret: find("SPACES_SECRET_ACCESS_KEY"),
            server,
            host: None,
        }
    }

    /// A signed request: `METHOD path?query`; more headers are signed too.
    async fn send(&self, line: &str, more: &[(&str, &str)], body: &str) -> (u16, String, String) {
        let (method, target) = line.split_once(' ').unwrap();
        let url = format!("{}{target}", self.endpoint);
        let rest = url.strip_prefix("http://").unwrap();
        let (address, path) = rest.split_at(rest.find('/').unwrap());
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let digest = hex(&Sha256::digest(body.as_bytes()));
        let (day, time) = ("20261127", "20261127T110000Z");
        let mut headers = vec![
            ("host", self.host.unwrap_or(address)),
            ("x-amz-content-sha256", digest.as_str()),
            ("x-amz-date", time),
        ];
        headers.extend(more);
        headers.sort_unstable();
        let names: Vec<&str> = headers.iter().map(|(n, _)| *n).collect();
        let lines: String = headers.iter().map(|(n, v)| format!("{n}:{v}\n")).collect();
        let mut pairs: Vec<&str> = query.split('&').filter(|p| !p.is_empty()).collect();
        pairs.sort_unstable();
        let canonical = format!(
            "{method}\n{path}\n{}\n{lines}\n{}\n{digest}",
            pairs.join("&"),
            names.join(";")
        );
        let scope = format!("{day}/nyc3/s3/aws4_request");
        let hashed = hex(&Sha256::digest(canonical.as_bytes()));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashed}");
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in scope.split('/') {
            key = keyed(&key, part);
        }
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={}, Signature={}",
            self.key,
            names.join(";"),
            hex(&keyed(&key, &text))
        );
        headers.push(("authorization", &authorization));
        let url = match query {
            "" => format!("http://{address}{path}"),
            query => format!("http://{address}{path}?{query}"),
        };
        let (status, head, body) = client::exchange(method, &url, &headers, body.as_bytes()).await;
        (status, head, String::from_utf8(body).unwrap())
    }

    async fn expect(&self, status: u16, line: &str, body: &str) -> String {
        let (got, _, text) = self.send(line, &[], body).await;
        assert_eq!(got, status, "{line}: {text}");
        text
    }
}

#[tokio::test]
async fn objects_are_stored_listed_and_removed() {
    let spaces = Spaces::new().await;
    spaces.expect(404, "HEAD /media", "").await;
    assert!(
        spaces
            .expect(404, "PUT /media/a", "x")
            .await
            .contains("<Code>NoSuchBucket<")
    );
    spaces.expect(200, "PUT /media", "").await;
    spaces.expect(409, "PUT /media", "").await;
    spaces.expect(200, "HEAD /media", "").await;
    assert!(
        spaces
            .expect(200, "GET /", "")
            .await
            .contains("<Name>media</Name>")
    );
    for key in ["up/1.txt", "up/2.txt", "b%20c%26d", "top"] {
        spaces.expect(200, &format!("PUT /media/{key}"), key).await;
    }
    assert_eq!(
        spaces.expect(200, "GET /media/b%20c%26d", "").await,
        "b%20c%26d"
    );
    let (status, head, body) = spaces.send("HEAD /media/top", &[], "").await;
    assert_eq!((status, body.as_str()), (200, ""));
    assert!(head.contains("content-length: 3"), "{head}");
    assert!(head.contains("etag: \""), "{head}");
    let (status, head, part) = spaces
        .send("GET /media/top", &[("range", "bytes=1-")], "")
        .await;
    assert_eq!((status, part.as_str()), (206, "op"), "{head}");
    let all = spaces.expect(200, "GET /media?list-type=2", "").await;
    assert!(all.contains("<Key>b c&amp;d</Key>"), "{all}");
    assert!(all.contains("<KeyCount>4</KeyCount>"), "{all}");
    let flat = spaces
        .expect(200, "GET /media?delimiter=%2F&list-type=2", "")
        .await;
    assert!(
        flat.contains("<CommonPrefixes><Prefix>up/</Prefix>"),
        "{flat}"
    );
    let mut seen = Vec::new();
    let mut token = String::new();
    for _ in 0..4 {
        let line = format!("GET /media?{token}list-type=2&max-keys=1");
        let page = spaces.expect(200, &line, "").await;
        let between = |a: &str, b: &str| Some(page.split_once(a)?.1.split_once(b)?.0.to_owned());
        seen.extend(between("<Key>", "</Key>"));
        if let Some(next) = between("<NextContinuationToken>", "<") {
            let next = next
                .replace('=', "%3D")
                .replace('+', "%2B")
                .replace('/', "%2F");
            token = format!("continuation-token={next}&");
        }
    }
    assert_eq!(seen, ["b c&amp;d", "top", "up/1.txt", "up/2.txt"]);
    spaces.expect(409, "DELETE /media", "").await;
    spaces.expect(501, "POST /media/top?uploads=", "").await;
    for key in ["up/1.txt", "up/2.txt", "b%20c%26d", "top", "never"] {
        spaces
            .expect(204, &format!("DELETE /media/{key}"), "")
            .await;
    }
    assert!(
        spaces
            .expect(404, "GET /media/top", "")
            .await
            .contains("<Code>NoSuchKey<")
    );
    spaces.expect(204, "DELETE /media", "").await;
}

#[tokio::test]
async fn writes_can_be_conditional() {
    let spaces = Spaces::new().await;
    spaces.expect(200, "PUT /state", "").await;
    let once = [("if-none-match", "*")];
    let (first, head, _) = spaces.send("PUT /state/log", &once, "1").await;
    assert_eq!(first, 200);
    let (second, _, text) = spaces.send("PUT /state/log", &once, "2").await;
    assert_eq!(second, 412);
    assert!(text.contains("<Code>PreconditionFailed<"), "{text}");
    let etag = head
        .split("etag: ")
        .nth(1)
        .unwrap()
        .split("\r\n")
        .next()
        .unwrap();
    let (status, _, _) = spaces
        .send("PUT /state/log", &[("if-match", etag)], "3")
        .await;
    assert_eq!(status, 200);
    let (status, _, _) = spaces
        .send("PUT /state/log", &[("if-match", etag)], "4")
        .await;
    assert_eq!(status, 412);
    let server = spaces.server.restart().await;
    let spaces = Spaces { server, ..spaces };
    assert_eq!(spaces.expect(200, "GET /state/log", "").await, "3");
}

#[tokio::test]
async fn keys_are_checked_and_reading_can_be_refused() {
    let mut spaces = Spaces::new().await;
    spaces.expect(200, "PUT /media", "").await;
    let public = [("x-amz-acl", "public-read")];
    assert_eq!(spaces.send("PUT /media/open", &public, "o").await.0, 200);
    spaces.expect(200, "PUT /media/closed", "c").await;
    let anonymous = async |key: &str| {
        let url = format!("{}/media/{key}", spaces.endpoint);
        client::send("GET", &url, &[], b"").await
    };
    assert_eq!(anonymous("open").await, (200, b"o".to_vec()));
    assert_eq!(anonymous("closed").await.0, 403);
    let switches = serde_json::json!({"unreadable_buckets": ["media"]});
    let switches: Switches = serde_json::from_value(switches).unwrap();
    spaces
        .server
        .client()
        .set_switches(&switches)
        .await
        .unwrap();
    spaces.expect(200, "PUT /media/open", "again").await;
    assert_eq!(anonymous("open").await.0, 403);
    spaces.expect(403, "GET /media/open", "").await;
    spaces.expect(200, "GET /media?list-type=2", "").await;
    spaces
        .server
        .client()
        .set_switches(&Switches::default())
        .await
        .unwrap();

    spaces.host = Some("nyc3.digitaloceanspaces.com");
    let endpoint = std::mem::replace(
        &mut spaces.endpoint,
        format!("http://{}", spaces.server.ready.address()),
    );
    assert_eq!(spaces.expect(200, "GET /media/closed", "").await, "c");
    spaces.host = Some("media.nyc3.digitaloceanspaces.com");
    assert_eq!(spaces.expect(200, "GET /closed", "").await, "c");
    (spaces.host, spaces.endpoint) = (None, endpoint);

    let secret = std::mem::replace(&mut spaces.secret, "wrong".to_owned());
    let text = spaces.expect(403, "GET /media/closed", "").await;
    assert!(text.contains("<Code>SignatureDoesNotMatch<"), "{text}");
    spaces.secret = secret;
    spaces.key = "NOBODY".to_owned();
    let text = spaces.expect(403, "GET /media/closed", "").await;
    assert!(text.contains("<Code>InvalidAccessKeyId<"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_signs_the_same_way() {
    let version = Command::new("curl").arg("--version").output();
    if version.is_err() {
        let required = std::env::var_os("ZONEWRIGHT_REQUIRE_SUITES").is_some();
        assert!(!required, "curl is not installed");
        println!("skipped: curl is not installed");
        return;
    }
    let spaces = Spaces::new().await;
    spaces.expect(200, "PUT /media", "").await;
    spaces.expect(200, "PUT /media/a-b", "by hand").await;
    let empty = hex(&Sha256::digest(b""));
    let output = Command::new("curl")
        .args([
            "--silent",
            "--aws-sigv4",
            "aws:amz:nyc3:s3",
            "--noproxy",
            "*",
        ])
        .arg("--user")
        .arg(format!("{}:{}", spaces.key, spaces.secret))
        .args(["-H", &format!("x-amz-content-sha256: {empty}")])
        .arg(format!("{}/media/a-b", spaces.endpoint))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "by hand");
}
