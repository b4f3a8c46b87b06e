//! Every role and posture that a zone may have is rendered beforehand: a switch needs no helm.

use crate::lab::{CONFIG, Lab};

const TABLES: &str = r#"[kubernetes.chart.web]
chart = "./own/web"
namespace = "app"
values = { zone = "${zone.name}", replicas = "${zone.replicas}" }

[kubernetes.chart.way_in]
chart = "./own/web"
namespace = "app"
values = { zone = "${zone.name}" }
zonewright = { enabled = "${zone.exposed}" }

[role.active.zone]
exposed = true

[role.standby.zone]
exposed = false

[posture.cold.zone]
replicas = 0
"#;

#[test]
fn a_switch_finds_its_renderings() {
    let Some(mut lab) = Lab::new(TABLES) else {
        return;
    };
    let template = format!("{CONFIG}  replicas: {{{{ .Values.replicas | quote }}}}\n");
    lab.chart("own/web", "web", "0.1.0", &[("config.yaml", &template)]);
    lab.charts(0, &["lock"]);
    // Active and warm are the same; cold is another one. The way in is rendered for bz, which has none now.
    for (file, replicas) in [
        ("bz/web.active", "2"),
        ("bz/web.cold", "0"),
        ("pz/web.active", "2"),
    ] {
        let text = lab.read(&format!("charts/{file}.yaml"));
        assert!(
            text.contains(&format!("replicas: \"{replicas}\"")),
            "{file}: {text}"
        );
    }
    assert!(lab.has("charts/bz/way_in.yaml"));
    let written = lab.vendored();

    lab.env.expect(0, &["apply", "--auto-approve"]);
    lab.env.assert_settled();
    lab.env.set("ZONEWRIGHT_HELM", "/nonexistent");
    lab.env
        .expect(0, &["posture", "--zone", "bz", "warm", "--auto-approve"]);
    lab.env.assert_settled();
    lab.env
        .edit("zonewright.toml", "active = \"pz\"", "active = \"bz\"");
    lab.env.expect(0, &["apply", "--auto-approve"]);
    lab.env.assert_settled();
    let key = "core/ConfigMap/app/way-in";
    lab.env.expect(
        0,
        &["show", &format!("bz/kubernetes.chart.way_in[\"{key}\"]")],
    );

    // Which role and posture the zones have at the moment makes no difference to what is locked.
    let helm = zonewright_tests::helm().unwrap();
    lab.env.set("ZONEWRIGHT_HELM", &helm.display().to_string());
    lab.charts(0, &["lock", "--check"]);
    lab.charts(0, &["lock"]);
    assert!(
        lab.vendored() == written,
        "the lock depends on the role of the day"
    );
}
