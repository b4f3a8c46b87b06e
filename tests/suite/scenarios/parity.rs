//! BZ-26: the zones mirror each other, and what does not is named; the values of secrets never are.

use serde_json::{Value, json};
use zonewright_tests::{Env, Output};

use super::example;

const CANARY: &str = "canary-4b1d9f-in-clear-text";

/// The example, applied with a salt that must never show.
fn mirrored() -> Env {
    let mut env = example();
    env.set("WORDPRESS_SALT", CANARY);
    env.expect(0, &["apply", "--auto-approve"]);
    env
}

fn report(env: &Env, code: i32) -> Value {
    let args = ["parity", "pz", "bz", "--format", "json"];
    let output = env.expect(code, &args);
    assert!(!output.text().contains(CANARY), "{}", output.text());
    output.json()
}

fn subjects(report: &Value) -> Vec<String> {
    let differences = report["differences"].as_array().unwrap().iter();
    differences
        .map(|d| {
            let path = d["path"].as_str().unwrap_or("-");
            let side = d["side"].as_str().unwrap();
            format!("{side} {} {path}", d["resource"].as_str().unwrap())
        })
        .collect()
}

/// The path of objects in a zone's cluster, and the token that opens it.
fn cluster(env: &Env, name: &str) -> (String, String) {
    let clusters = env.table("digitalocean", "kubernetes_clusters");
    let found = clusters.iter().find(|c| c["name"] == name).unwrap();
    let id = found["id"].as_str().unwrap();
    let token = env.ready().env();
    let token = token.into_iter().find(|(n, _)| *n == "DIGITALOCEAN_TOKEN");
    let path = format!("/v2/kubernetes/clusters/{id}/credentials");
    let (_, access) = env.meddle("GET", &path, &token.unwrap().1, None);
    let token = access["token"].as_str().unwrap().to_owned();
    (format!("/clusters/{id}"), token)
}

fn patch(env: &Env, path: &str, body: &Value) {
    let (root, token) = cluster(env, "wp-bz-doks-sfo3");
    let (status, said) = env.meddle("PATCH", &format!("{root}{path}"), &token, Some(body));
    assert_eq!(status, 200, "{said}");
}

/// What the example allows and explains is all that differs; secrets are told to be the same.
#[test]
fn bz_26_the_example_is_clean_once_it_is_applied() {
    let env = mirrored();
    let clean = report(&env, 0);
    assert_eq!(subjects(&clean), [""; 0]);
    assert_eq!(clean["unused"], json!([]));
    assert_eq!(clean["unreadable"], json!([]));
    assert!(clean["pairs"].as_u64().unwrap() > 60, "{}", clean["pairs"]);
    let salt = clean["secrets"].as_array().unwrap().iter().find(|s| {
        s["subject"]
            .as_str()
            .unwrap()
            .contains("WORDPRESS_AUTH_SALT")
    });
    let salt = salt.expect("the salt is compared");
    assert_eq!(salt["same"], true);
    assert_eq!(salt["left"], salt["right"]);
    assert_eq!(salt["left"].as_str().unwrap().len(), 32);
    // Replicas come from a setting of the role, the reserved address from its overlay.
    let because = |path: &str| -> Value {
        let explained = clean["explained"].as_array().unwrap();
        let found = explained.iter().find(|e| e["path"] == path);
        found.unwrap_or_else(|| panic!("{path}: {explained:#?}"))["because"].clone()
    };
    assert_eq!(because("spec.replicas")["cause"], "settings");
    assert_eq!(because("content")["of"], "role.standby");
    for form in ["text", "markdown"] {
        let shown: Output = env.expect(0, &["-v", "parity", "pz", "bz", "--format", form]);
        assert!(!shown.text().contains(CANARY), "{}", shown.text());
        assert!(
            shown.stdout.contains("WORDPRESS_AUTH_SALT"),
            "{}",
            shown.text()
        );
    }
    // The other way round it is the same.
    env.expect(0, &["parity", "bz", "pz"]);
}

/// What looks like a table's header inside a text is none.
#[test]
fn an_overlay_is_known_by_its_table_and_not_by_its_lines() {
    let env = mirrored();
    let bz = std::fs::read_to_string(env.path().join("zones/bz.toml")).unwrap();
    let overlay = "\n[role.standby.digitalocean.vpc.main]\ndescription = \"\"\"\n[mysqld]\n\"\"\"\nname = \"vpc-other\"\n";
    env.write("zones/bz.toml", &format!("{bz}{overlay}"));
    env.expect(0, &["apply", "--auto-approve"]);
    let report = env
        .expect(0, &["parity", "pz", "bz", "--format", "json"])
        .json();
    let explained = report["explained"].as_array().unwrap();
    let name = explained
        .iter()
        .find(|e| e["resource"] == "digitalocean.vpc.main" && e["path"] == "name");
    let name = name.unwrap_or_else(|| panic!("{explained:#?}"));
    assert_eq!(name["because"]["of"], "role.standby");
    env.assert_settled();
}

#[test]
fn bz_26_what_was_changed_in_one_zone_is_named() {
    let env = mirrored();
    let deployment = "/apis/apps/v1/namespaces/app/deployments/wp";
    let image = json!({"spec": {"template": {"spec": {"containers":
        [{"name": "wordpress", "image": "wordpress:5.0"}]}}}});
    let (root, token) = cluster(&env, "wp-bz-doks-sfo3");
    let (_, before) = env.meddle("GET", &format!("{root}{deployment}"), &token, None);
    let mut containers = before["spec"]["template"]["spec"]["containers"].clone();
    containers[0]["image"] = image["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    patch(
        &env,
        deployment,
        &json!({"spec": {"template": {"spec": {"containers": containers}}}}),
    );
    patch(
        &env,
        "/api/v1/namespaces/app/secrets/wp-s3",
        &json!({"data": {"S3_SECRET_ACCESS_KEY": null}}),
    );
    // "another-secret-value"
    patch(
        &env,
        "/api/v1/namespaces/app/secrets/wp-salt",
        &json!({"data": {"WORDPRESS_AUTH_SALT": "YW5vdGhlci1zZWNyZXQtdmFsdWU="}}),
    );
    let differs = report(&env, 2);
    assert_eq!(
        subjects(&differs),
        [
            "live kubernetes.manifest.wordpress[\"apps/Deployment/app/wp\"] spec.template.spec.containers[0].image",
            "live kubernetes.secret.s3 stringData.S3_SECRET_ACCESS_KEY",
            "live kubernetes.secret.salt stringData.WORDPRESS_AUTH_SALT",
        ]
    );
    assert_eq!(differs["differences"][0]["right"], "wordpress:5.0");
    assert_eq!(differs["differences"][1]["right"], Value::Null);
    let text = env.expect(2, &["parity", "pz", "bz"]).text();
    assert!(
        !text.contains("another-secret-value") && !text.contains("YW5vdGhlci1"),
        "{text}"
    );
    env.expect(0, &["apply", "--auto-approve"]);
    report(&env, 0);
}

#[test]
fn bz_26_another_version_or_image_in_the_spec_is_named_and_can_be_allowed() {
    let env = mirrored();
    let text = std::fs::read_to_string(env.path().join("zones/bz.toml")).unwrap();
    let more = "\n[kubernetes.chart.cert_manager]\nversion = \"1.18.0\"\n\n[kubernetes.manifest.wordpress]\nfile = \"manifests/bz.yaml\"\n";
    env.write("zones/bz.toml", &format!("{text}{more}"));
    let manifest = std::fs::read_to_string(env.path().join("manifests/wordpress.yaml")).unwrap();
    let other = manifest.replace("wordpress:6.9-php8.3-apache", "wordpress:6.8-php8.3-apache");
    assert_ne!(manifest, other);
    env.write("manifests/bz.yaml", &other);
    env.expect(0, &["apply", "--auto-approve"]);
    let differs = report(&env, 2);
    let named = subjects(&differs);
    assert!(
        named.contains(&"spec kubernetes.chart.cert_manager version".to_owned()),
        "{named:#?}"
    );
    let image = "spec kubernetes.manifest.wordpress[\"apps/Deployment/app/wp\"] spec.template.spec.containers[0].image";
    assert!(named.contains(&image.to_owned()), "{named:#?}");
    // Replicas are written twice now, too.
    assert!(
        named.iter().all(|n| n == image
            || n.contains("cert_manager version")
            || n.ends_with(" spec.replicas")),
        "{named:#?}"
    );
    env.edit(
        "zonewright.toml",
        "allow = [",
        "allow = [\n  { path = \"kubernetes.manifest.wordpress*\", reason = \"tried out\" },\n  { path = \"kubernetes.chart.cert_manager version\", reason = \"held back\" },\n  { path = \"kubernetes.nothing\", reason = \"none\" },",
    );
    let allowed = report(&env, 0);
    assert_eq!(allowed["unused"][0]["path"], "kubernetes.nothing");
    assert!(
        allowed["unused"].as_array().unwrap().len() == 1,
        "{}",
        allowed["unused"]
    );
    env.edit("zonewright.toml", "reason = \"none\" }", "}");
    let wrong = env.run(&["validate"]);
    assert!(
        wrong.text().contains("`reason` is missing"),
        "{}",
        wrong.text()
    );
}

#[test]
fn what_cannot_be_compared_is_no_parity() {
    let env = mirrored();
    for other in ["edge", "nowhere"] {
        let refused = env.expect(1, &["parity", "pz", other]);
        assert!(
            refused.stderr.contains("the zones are bz, pz"),
            "{}",
            refused.text()
        );
    }
    patch(
        &env,
        "/api/v1/namespaces/app/secrets/wp-s3",
        &json!({"data": {"MORE": "YQ=="}}),
    );
    let differs = report(&env, 2);
    assert_eq!(
        subjects(&differs),
        ["live kubernetes.secret.s3 stringData.MORE"]
    );
}
