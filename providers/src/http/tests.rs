use super::*;
use crate::script::{Script, TOKEN};

static DIALECT: Dialect = Dialect {
    vendor: "Vendor",
    base: "https://vendor.example",
    request_id: "x-request-id",
    complaint: |status, body| {
        (!status.is_success()).then(|| Complaint {
            message: body["message"].as_str().unwrap_or_default().to_owned(),
            code: None,
            class: None,
        })
    },
    remaining: |_| None,
};

fn api(script: &Arc<Script>) -> Api {
    let limiter = Arc::new(Limiter::new(&*script.clock));
    let token = Secret::new("secret.token", TOKEN, None);
    let ports = (
        script.clone() as Arc<dyn Transport>,
        script.clock.clone() as Arc<dyn Clock>,
    );
    Api::new(&DIALECT, ports, "http://127.0.0.1/", token, limiter)
}

/// Sends one request at a script; answers with the class of the error, or `ok`.
async fn class(method: &str, text: &str) -> String {
    let script = Script::new(text);
    let api = api(&script);
    let body = serde_json::json!({});
    let result = match method {
        "GET" => api.get("/x").await,
        "PUT" => api.put("/x", &body).await,
        _ => api.post("/x", &body).await,
    };
    script.done();
    match result {
        Ok(_) => "ok".to_owned(),
        Err(e) => {
            assert!(!format!("{e:?}").contains(TOKEN));
            format!("{:?}", e.error.class)
        }
    }
}

#[tokio::test]
async fn a_post_whose_fate_is_unknown_is_sent_once() {
    for reply in [
        "lost",
        "timeout",
        "500 {}",
        "502 <html>bad gateway</html>",
        "201 {torn",
    ] {
        assert_eq!(
            class("POST", &format!("POST /x\n{reply}")).await,
            "Ambiguous",
            "{reply}"
        );
    }
}

#[tokio::test]
async fn a_post_that_did_nothing_is_sent_again() {
    for reply in [
        "refused",
        r#"429 retry-after: 29; {"message":"API rate limit exceeded."}"#,
        r#"503 retry-after: 2; {"message":"busy"}"#,
    ] {
        assert_eq!(
            class("POST", &format!("POST /x\n{reply}\nPOST /x\n201 {{}}")).await,
            "ok"
        );
    }
}

#[tokio::test]
async fn reads_and_replacements_are_repeated_a_few_times() {
    for reply in ["lost", "500 {}", "503 {}", "timeout", "refused"] {
        for method in ["GET", "PUT"] {
            let once = format!("{method} /x\n{reply}\n");
            let then = format!("{once}{once}{method} /x\n200 {{}}");
            assert_eq!(class(method, &then).await, "ok", "{method} {reply}");
        }
    }
    assert_eq!(
        class("GET", &"GET /x\nlost\n".repeat(5)).await,
        "Transient { after: None }"
    );
    assert_eq!(
        class("GET", &"GET /x\nrefused\n".repeat(5)).await,
        "Unreachable"
    );
    assert_eq!(
        class("POST", &"POST /x\nrefused\n".repeat(5)).await,
        "NotSent"
    );
}

#[tokio::test]
async fn a_verdict_is_final() {
    for (status, expected) in [
        (400, "Invalid"),
        (401, "Unauthorized"),
        (403, "Denied"),
        (404, "NotFound"),
        (409, "Conflict"),
        (412, "Conflict"),
        (422, "Invalid"),
        (302, "Failed"),
    ] {
        for method in ["GET", "POST"] {
            let text = format!("{method} /x\n{status} {{}}");
            assert_eq!(class(method, &text).await, expected, "{method} {status}");
        }
    }
}

#[tokio::test]
async fn a_pause_is_kept_by_everybody_with_the_credential() {
    let script = Script::new(
        "GET /x
         429 retry-after: 29; {}
         GET /x
         200 {}",
    );
    api(&script).get("/x").await.unwrap();
    assert!(script.clock.now() >= Duration::from_secs(29));
}

#[tokio::test]
async fn a_message_never_holds_the_token() {
    let script = Script::new(&format!(
        "GET /x\n422 {{\"message\":\"bad header Bearer {TOKEN}\"}}"
    ));
    let error = api(&script).get("/x").await.unwrap_err().error;
    assert_eq!(
        error.message,
        "Vendor answered 422 to GET: bad header Bearer (secret)"
    );
    assert_eq!(error.request_id.as_deref(), Some("req-1"));
}

#[tokio::test]
async fn pages_are_counted_and_no_link_is_followed() {
    let script = Script::new(
        r#"GET /l?page=1&per_page=2
        200 {"items":[1,2],"meta":{"total":5},"links":{"pages":{"next":"https://elsewhere.example/?page=2"}}}
        GET /l?page=2&per_page=2
        200 {"items":[3,4],"meta":{"total":5}}
        GET /l?page=3&per_page=2
        200 {"items":[5],"meta":{"total":5}}"#,
    );
    let all = api(&script)
        .pages("/l", ("items", "/meta/total"), 2)
        .await
        .unwrap();
    assert_eq!(all, [1, 2, 3, 4, 5].map(Json::from));
    script.done();
}

#[tokio::test]
async fn a_list_that_leads_to_itself_is_an_error() {
    let script = Script::new(
        r#"GET /l?page=1&per_page=2
        200 {"items":[1,2],"meta":{"total":5}}
        GET /l?page=2&per_page=2
        200 {"items":[1,2],"meta":{"total":5}}"#,
    );
    let error = api(&script).pages("/l", ("items", "/meta/total"), 2).await;
    let error = error.unwrap_err().error;
    assert_eq!(error.class, ErrorClass::Failed);
    assert!(error.message.ends_with("the list does not end"), "{error}");
    script.done();
}

#[test]
fn a_message_is_scrubbed_or_withheld_and_never_spoiled() {
    let secret = |value: &str| Secret::new("secret.x".to_owned(), value, None);
    let said = "a database named mama exists, password hunter2hunter2";
    assert_eq!(
        scrub(said, [&secret("hunter2hunter2")]),
        "a database named mama exists, password (secret)"
    );
    let withheld = scrub(said, [&secret("a")]);
    assert!(
        !withheld.contains("mama") && !withheld.contains("(secret)"),
        "{withheld}"
    );
    assert_eq!(
        withheld,
        scrub("nothing of it", [&secret("zq7")]),
        "whether it occurs does not show"
    );
    assert_eq!(scrub(said, [&secret("")]), said);
}
