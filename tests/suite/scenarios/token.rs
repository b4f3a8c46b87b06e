//! BZ-09: the token in the cluster works, and may do no more than it has to.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zonewright_tests::{Env, Output};

use super::applied;
use super::verify::meddle;

/// Puts another token into the Secret of a zone's cluster, behind everybody's back.
fn put(env: &Env, token: &str) {
    let body = json!({"data": {"api-token": STANDARD.encode(token)}});
    let path = "/api/v1/namespaces/platform/secrets/cloudflare-api-token";
    meddle(env, "bz", "PATCH", path, Some(&body));
}

/// A token of the sandbox's account that is good for less.
fn minted(env: &Env, what: &Value) -> String {
    let client = env.client();
    env.wait(client.add_token(what)).unwrap()
}

fn ask(env: &Env) -> Output {
    let only = ["--only", "dns-token", "--only", "dns-token-narrow"];
    env.run(&[&["verify", "--zone", "bz", "--format", "json"], &only[..]].concat())
}

/// Verdict and evidence of both lines.
fn lines(output: &Output) -> [(String, String); 2] {
    let json = output.json();
    let line = |i: usize| {
        let text = |key: &str| json["checks"][i][key].as_str().unwrap().to_owned();
        (text("verdict"), text("evidence"))
    };
    [line(0), line(1)]
}

/// In the middle of the day that ends in so many days: the words for it are the same for hours.
fn in_days(days: i64) -> String {
    let now = jiff::Timestamp::now().as_second();
    let then = jiff::Timestamp::from_second(now + days * 86_400 - 43_200).unwrap();
    then.to_string()
}

/// Verdict of a line and words of its evidence.
type Line = (&'static str, &'static str);

/// What a token is, the exit code, and what both lines say of it.
fn table() -> Vec<(Value, i32, Line, Line)> {
    let narrow = json!(["guajiro.xyz"]);
    vec![
        (
            json!({"zones": narrow, "expires_on": in_days(90)}),
            0,
            ("pass", "sees guajiro.xyz"),
            ("pass", "ends in 89d"),
        ),
        (
            json!({"zones": narrow, "account_owned": true}),
            0,
            ("pass", "is active"),
            ("pass", "without an end"),
        ),
        (
            json!({}),
            0,
            ("pass", "is active"),
            ("fail", "it sees 2 domains and 1 is used, not example.com"),
        ),
        (
            json!({"zones": narrow, "expires_on": in_days(3)}),
            0,
            ("pass", "is active"),
            ("fail", "it ends in 2d"),
        ),
        (
            json!({"zones": ["example.com"]}),
            6,
            ("fail", "it does not see guajiro.xyz"),
            ("fail", "0 are used"),
        ),
        (
            json!({"status": "disabled"}),
            6,
            ("fail", "it is disabled"),
            ("fail", ""),
        ),
        (
            json!({"expires_on": in_days(-1)}),
            6,
            ("fail", "it is expired"),
            ("fail", ""),
        ),
        (
            json!({"not_before": in_days(2)}),
            6,
            ("fail", "it is good only in"),
            ("fail", ""),
        ),
    ]
}

#[test]
fn bz_09_the_token_in_the_cluster_works_and_may_do_no_more() {
    let env = applied();
    let own = ask(&env);
    assert_eq!(own.code, 0, "{}", own.text());
    assert!(
        lines(&own).iter().all(|(verdict, _)| verdict == "pass"),
        "{}",
        own.text()
    );
    let client = env.client();
    env.wait(client.add_zone("example.com")).unwrap();
    for (what, code, works, small) in table() {
        let token = minted(&env, &what);
        put(&env, &token);
        let output = ask(&env);
        assert_eq!(output.code, code, "{what}: {}", output.text());
        for ((verdict, evidence), (wanted, words)) in lines(&output).iter().zip([works, small]) {
            let told = format!("{what}: {}", output.text());
            // A token that may not even list sees nothing more: that is no fault of its own.
            assert!(verdict == wanted || words.is_empty(), "{told}");
            assert!(evidence.contains(words), "{told}");
            assert!(!told.contains(&token), "a token is shown");
        }
    }
    put(&env, "a-token-of-nobody");
    let unknown = ask(&env);
    assert_eq!(unknown.code, 6, "{}", unknown.text());
    let [(works, why), (small, _)] = lines(&unknown);
    assert_eq!(
        (works.as_str(), small.as_str()),
        ("fail", "unknown"),
        "{why}"
    );
    // The Secret was changed by hand: the spec's own is put back.
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
}

#[test]
fn bz_09_the_spec_may_require_a_narrow_token() {
    let env = applied();
    let client = env.client();
    env.wait(client.add_zone("example.com")).unwrap();
    // More than one domain is a warning; where the spec says so, the zone is not ready.
    let wide = minted(&env, &json!({}));
    put(&env, &wide);
    let text = env.expect(0, &["verify", "--zone", "bz", "--only", "dns-token-narrow"]);
    assert!(
        text.stdout.contains("warning") && text.stdout.contains("0 failed"),
        "{}",
        text.text()
    );
    env.edit(
        "zonewright.toml",
        "token = \"${secret.cf_token}\"",
        "token = \"${secret.cf_token}\"\nnarrow = \"required\"",
    );
    env.expect(6, &["verify", "--zone", "bz", "--only", "dns-token-narrow"]);
    let good = minted(&env, &json!({"zones": ["guajiro.xyz"]}));
    put(&env, &good);
    env.expect(0, &["verify", "--zone", "bz", "--only", "dns-token-narrow"]);
    // The Secret was changed by hand: the spec's own is put back.
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
}

/// A token for one domain is all that an apply needs; cert-manager takes it, too.
#[test]
fn bz_09_a_narrow_token_is_enough_for_everything() {
    let mut env = super::example();
    let token = minted(&env, &json!({"zones": ["guajiro.xyz"]}));
    env.set("CLOUDFLARE_API_TOKEN", &token);
    env.expect(0, &["apply", "--auto-approve"]);
    let issued = [
        "--only",
        "certificate",
        "--only",
        "dns-token",
        "--only",
        "dns-token-narrow",
    ];
    env.expect(0, &[&["verify", "--zone", "bz"], &issued[..]].concat());
    env.assert_settled();
}
