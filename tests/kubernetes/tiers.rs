//! What a plan knows of an object: tried at the server, foretold, or put off.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::objects::{SECOND, SMALL, WIDGETS, settings};

const SETTINGS: &str = r#"---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: NAME}
data: {mode: quiet}
"#;

/// The tiers of what a plan would write, by the kind and the name of the object.
fn tiers(lab: &Lab) -> BTreeMap<String, Value> {
    let plan = lab.expect(0, &["plan", "--format", "json"]).json();
    let changes = plan["resource_changes"].as_array().unwrap();
    let written = changes.iter().filter(|c| !c["tier"].is_null());
    written
        .map(|c| {
            let key = c["key"].as_str().unwrap();
            let mut parts = key.split('/').skip(1);
            let (kind, name) = (parts.next().unwrap(), parts.last().unwrap());
            (format!("{kind} {name}"), c["tier"].clone())
        })
        .collect()
}

fn names(lab: &Lab) -> BTreeMap<String, String> {
    let short = |tier: &Value| {
        let why = tier["because"]["why"].as_str();
        let name = tier["tier"].as_str().unwrap();
        why.map_or_else(|| name.to_owned(), |why| format!("{name}: {why}"))
    };
    let tiers = tiers(lab);
    tiers
        .iter()
        .map(|(k, t)| (k.replace(lab.name(), "NAME"), short(t)))
        .collect()
}

fn map<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, String> {
    let own = |(key, tier): (&str, &str)| (key.to_owned(), tier.to_owned());
    entries.into_iter().map(own).collect()
}

/// What stands by itself is tried; what needs a namespace or a kind of the same plan cannot be.
pub(crate) fn a_plan_says_how_each_object_was_computed(lab: &Lab) {
    let first = format!("{WIDGETS}{SETTINGS}");
    lab.manifest(&first);
    let definition = "CustomResourceDefinition widgets.NAME.example.com";
    let expected = map([
        ("ConfigMap settings", "predicted: ground"),
        (definition, "exact"),
        ("Namespace NAME", "exact"),
        ("Widget one", "predicted: ground"),
    ]);
    assert_eq!(names(lab), expected);
    let shown = lab.expect(0, &["plan", "-v"]).stdout;
    for words in ["new in the spec", "; exact", "goes first"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    lab.converge();
    assert_eq!(names(lab), map([]));
    let second = first.replace("quiet", "loud").replace("red", "blue");
    lab.manifest(&format!("{second}{SECOND}"));
    let expected = map([
        ("ConfigMap second", "exact"),
        ("ConfigMap settings", "exact"),
        ("Widget one", "exact"),
    ]);
    assert_eq!(names(lab), expected);
    lab.converge();
    // A kind gains a field: what may use it is tried by nobody before.
    let weight = "default: 3}\n              weight: {type: integer, default: 1}";
    let third = second
        .replace("default: 3}", weight)
        .replace("blue", "green");
    lab.manifest(&format!("{third}{SECOND}"));
    let expected = map([(definition, "exact"), ("Widget one", "predicted: ground")]);
    assert_eq!(names(lab), expected);
    lab.converge();
    // What is approved is what happens, also when it was looked at twice.
    lab.patch(&settings(lab), &json!({ "data": { "mode": "theirs" } }));
    assert_eq!(names(lab), map([("ConfigMap settings", "exact")]));
    lab.converge();
    assert_eq!(lab.get(&settings(lab)).unwrap()["data"]["mode"], "loud");
}

/// A port that there is not, a field that there is not, a namespace that nobody makes: an apply would fail
/// half way. Nothing is sent.
pub(crate) fn what_the_server_would_refuse_is_no_plan(lab: &Lab) {
    lab.manifest(SMALL);
    lab.converge();
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: wrong, namespace: NAME}\nspec: {ports: [{port: 99999}]}\n";
    let pod = "---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {name: wrong, namespace: NAME}\nspec: {schedule: '* * * * *', jobTemplat: {}}\n";
    let nowhere =
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: wrong, namespace: NAME-none}\n";
    for (wrong, word) in [(service, "99999"), (pod, "jobTemplat"), (nowhere, "-none")] {
        lab.manifest(&format!("{SMALL}{SECOND}{wrong}"));
        for command in [&["plan"][..], &["apply", "--auto-approve"]] {
            let output = lab.expect(1, command);
            for said in ["ZW3132", word] {
                assert!(output.stderr.contains(said), "{said}: {}", output.text());
            }
        }
        let second = settings(lab).replace("settings", "second");
        assert!(lab.get(&second).is_none(), "{word}: nothing was sent");
    }
    lab.manifest(SMALL);
    lab.assert_settled();
}
