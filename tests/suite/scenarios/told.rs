//! What does not run says why: the pod's own reason is in the error, and no secret is.

use super::example;
use super::verify::{meddle, ready};

/// Annotations of the pod template of WordPress that let it crash with these last words.
fn crash(said: &str) -> String {
    format!(
        "  template:\n    metadata:\n      annotations:\n        sandbox.zonewright.dev/ready: crashloop\n        sandbox.zonewright.dev/output: \"{said}\"\n"
    )
}

#[test]
fn a_workload_that_does_not_get_ready_says_why_and_tells_no_secret() {
    let env = example();
    let salt = env.ready().secret("wp_salt");
    let template = "  template:\n    metadata:\n";
    let file = "manifests/wordpress.yaml";
    env.edit(
        file,
        template,
        &crash(&format!("cannot start with {salt} today")),
    );
    let failed = env.expect(3, &["apply", "--zone", "pz", "--auto-approve"]);
    let why = "container wordpress: CrashLoopBackOff: back-off 40s restarting failed container; it ended with exit code 1 (Error): cannot start with (secret) today";
    assert!(failed.stderr.contains(why), "{}", failed.text());
    assert!(failed.stderr.contains("pod wp-"), "{}", failed.text());
    assert!(!failed.stderr.contains(&salt), "{}", failed.text());

    // The end of a log that stands in for a message is nobody's to quote.
    let policy = "image: wordpress:6.9-php8.3-apache\n          terminationMessagePolicy: FallbackToLogsOnError";
    env.edit(file, "image: wordpress:6.9-php8.3-apache", policy);
    let failed = env.expect(3, &["apply", "--zone", "pz", "--auto-approve"]);
    let ends = "it ended with exit code 1 (Error)";
    assert!(failed.stderr.contains(ends), "{}", failed.text());
    assert!(!failed.stderr.contains("cannot start"), "{}", failed.text());

    env.edit(
        file,
        &crash(&format!("cannot start with {salt} today")),
        template,
    );
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
}

/// BZ-24: a cold smoke that fails tells what its pod said.
#[test]
fn a_smoke_job_that_fails_says_what_its_pod_said() {
    let env = ready();
    let jobs =
        serde_json::json!({"metadata": {"annotations": {"sandbox.zonewright.dev/jobs": "fail"}}});
    meddle(&env, "bz", "PATCH", "/api/v1/namespaces/app", Some(&jobs));
    let failed = env.expect(6, &["smoke", "--zone", "bz"]);
    let why = "container probe ended with exit code 1 (Error): the program has failed";
    assert!(failed.stdout.contains(why), "{}", failed.text());
    let jobs =
        serde_json::json!({"metadata": {"annotations": {"sandbox.zonewright.dev/jobs": null}}});
    meddle(&env, "bz", "PATCH", "/api/v1/namespaces/app", Some(&jobs));
    env.expect(0, &["smoke", "--zone", "bz"]);
    env.assert_settled();
}
