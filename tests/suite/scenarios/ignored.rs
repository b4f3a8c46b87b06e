//! Attributes that somebody else looks after, and values with which a resource is replaced.

use serde_json::json;

use super::{applied, names, pz_cluster, token};

#[test]
fn an_ignored_attribute_is_set_once_and_left_to_others() {
    let env = applied();
    // Somebody scales the workload; the spec leaves that to them from now on.
    let token = token(&env, "DIGITALOCEAN_TOKEN");
    let (cluster, access) = pz_cluster(&env);
    let workload = format!("{cluster}/apis/apps/v1/namespaces/app/deployments/wp");
    let scale = |n: u64| {
        let body = json!({ "spec": { "replicas": n } });
        assert_eq!(env.meddle("PATCH", &workload, &access, Some(&body)).0, 200);
    };
    let live = || env.meddle("GET", &workload, &access, None).1["spec"]["replicas"].clone();
    scale(5);
    env.expect(2, &["drift"]);
    env.edit(
        "zones/pz.toml",
        "[kubernetes.manifest.wordpress]\nfile = \"manifests/wordpress.yaml\"\ntemplate = true",
        "[kubernetes.manifest.wordpress]\nfile = \"manifests/wordpress.yaml\"\ntemplate = true\nzonewright = { ignore = [\"spec.replicas\"] }",
    );
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
    assert_eq!(live(), 5);
    scale(6);
    env.assert_settled();

    // A change beside it leaves it alone, too.
    env.edit(
        "manifests/wordpress.yaml",
        "replicas: ",
        "minReadySeconds: 3\n  replicas: ",
    );
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
    let now = env.meddle("GET", &workload, &access, None).1;
    assert_eq!(
        (&now["spec"]["replicas"], &now["spec"]["minReadySeconds"]),
        (&json!(6), &json!(3))
    );

    // Made anew, it starts as the spec says.
    env.meddle("DELETE", &workload, &access, None);
    env.expect(0, &["apply", "--auto-approve"]);
    assert_eq!(live(), 1);
    env.assert_settled();

    // The attribute of a cloud resource, likewise.
    env.edit("zones/pz.toml", "ip_range = \"${zone.cidr}\"", "ip_range = \"${zone.cidr}\"\ndescription = \"made by us\"\nzonewright = { ignore = [\"description\"] }");
    let vpcs = env.table("digitalocean", "vpcs");
    let vpc = vpcs.iter().find(|v| v["name"] == "vpc-wp-pz").unwrap();
    let mark = vpc["description"].as_str().unwrap();
    let body = json!({ "description": format!("theirs {mark}") });
    let path = format!("/v2/vpcs/{}", vpc["id"].as_str().unwrap());
    env.meddle("PATCH", &path, &token, Some(&body));
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
    let vpcs = env.table("digitalocean", "vpcs");
    let vpc = vpcs.iter().find(|v| v["name"] == "vpc-wp-pz").unwrap();
    assert!(
        vpc["description"].as_str().unwrap().starts_with("theirs "),
        "{vpc}"
    );
}

#[test]
fn what_cannot_be_ignored_is_said_with_the_word_that_other_tools_use() {
    let env = super::example();
    env.edit("zones/pz.toml", "ip_range = \"${zone.cidr}\"", "ip_range = \"${zone.cidr}\"\nzonewright = { ignore = [\"name\", \"ip_rang\"], prevent_destroy = true, replace_when = [\"never\"], yield = [\"name\"] }");
    let refused = env.expect(1, &["validate"]).stderr;
    for needle in [
        "`name` names the resource",
        "did you mean `ip_range`?",
        "it is called `protect` here",
        "a text that never changes",
        "`yield` is for objects of a cluster",
    ] {
        assert!(refused.contains(needle), "no {needle:?} in {refused}");
    }
}

#[test]
fn a_value_that_changes_replaces_what_it_is_named_on() {
    let env = applied();
    env.edit(
        "zones/pz.toml",
        "[kubernetes.secret.salt]",
        "[kubernetes.manifest.once]\nobject = { apiVersion = \"v1\", kind = \"ConfigMap\", metadata = { name = \"once\", namespace = \"app\" }, data = { a = \"b\" } }\nzonewright = { replace_when = [\"${zone.cidr}\", \"${kubernetes.secret.salt.metadata.uid}\"] }\n\n[kubernetes.secret.salt]",
    );
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
    let (cluster, access) = pz_cluster(&env);
    let once = format!("{cluster}/api/v1/namespaces/app/configmaps/once");
    let uid = || env.meddle("GET", &once, &access, None).1["metadata"]["uid"].clone();
    let before = uid();
    assert!(before.is_string(), "{before}");
    env.expect(0, &["plan", "--detailed-exitcode"]);
    // What it names is replaced: so is it, in the same run, afterwards.
    let replace = [
        "plan",
        "--replace",
        "pz/kubernetes.secret.salt",
        "-o",
        "salt.plan",
    ];
    let plan = env.expect(0, &replace).stdout;
    assert!(
        plan.contains("${kubernetes.secret.salt.metadata.uid} changes"),
        "{plan}"
    );
    assert!(plan.contains("2 to replace"), "{plan}");
    env.expect(0, &["apply", "salt.plan"]);
    assert_ne!(before, uid());
    env.assert_settled();
    assert_eq!(names(&env, "vpcs").len(), 2);
}
