//! What `charts lock` writes is what plans use, and nothing else.

use crate::lab::{CONFIG, Lab};

/// Locked with helm, planned and applied without it; each zone has its own values.
#[test]
fn what_is_locked_is_applied_without_helm() {
    let Some(mut lab) = Lab::new(&Lab::web("./own/web")) else {
        return;
    };
    lab.chart("own/web", "web", "0.1.0", &[("config.yaml", CONFIG)]);
    lab.charts(0, &["lock"]);
    let written = lab.vendored();
    assert_eq!(written.len(), 4, "{written:?}");
    lab.charts(0, &["lock", "--check"]);
    lab.charts(0, &["lock"]);
    assert!(
        lab.vendored() == written,
        "a second lock writes something else"
    );
    lab.env.set("ZONEWRIGHT_HELM", "/nonexistent");
    let applied = lab.env.expect(0, &["apply", "--auto-approve"]);
    assert!(!applied.text().contains("ZW17"), "{}", applied.text());
    lab.env.assert_settled();
    let plan = lab.env.expect(
        0,
        &[
            "show",
            "pz/kubernetes.chart.web[\"core/ConfigMap/app/web\"]",
        ],
    );
    assert!(plan.stdout.contains("\"pz\""), "{}", plan.stdout);
    let plan = lab.env.expect(
        0,
        &[
            "show",
            "bz/kubernetes.chart.web[\"core/ConfigMap/app/web\"]",
        ],
    );
    assert!(plan.stdout.contains("\"bz\""), "{}", plan.stdout);
}

/// Everything that does not fit the lock stops a plan before anything is sent, and says the way out; after
/// the next lock the change is planned like any other.
#[test]
fn what_does_not_fit_is_refused_until_it_is_locked() {
    let Some(lab) = Lab::new(&Lab::web("./own/web")) else {
        return;
    };
    lab.chart("own/web", "web", "0.1.0", &[("config.yaml", CONFIG)]);
    lab.charts(0, &["lock", "web"]);
    lab.env.expect(0, &["apply", "--auto-approve"]);
    lab.env.clear_requests();

    lab.env.edit(
        "zones/pz.toml",
        "zone = \"${zone.name}\"",
        "zone = \"${zone.region}\"",
    );
    let refused = lab.env.expect(1, &["apply", "--auto-approve"]);
    assert!(refused.stderr.contains("ZW1709"), "{}", refused.text());
    assert!(
        refused.stderr.contains("zonewright charts lock web"),
        "{}",
        refused.text()
    );
    let checked = lab.charts(2, &["lock", "--check"]);
    assert!(
        checked.stdout.contains("rendered with other `values`"),
        "{}",
        checked.text()
    );
    assert!(
        checked.stdout.contains("would change charts/pz/web.yaml"),
        "{}",
        checked.text()
    );
    let diff = lab.charts(2, &["diff", "web", "--zone", "pz"]);
    assert!(
        diff.stdout.contains("data.zone: \"pz\" -> \"nyc3\""),
        "{}",
        diff.text()
    );
    lab.charts(0, &["lock"]);
    lab.env.expect(2, &["plan", "--detailed-exitcode"]);

    let rendering = lab.read("charts/pz/web.yaml");
    lab.env
        .write("charts/pz/web.yaml", &rendering.replace("nyc3", "ams3"));
    let refused = lab.env.expect(1, &["apply", "--auto-approve"]);
    assert!(refused.stderr.contains("ZW1710"), "{}", refused.text());
    lab.charts(2, &["lock", "--check"]);
    lab.charts(0, &["lock"]);

    lab.env
        .edit("own/web/templates/config.yaml", "version:", "release:");
    let refused = lab.env.expect(1, &["apply", "--auto-approve"]);
    assert!(refused.stderr.contains("ZW1709"), "{}", refused.text());
    assert!(lab.env.mutations().is_empty());
    lab.charts(0, &["lock"]);
    lab.env.expect(0, &["apply", "--auto-approve"]);
    lab.env.assert_settled();
}

/// What leaves the spec leaves the lock and the disk; what is not asked about stays.
#[test]
fn what_is_not_wanted_any_more_goes() {
    let tables = format!(
        "{}{}",
        Lab::web("./own/web"),
        Lab::web("./own/web").replace("chart.web", "chart.two")
    );
    let Some(lab) = Lab::new(&tables) else { return };
    lab.chart("own/web", "web", "0.1.0", &[("config.yaml", CONFIG)]);
    lab.charts(0, &["lock"]);
    assert!(lab.has("charts/two.tgz") && lab.has("charts/bz/two.yaml"));
    lab.env.edit(
        "zones/pz.toml",
        "[kubernetes.chart.two]",
        "[kubernetes.chart.three]",
    );
    lab.charts(0, &["lock", "three"]);
    assert!(lab.has("charts/two.tgz"), "it was not asked about");
    let done = lab.charts(0, &["lock"]);
    assert!(
        done.stdout.contains("removed      charts/two.tgz"),
        "{}",
        done.text()
    );
    assert!(!lab.has("charts/two.tgz") && !lab.has("charts/bz/two.yaml"));
    assert!(!lab.read("charts.lock").contains("two"));
    let unknown = lab.charts(1, &["lock", "tow"]);
    assert!(
        unknown.stderr.contains("the charts are three, web"),
        "{}",
        unknown.text()
    );
}

/// Zones may have different versions: the standby tries the next one first.
#[test]
fn zones_may_differ_in_the_version() {
    let Some(lab) = Lab::new(&Lab::web("vendor/web-0.1.0.tgz")) else {
        return;
    };
    for version in ["0.1.0", "0.2.0"] {
        lab.chart("own/web", "web", version, &[("config.yaml", CONFIG)]);
        let bytes = lab.packed("own/web");
        let path = lab.env.path().join(format!("vendor/web-{version}.tgz"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let bz = lab.read("zones/bz.toml");
    let next = "[kubernetes.chart.web]\nchart = \"vendor/web-0.2.0.tgz\"\nversion = \"v0.2.0\"\n";
    lab.env.write("zones/bz.toml", &format!("{bz}{next}"));
    lab.charts(0, &["lock"]);
    assert!(
        lab.read("charts/pz/web.yaml")
            .contains("version: \"0.1.0\"")
    );
    assert!(
        lab.read("charts/bz/web.yaml")
            .contains("version: \"0.2.0\"")
    );
    lab.env.expect(0, &["validate"]);
    let diff = lab.charts(2, &["diff", "vendor/web-0.1.0.tgz", "vendor/web-0.2.0.tgz"]);
    assert!(
        diff.stdout.contains("data.version: \"0.1.0\" -> \"0.2.0\""),
        "{}",
        diff.text()
    );
}

/// The committed rendering of the example is what helm makes of its chart today, byte for byte.
#[test]
fn the_example_is_rendered_as_it_is_committed() {
    let Some(lab) = Lab::example() else { return };
    lab.charts(0, &["lock", "guardrails", "--check"]);
    for zone in ["pz", "bz"] {
        let values = lab
            .charts(0, &["render", "guardrails", "--zone", zone])
            .stdout;
        let committed = lab.read(&format!("charts/{zone}/guardrails.yaml"));
        assert_eq!(values, committed);
        lab.env.write("values.json", &format!("{{\"zone\":\"{zone}\",\"namespaces\":[\"platform\",\"app\"],\"workloads\":[{{\"name\":\"wp\",\"namespace\":\"app\",\"matchLabels\":{{\"app\":\"wp\"}}}}]}}"));
        let fresh = lab.helm(&[
            "template",
            "guardrails",
            "./helm/guardrails",
            "-n",
            "platform",
            "--include-crds",
            "--no-hooks",
            "--kube-version",
            "1.34",
            "-f",
            "values.json",
        ]);
        assert_eq!(fresh, committed, "helm itself renders something else");
    }
}
