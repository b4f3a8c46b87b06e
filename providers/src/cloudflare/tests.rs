use std::sync::Arc;

use serde_json::{Value as Json, json};
use zonewright_engine::provider::{ReadTarget, Verb};
use zonewright_engine::secret::Secret;
use zonewright_engine::value::Value;

use super::*;
use crate::contract::{complaints, fits};
use crate::script::{Script, known, marker, op, open, show, target, tell, value};

const RECORD: &str = "edge/cloudflare.dns_record.www";

fn connect(script: &Arc<Script>) -> Arc<dyn Provider> {
    cloudflare_at(script.clone(), script.clock.clone(), "http://127.0.0.1")
}

fn scripted(text: &str) -> Arc<Script> {
    Script::new(&text.replace("$M", &marker(RECORD).to_string()))
}

async fn check(verb: Verb, text: &str) -> String {
    let script = scripted(text);
    let session = open(&*connect(&script)).await;
    let outcome = tell(&session.apply(&op(RECORD, verb)).await);
    script.done();
    assert_eq!(complaints(&script, "cloudflare"), [""; 0]);
    outcome
}

async fn look(targets: Vec<ReadTarget>, text: &str) -> Vec<String> {
    let script = scripted(text);
    let session = open(&*connect(&script)).await;
    let seen = session.refresh(&targets).await.unwrap();
    script.done();
    seen.iter().map(show).collect()
}

fn record() -> Json {
    json!({"zone": "example.org", "name": "wp-bz", "type": "CNAME", "content": "LB.Example.net.",
        "ttl": 60, "proxied": false, "comment": "flip"})
}

const ZONE: &str = r#"
    GET /zones?name=example.org
    200 {"success":true,"errors":[],"messages":[{"code":10000,"message":"fine"}],"result":[{"id":"z1"}]}
"#;
const LIVE: &str = r#"{"id":"n1","name":"wp-bz.example.org","type":"CNAME","content":"lb.example.net","ttl":60,"proxied":false,"comment":"flip $M"}"#;

#[test]
fn struct_and_schema_agree() {
    let schema = connect(&Script::new("")).schema();
    fits::<dns_record::DnsRecordSpec>(&schema.kinds[0]);
    assert_eq!(schema.kinds.len(), 1);
}

#[tokio::test]
async fn a_record_comes_back_in_the_words_of_the_spec() {
    let made = check(Verb::Create { desired: value(&record()) }, &format!(r#"{ZONE}
        POST /zones/z1/dns_records {{"type":"CNAME","name":"wp-bz.example.org","content":"LB.Example.net","ttl":60,"comment":"flip $M"}}
        200 {{"success":true,"result":{LIVE}}}
    "#)).await;
    assert_eq!(
        made,
        r#"ready z1/n1 {"comment":"flip","content":"LB.Example.net.","hostname":"wp-bz.example.org","id":"z1/n1","name":"wp-bz","proxied":false,"ttl":60,"type":"CNAME","zone":"example.org","zone_id":"z1"}"#
    );
}

#[tokio::test]
async fn a_zone_is_looked_up_and_listed_once() {
    let other = "edge/cloudflare.dns_record.two";
    let mut foreign = record();
    foreign["name"] = json!("taken.example.org");
    let mut text = record();
    text["type"] = json!("TXT");
    text["name"] = json!("@");
    let seen = look(vec![target(RECORD, &record()), target(other, &foreign), target(other, &text)], &format!(r#"{ZONE}
        GET /zones/z1/dns_records?page=1&per_page=5000
        200 {{"success":true,"result":[{LIVE},{{"id":"n2","name":"taken.example.org","type":"CNAME","content":"x","comment":null}},{{"id":"n3","name":"example.org","type":"TXT","content":"v=spf1"}}],"result_info":{{"total_count":3}}}}
    "#)).await;
    assert!(seen[0].starts_with("present z1/n1 Ready"), "{seen:?}");
    // Another text under the same name is in nobody's way.
    assert_eq!(seen[1..], ["foreign z1/n2", "gone"]);
}

#[tokio::test]
async fn one_known_record_is_read_by_itself() {
    let text = format!("GET /zones/z1/dns_records/n1\n200 {{\"success\":true,\"result\":{LIVE}}}");
    let seen = look(vec![known(RECORD, "z1/n1", &record())], &text).await;
    assert!(seen[0].starts_with("present z1/n1"), "{seen:?}");
}

#[tokio::test]
async fn a_flip_is_one_patch() {
    let mut desired = record();
    desired["content"] = json!("wp-pz.example.org");
    let verb = Verb::Update {
        id: "z1/n1".to_owned(),
        desired: value(&desired),
        changed: vec!["content".parse().unwrap()],
        live: value(&record()),
    };
    let told = check(
        verb,
        &format!(
            r#"
        PATCH /zones/z1/dns_records/n1 {{"content":"wp-pz.example.org","comment":"flip $M"}}
        200 {{"success":true,"result":{}}}
    "#,
            LIVE.replace("lb.example.net", "wp-pz.example.org")
        ),
    )
    .await;
    assert!(
        told.starts_with("ready z1/n1") && told.contains("wp-pz.example.org"),
        "{told}"
    );
}

#[tokio::test]
async fn codes_say_more_than_statuses() {
    let zoned = {
        let mut desired = record();
        desired["zone_id"] = json!("z1");
        desired
    };
    for (reply, expected) in [
        (
            r#"400 {"success":false,"errors":[{"code":81053,"message":"exists"}]}"#,
            "Conflict: ",
        ),
        (
            r#"403 {"success":false,"errors":[{"code":9109,"message":"Invalid access token"}]}"#,
            "Unauthorized: Cloudflare refused the token",
        ),
        (
            r#"403 {"success":false,"errors":[{"code":10000,"message":"Authentication error"}]}"#,
            "Denied: ",
        ),
        (
            r#"400 {"success":false,"errors":[{"code":1004,"message":"DNS Validation Error","error_chain":[{"code":9313,"message":"comment too long"}]}]}"#,
            "Invalid: Cloudflare answered 400 to POST: DNS Validation Error (code 1004); comment too long (code 9313)",
        ),
        (
            r#"200 {"success":false,"errors":[{"code":7,"message":"no"}]}"#,
            "Failed: ",
        ),
        ("502 <html>", "Ambiguous: "),
        (r#"200 {"success":true,"result":{}}"#, "Ambiguous: "),
    ] {
        let text = format!("POST /zones/z1/dns_records\n{reply}");
        let told = check(
            Verb::Create {
                desired: value(&zoned),
            },
            &text,
        )
        .await;
        assert!(told.starts_with(expected), "{reply}: {told}");
    }
}

#[tokio::test]
async fn a_record_that_is_gone_is_gone() {
    for reply in [
        "404 {\"success\":false,\"errors\":[]}",
        r#"400 {"success":false,"errors":[{"code":81044,"message":"Record does not exist."}]}"#,
    ] {
        let verb = Verb::Delete {
            id: "z1/n1".to_owned(),
            prior: value(&record()),
        };
        assert_eq!(
            check(verb, &format!("DELETE /zones/z1/dns_records/n1\n{reply}")).await,
            "gone"
        );
    }
}

#[tokio::test]
async fn impossible_records_are_refused_before_a_request() {
    let mut proxied = record();
    proxied["proxied"] = json!(true);
    let told = check(
        Verb::Create {
            desired: value(&proxied),
        },
        "",
    )
    .await;
    assert!(told.starts_with("Invalid: a proxied record"), "{told}");
    let mut wordy = record();
    wordy["zone_id"] = json!("z1");
    wordy["comment"] = json!("x".repeat(80));
    let told = check(
        Verb::Create {
            desired: value(&wordy),
        },
        "",
    )
    .await;
    assert!(told.starts_with("Invalid: too long"), "{told}");
}

#[tokio::test]
async fn a_secret_text_stays_secret() {
    let mut desired =
        match value(&json!({"zone": "example.org", "zone_id": "z1", "name": "@", "type": "TXT"})) {
            Value::Map(map) => map,
            _ => unreachable!(),
        };
    let secret = Secret::new("secret.challenge", "canary-txt", None);
    desired.insert("content".to_owned(), Value::Secret(secret));
    let desired = Value::Map(desired);
    let told = check(
        Verb::Create {
            desired: desired.clone(),
        },
        r#"
        POST /zones/z1/dns_records {"content":"canary-txt"}
        400 {"success":false,"errors":[{"code":9300,"message":"bad content canary-txt"}]}
    "#,
    )
    .await;
    assert_eq!(
        told,
        "Invalid: Cloudflare answered 400 to POST: bad content (secret) (code 9300)"
    );
    let told = check(Verb::Create { desired }, r#"
        POST /zones/z1/dns_records {"content":"canary-txt"}
        200 {"success":true,"result":{"id":"n1","name":"example.org","type":"TXT","content":"canary-txt","comment":"$M"}}
    "#).await;
    assert!(
        !told.contains("canary-txt") && told.contains("secret.challenge"),
        "{told}"
    );
}
