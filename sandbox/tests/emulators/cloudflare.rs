//! Cloudflare, along the vectors.

use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use zonewright_sandbox::profile::Profile;

use crate::{World, id};

async fn zone(world: &World) -> String {
    let zones = world
        .expect(200, "GET /client/v4/zones?name=guajiro.xyz", "")
        .await;
    assert_eq!(zones["result_info"]["total_count"], 1);
    let id = zones["result"][0]["id"].as_str().unwrap();
    format!("/client/v4/zones/{id}/dns_records")
}

fn code(error: &Value) -> u64 {
    assert_eq!(error["success"], false);
    error["errors"][0]["code"].as_u64().unwrap()
}

#[tokio::test]
async fn tokens_are_verified() {
    let world = World::new(Profile::Instant);
    let line = "GET /client/v4/user/tokens/verify";
    let good = world.expect(200, line, "").await;
    assert_eq!(good["result"]["status"], "active");
    assert_eq!(good["messages"][0]["code"], 10000);
    let bad = world.raw(line, "", Some("wrong")).await;
    assert_eq!(bad.status(), 401);
    let bad = world.raw("GET /client/v4/zones", "", Some("wrong")).await;
    assert_eq!(bad.status(), 403);
    assert!(bad.headers().contains_key("ratelimit"));
    assert!(bad.headers().contains_key("ratelimit-policy"));
    let none = world
        .expect(200, "GET /client/v4/zones?name=other.test", "")
        .await;
    assert_eq!(none["result"], json!([]));
    let added = world
        .expect(201, "POST /_sandbox/zones", r#"{"name":"Other.test"}"#)
        .await;
    let found = world
        .expect(200, "GET /client/v4/zones?name=other.test", "")
        .await;
    assert_eq!(found["result"][0]["id"], added["id"]);
    let unknown = world.expect(404, "GET /client/v4/zones/0", "").await;
    assert_eq!(code(&unknown), 7003);
}

#[tokio::test]
async fn records_are_made_canonical() {
    let world = World::new(Profile::Instant);
    let path = zone(&world).await;
    let post = format!("POST {path}");
    let body = r#"{"type":"CNAME","name":"wp-bz","content":"LB.Example.net.","ttl":60,
        "proxied":false,"comment":"zonewright:wp:dns"}"#;
    let made = world.expect(200, &post, body).await;
    let record = &made["result"];
    assert_eq!(record["name"], "wp-bz.guajiro.xyz");
    assert_eq!(record["content"], "lb.example.net");
    assert_eq!(record["tags"], json!([]));
    assert!(record.get("settings").is_none());
    assert!(record["comment_modified_on"].is_string());
    let record = format!("{path}/{}", id(&made, "result"));
    let flip = r#"{"content":"other.example.net","ttl":300}"#;
    let flipped = world.expect(200, &format!("PATCH {record}"), flip).await;
    assert_eq!(flipped["result"]["comment"], "zonewright:wp:dns");
    assert_eq!(flipped["result"]["ttl"], 300);
    let body = r#"{"type":"CNAME","name":"wp-bz","content":"a.example.net","ttl":300,
        "proxied":true}"#;
    let whole = world.expect(200, &format!("PUT {record}"), body).await;
    assert_eq!(whole["result"]["comment"], Value::Null);
    assert_eq!(whole["result"]["ttl"], 1);
    let gone = world.expect(200, &format!("DELETE {record}"), "").await;
    assert_eq!(gone["result"].as_object().unwrap().len(), 1);
    let error = world.expect(404, &format!("DELETE {record}"), "").await;
    assert_eq!(code(&error), 81044);
}

#[tokio::test]
async fn records_are_checked() {
    let world = World::new(Profile::Instant);
    let post = format!("POST {}", zone(&world).await);
    let a = r#"{"type":"A","name":"a","content":"192.0.2.1"}"#;
    let cname = r#"{"type":"CNAME","name":"c","content":"x.example.net"}"#;
    world.expect(200, &post, a).await;
    world.expect(200, &post, cname).await;
    let long = "x".repeat(101);
    let cases = [
        (a.to_owned(), 81058),
        (cname.to_owned(), 81053),
        (a.replace("\"a\"", "\"c\""), 81054),
        (cname.replace("\"c\"", "\"a\""), 81053),
        (a.replace("192.0.2.1", "nonsense"), 9005),
        (a.replace('}', &format!(",\"comment\":\"{long}\"}}")), 9313),
        (a.replace('}', ",\"ttl\":30}"), 9021),
        (a.replace('}', ",\"tags\":[\"x:y\"]}"), 1004),
        ("nonsense".to_owned(), 9207),
    ];
    for (body, wanted) in cases {
        let error = world.expect(400, &post, &body).await;
        assert_eq!(code(&error), wanted, "{body}");
        if wanted == 1004 {
            assert_eq!(error["errors"][0]["error_chain"][0]["code"], 9300);
        }
    }
    world.expect(200, &post, &a.replace("2.1", "2.2")).await;
    world
        .expect(200, &post, &a.replace("2.1\"", "2.9\",\"ttl\":60"))
        .await;
}

#[tokio::test]
async fn records_are_found_by_filter_and_page() {
    let world = World::new(Profile::Instant);
    let path = zone(&world).await;
    for n in 0..5 {
        let body = format!(
            r#"{{"type":"TXT","name":"t{n}","content":"v","comment":"zonewright:ab:{n}"}}"#
        );
        world.expect(200, &format!("POST {path}"), &body).await;
    }
    let a = r#"{"type":"A","name":"t0","content":"192.0.2.1"}"#;
    world.expect(200, &format!("POST {path}"), a).await;
    for (query, count) in [
        ("", 6),
        ("type=TXT", 5),
        ("name=T0.guajiro.xyz", 2),
        ("name=t0.guajiro.xyz&type=A", 1),
        ("comment.startswith=zonewright%3Aab%3A", 5),
        ("comment.contains=:3", 1),
        ("content=192.0.2.1", 1),
        ("comment.absent=true", 1),
        ("match=any&type=A&comment.contains=:3", 2),
    ] {
        let listed = world.expect(200, &format!("GET {path}?{query}"), "").await;
        assert_eq!(listed["result_info"]["total_count"], count, "{query}");
    }
    let page = world
        .expect(200, &format!("GET {path}?per_page=4&page=2"), "")
        .await;
    assert_eq!(page["result"].as_array().unwrap().len(), 2);
    assert_eq!(page["result_info"]["total_pages"], 2);
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_and_in_order() {
    let world = World::new(Profile::Instant);
    let path = zone(&world).await;
    let post = format!("POST {path}");
    let make = |name: &str| format!(r#"{{"type":"A","name":"{name}","content":"192.0.2.1"}}"#);
    let x = id(&world.expect(200, &post, &make("x")).await, "result");
    let a = id(&world.expect(200, &post, &make("a")).await, "result");
    // The post is only good because the delete comes first, wherever it stands.
    let batch = json!({
        "posts": [{"type": "CNAME", "name": "x", "content": "y.example.net"}],
        "patches": [{"id": a, "content": "192.0.2.2"}],
        "deletes": [{"id": x}],
    });
    let line = format!("{post}/batch");
    let spoiled = {
        let mut batch = batch.clone();
        batch["puts"] = json!([{"id": "0", "type": "A", "name": "q", "content": "192.0.2.3"}]);
        batch
    };
    let before = world.expect(200, &format!("GET {path}"), "").await;
    let error = world.expect(404, &line, &spoiled.to_string()).await;
    assert_eq!(code(&error), 81044);
    let after = world.expect(200, &format!("GET {path}"), "").await;
    assert_eq!(before["result"], after["result"]);
    let done = world.expect(200, &line, &batch.to_string()).await;
    assert_eq!(done["result"]["deletes"][0]["id"], x.as_str());
    assert_eq!(done["result"]["patches"][0]["content"], "192.0.2.2");
    assert_eq!(done["result"]["posts"][0]["name"], "x.guajiro.xyz");
    let again = world.expect(404, &line, &batch.to_string()).await;
    assert_eq!(code(&again), 81044);
    let posts: Vec<Value> = (0..201)
        .map(|n| json!({"type": "TXT", "name": format!("n{n}"), "content": "v"}))
        .collect();
    let many = json!({ "posts": posts }).to_string();
    world.expect(400, &line, &many).await;
}

#[tokio::test]
async fn a_token_is_good_for_its_domains_and_no_more() {
    let world = World::new(Profile::Instant);
    let added = world
        .expect(201, "POST /_sandbox/zones", r#"{"name":"other.test"}"#)
        .await;
    let other = added["id"].as_str().unwrap().to_owned();
    let mint = async |what: &str| {
        let made = world.expect(201, "POST /_sandbox/tokens", what).await;
        made["token"].as_str().unwrap().to_owned()
    };
    let status = async |line: &str, token: &str| world.raw(line, "", Some(token)).await.status();
    let narrow = mint(r#"{"zones":["guajiro.xyz"],"expires_on":"2099-01-01T00:00:00Z"}"#).await;
    let verify = "GET /client/v4/user/tokens/verify";
    assert_eq!(status(verify, &narrow).await, 200);
    let listed = world.raw("GET /client/v4/zones", "", Some(&narrow)).await;
    let bytes = listed.into_body().collect().await.unwrap().to_bytes();
    let list: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(list["result_info"]["total_count"], 1);
    assert_eq!(list["result"][0]["name"], "guajiro.xyz");
    let foreign = format!("GET /client/v4/zones/{other}/dns_records");
    assert_eq!(status(&foreign, &narrow).await, 403);
    let account = list["result"][0]["account"]["id"].as_str().unwrap();
    let of_account = format!("GET /client/v4/accounts/{account}/tokens/verify");
    assert_eq!(status(&of_account, &narrow).await, 401);
    let owned = mint(r#"{"account_owned":true}"#).await;
    assert_eq!(status(&of_account, &owned).await, 200);
    assert_eq!(status(verify, &owned).await, 401);
    for bad in [
        r#"{"status":"disabled"}"#,
        r#"{"expires_on":"2020-01-01T00:00:00Z"}"#,
    ] {
        let token = mint(bad).await;
        assert_eq!(status(verify, &token).await, 200, "{bad}");
        assert_eq!(status("GET /client/v4/zones", &token).await, 403, "{bad}");
    }
    world
        .expect(400, "POST /_sandbox/tokens", r#"{"zoness":[]}"#)
        .await;
}
