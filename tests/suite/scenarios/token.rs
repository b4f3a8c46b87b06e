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
    let mut env = applied();
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
    // The same goes for the token that zonewright itself is given.
    env.expect(6, &["plan"]);
    env.set("CLOUDFLARE_API_TOKEN", &good);
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

/// The requests to the DNS provider that ask for domains.
fn listed(env: &Env) -> usize {
    let all = env.requests();
    let asks = all.iter().filter(|r| {
        let path = r["path"].as_str().unwrap_or_default();
        path.contains("/client/v4/zones") && !path.contains("/dns_records")
    });
    asks.count()
}

/// BZ-09: a plan warns of a token that sees more than the spec's domain, and asks one request for it; where the spec
/// wants a narrow one, it is refused before anything is sent.
#[test]
fn bz_09_a_plan_warns_of_a_wide_token_or_refuses_it() {
    let mut env = applied();
    env.clear_requests();
    let narrow = env.expect(0, &["plan"]);
    assert!(!narrow.stdout.contains("ZW3033"), "{}", narrow.text());
    assert_eq!(listed(&env), 1);
    let client = env.client();
    env.wait(client.add_zone("example.com")).unwrap();
    let wide = env.expect(0, &["plan", "--format", "json"]);
    let notes = wide.json()["notes"].to_string();
    assert!(notes.contains("ZW3033"), "{notes}");
    assert!(
        notes.contains("sees more domains than guajiro.xyz") && !notes.contains("example.com"),
        "{notes}"
    );
    env.expect(0, &["explain", "ZW3033"]);
    // Nothing of the provider is read, so it is not asked.
    env.clear_requests();
    let other = env.expect(0, &["plan", "--refresh=none"]);
    assert!(!other.stdout.contains("ZW3033"), "{}", other.text());
    assert_eq!(listed(&env), 0);
    let table = "[providers.cloudflare]\n";
    let strict = format!("{table}narrow = \"required\"\n");
    env.edit("zonewright.toml", table, &strict);
    env.clear_requests();
    for command in [&["plan"][..], &["apply", "--auto-approve"]] {
        let refused = env.expect(6, command);
        for part in ["ZW3127", "guajiro.xyz", "Zone Read and DNS Edit"] {
            assert!(refused.stderr.contains(part), "{part}: {}", refused.text());
        }
    }
    assert_eq!(env.mutations(), Vec::<Value>::new());
    env.expect(0, &["explain", "ZW3127"]);
    let token = minted(&env, &json!({"zones": ["guajiro.xyz"]}));
    env.set("CLOUDFLARE_API_TOKEN", &token);
    env.expect(0, &["plan"]);
}

/// The Global API Key is known by its form, and goes nowhere; nor has the spec a place for it.
#[test]
fn bz_09_the_global_api_key_is_refused_and_not_sent() {
    let mut env = applied();
    for key in [
        "c2547eb745079dac9320b638f5e225cf483cc",
        "cfk_0123456789012345678901234567890123456789a1b2c3d4",
    ] {
        env.set("CLOUDFLARE_API_TOKEN", key);
        env.clear_requests();
        for command in [&["plan"][..], &["apply", "--auto-approve"]] {
            let refused = env.expect(9, command);
            let said = refused.text();
            assert!(
                said.contains("Global API Key") && said.contains("API token"),
                "{said}"
            );
            assert!(!said.contains(key), "{said}");
        }
        let all = env.requests();
        let sent = all
            .iter()
            .filter(|r| r["path"].to_string().contains("/client/v4"));
        assert_eq!(sent.count(), 0);
    }
    env.edit(
        "zonewright.toml",
        "[providers.cloudflare]\n",
        "[providers.cloudflare]\nemail = \"ops@guajiro.xyz\"\napi_key = \"${secret.cf_token}\"\n",
    );
    let refused = env.expect(1, &["validate"]).text();
    assert_eq!(refused.matches("Global API Key").count(), 2, "{refused}");
}
