//! What is rendered: nothing but the inputs, the same twice, hooks apart.

use crate::lab::{CONFIG, Lab};

fn hook(kinds: &str, name: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {name}\n  annotations:\n    helm.sh/hook: {kinds}\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      containers:\n        - name: a\n          image: busybox:1.37\n"
    )
}

/// Tests are left out by themselves; what else wants to run around a release is refused, until it is waived.
#[test]
fn hooks_are_told_apart() {
    let Some(lab) = Lab::new(&Lab::web("./own/web")) else {
        return;
    };
    let test = hook("test", "try");
    lab.chart(
        "own/web",
        "web",
        "0.1.0",
        &[("config.yaml", CONFIG), ("test.yaml", &test)],
    );
    let done = lab.charts(0, &["lock"]);
    assert!(
        done.stdout
            .contains("hook batch/Job/-/try (test) left out: a test"),
        "{}",
        done.text()
    );
    let before = lab.vendored();

    lab.env.write(
        "own/web/templates/install.yaml",
        &hook("pre-install,pre-upgrade", "migrate"),
    );
    lab.env.write(
        "own/web/templates/remove.yaml",
        &hook("post-delete", "sweep"),
    );
    let refused = lab.charts(1, &["lock"]);
    for words in [
        "ZW4035",
        "the chart `web` has 2 hooks",
        "batch/Job/-/migrate: pre-install,pre-upgrade, around an installation",
        "batch/Job/-/sweep: post-delete, for removals",
        "hooks = \"drop\"",
    ] {
        assert!(
            refused.stderr.contains(words),
            "{words}: {}",
            refused.text()
        );
    }
    assert!(lab.vendored() == before, "something was written");

    lab.env.edit(
        "zones/pz.toml",
        "namespace = \"app\"\nvalues",
        "namespace = \"app\"\nhooks = \"drop\"\nvalues",
    );
    let done = lab.charts(0, &["lock"]);
    assert!(
        done.stdout
            .contains("migrate (pre-install,pre-upgrade) left out: dropped"),
        "{}",
        done.text()
    );
    let text = lab.read("charts/pz/web.yaml");
    assert!(
        !text.contains("helm.sh/hook") && text.contains("ConfigMap"),
        "{text}"
    );
    lab.env.expect(0, &["validate"]);
}

/// The chart's own remedy is named where it is known.
#[test]
fn a_known_chart_does_without_hooks_by_its_values() {
    let Some(lab) = Lab::new(&Lab::web("./own/web")) else {
        return;
    };
    lab.chart(
        "own/web",
        "cert-manager",
        "1.0.0",
        &[("a.yaml", &hook("post-install", "check"))],
    );
    let refused = lab.charts(1, &["lock"]);
    assert!(
        refused
            .stderr
            .contains("startupapicheck = { enabled = false }"),
        "{}",
        refused.text()
    );
}

/// What is another one each time is named by object, path, template and function.
#[test]
fn what_is_random_is_refused_by_name() {
    let Some(lab) = Lab::new(&Lab::web("./own/web")) else {
        return;
    };
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: admin\nstringData:\n  password: {{ randAlphaNum 24 | quote }}\n  fixed: {{ .Values.zone }}\n";
    let dated = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: dated\n  annotations:\n    on: {{ now | date \"2006-01-02\" | quote }}\n";
    lab.chart(
        "own/web",
        "web",
        "0.1.0",
        &[("secret.yaml", secret), ("dated.yaml", dated)],
    );
    let refused = lab.charts(1, &["lock"]);
    for words in [
        "ZW4034",
        "core/Secret/-/admin differs in `stringData.password`: web/templates/secret.yaml, likely by randAlphaNum",
        "core/ConfigMap/-/dated differs in `metadata.annotations.on`: web/templates/dated.yaml, likely by now, date",
        "in 2 places",
    ] {
        assert!(
            refused.stderr.contains(words),
            "{words}: {}",
            refused.text()
        );
    }
    assert!(!lab.has("charts.lock") && !lab.has("charts"));
}

/// Neither a cluster, nor a name server, nor this host: only what the spec says.
#[test]
fn only_the_inputs_count() {
    let Some(mut lab) = Lab::new(&Lab::web("./own/web")) else {
        return;
    };
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\ndata:\n  kube: {{ .Capabilities.KubeVersion.Version }}\n  monitored: {{ .Capabilities.APIVersions.Has \"monitoring.coreos.com/v1\" | quote }}\n  dns: {{ getHostByName \"localhost\" | quote }}\n  secret: {{ lookup \"v1\" \"Secret\" \"app\" \"x\" | toJson | quote }}\n";
    lab.chart("own/web", "web", "0.1.0", &[("a.yaml", text)]);
    lab.env.set("KUBECONFIG", "/etc/kubernetes/admin.conf");
    lab.env.set("HELM_NAMESPACE", "elsewhere");
    let done = lab.charts(0, &["lock"]);
    assert!(
        done.stdout
            .contains("templates/a.yaml looks things up in the cluster"),
        "{}",
        done.text()
    );
    let text = lab.read("charts/pz/web.yaml");
    for line in [
        "kube: v1.34",
        "monitored: \"false\"",
        "dns: \"\"",
        "secret: \"{}\"",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    lab.env.edit("zones/pz.toml", "namespace = \"app\"\nvalues", "namespace = \"app\"\nkube_version = \"1.36.2\"\napi_versions = [\"monitoring.coreos.com/v1\"]\nvalues");
    lab.charts(0, &["lock"]);
    let text = lab.read("charts/pz/web.yaml");
    assert!(
        text.contains("kube: v1.36.2") && text.contains("monitored: \"true\""),
        "{text}"
    );
}

/// YAML as helm emits it and Kubernetes reads it.
#[test]
fn yaml_is_read_as_kubernetes_reads_it() {
    let Some(lab) = Lab::new(&Lab::web("./own/web")) else {
        return;
    };
    let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  namespace: app\n  annotations: { operator: =, answer: \"on\", country: \"no\" }\nspec:\n  replicas: 0\n  selector: { matchLabels: { app: web } }\n  template:\n    metadata: { labels: { app: web } }\n    spec:\n      containers: [{ name: web, image: \"nginx:1.29\" }]\n      volumes:\n        - name: c\n          configMap: { name: web, defaultMode: 0644, optional: true }\n";
    lab.chart("own/web", "web", "0.1.0", &[("a.yaml", text)]);
    let done = lab.charts(0, &["lock"]);
    assert!(
        done.stdout
            .contains("image nginx:1.29 (by tag, apps/Deployment/app/web)"),
        "{}",
        done.text()
    );
    lab.env.expect(0, &["apply", "--auto-approve"]);
    lab.env.assert_settled();
    let shown = lab.env.expect(
        0,
        &[
            "show",
            "pz/kubernetes.chart.web[\"apps/Deployment/app/web\"]",
            "--format",
            "json",
        ],
    );
    let text = shown.stdout.split_whitespace().collect::<String>();
    for part in [
        "\"operator\":\"=\"",
        "\"answer\":\"on\"",
        "\"country\":\"no\"",
        "\"defaultMode\":420",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// A chart that cannot be rendered says why in helm's words; one that never ends is not waited for long.
#[test]
fn what_helm_refuses_is_said() {
    let Some(mut lab) = Lab::new(&Lab::web("./own/web")) else {
        return;
    };
    lab.chart(
        "own/web",
        "web",
        "0.1.0",
        &[("a.yaml", "{{ required \"`host` is needed\" .Values.host }}")],
    );
    let refused = lab.charts(1, &["lock"]);
    assert!(
        refused.stderr.contains("ZW4033") && refused.stderr.contains("`host` is needed"),
        "{}",
        refused.text()
    );
    lab.chart("own/web", "web", "0.1.0", &[("a.yaml", "a: b\n")]);
    let refused = lab.charts(1, &["lock"]);
    assert!(
        refused.stderr.contains("no list of objects"),
        "{}",
        refused.text()
    );
    lab.env.write("own/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 0.1.0\ndependencies:\n  - name: common\n    version: 1.x.x\n    repository: https://charts.example.org\n");
    let refused = lab.charts(1, &["lock"]);
    assert!(refused.stderr.contains("common"), "{}", refused.text());
    lab.env.set("ZONEWRIGHT_HELM", "/bin/true");
    let refused = lab.charts(1, &["lock"]);
    assert!(refused.stderr.contains("ZW4032"), "{}", refused.text());
    lab.env.set("ZONEWRIGHT_HELM", "");
    let refused = lab.charts(1, &["lock"]);
    for words in ["helm is needed", "3.14 or newer", "ZONEWRIGHT_HELM"] {
        assert!(
            refused.stderr.contains(words),
            "{words}: {}",
            refused.text()
        );
    }
}

/// Charts in a chart are in the lock, each with a digest of its own.
#[test]
fn charts_inside_are_locked_too() {
    let Some(lab) = Lab::new(&Lab::web("./own/web")) else {
        return;
    };
    lab.chart("own/web", "web", "0.1.0", &[("config.yaml", CONFIG)]);
    lab.chart("own/web/charts/inner", "inner", "3.2.1", &[]);
    lab.charts(0, &["lock"]);
    let lock = lab.read("charts.lock");
    let entry = "[[chart.subchart]]\npath = \"charts/inner\"\nname = \"inner\"\nversion = \"3.2.1\"\ndigest = \"sha256:";
    assert!(lock.contains(entry), "{lock}");
    lab.env.write("own/web/charts/inner/values.yaml", "a: 1\n");
    lab.charts(2, &["lock", "--check"]);
    lab.charts(0, &["lock"]);
    assert_ne!(lab.read("charts.lock"), lock);
}
