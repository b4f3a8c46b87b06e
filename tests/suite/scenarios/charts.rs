//! Vendored renderings of real charts, and the files of the examples.

use zonewright_tests::{renderings, root};

use super::example;

/// Real charts of several megabytes, custom resource definitions and custom resources of them, in the
/// same apply as the clusters that they live in.
#[test]
fn real_charts_go_the_same_way_as_stand_ins() {
    let Some(dir) = renderings() else { return };
    let env = example();
    for zone in ["pz", "bz"] {
        for (name, file) in [
            ("cert_manager", "cert-manager"),
            ("monitoring", "kube-prometheus-stack"),
            ("traefik", "traefik"),
        ] {
            let text = std::fs::read_to_string(dir.join(format!("{file}.yaml"))).unwrap();
            env.write(&format!("charts/{zone}/{name}.yaml"), &text);
        }
    }
    let plan = env.expect(0, &["plan", "--format", "json"]).json();
    let changes = plan["resource_changes"].as_array().unwrap();
    assert!(changes.len() > 350, "{}", changes.len());
    assert!(!plan.to_string().contains("stand-in of the sandbox"));
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
    env.assert_settled();
    env.expect(0, &["destroy", "--zone", "bz", "--auto-approve"]);
}

/// Without `--sandbox` nothing stands in for a chart that is not vendored.
#[test]
fn a_chart_that_is_not_vendored_is_an_error_without_the_sandbox() {
    let env = example();
    let output = env.bare(&["validate"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("charts lock"), "{text}");
    assert!(text.contains("cert_manager"), "{text}");
}

#[test]
fn the_files_of_the_example_follow_the_published_schema() {
    let env = example();
    let schema = env.expect(0, &["schema"]).json();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for file in ["zonewright.toml", "zones/pz.toml", "zones/bz.toml"] {
        let text = std::fs::read_to_string(env.path().join(file)).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let json = serde_json::to_value(table).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&json)
            .map(|e| format!("{}: {e}", e.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{file}: {errors:#?}");
        let wrong = serde_json::json!({ "digitalocean": { "vpc": { "main": { "nmae": "x" } } } });
        assert!(!validator.is_valid(&wrong), "the schema accepts anything");
    }
    env.expect(0, &["fmt", "--check"]);
}

/// `docs/kinds.md` is what `zonewright schema --reference` prints.
#[test]
fn the_reference_of_kinds_is_up_to_date() {
    let env = example();
    let printed = env.expect(0, &["schema", "--reference"]).stdout;
    let committed = std::fs::read_to_string(root().join("docs/kinds.md")).unwrap();
    assert!(
        committed == printed,
        "write it anew: zonewright schema --reference > docs/kinds.md"
    );
}
