use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use zonewright_engine::address::AttrPath;
use zonewright_engine::canon::Digest;
use zonewright_engine::config::Sharing;
use zonewright_engine::expr::{Expr, Node};
use zonewright_engine::plan::{
    Action, AttrChange, Base, Certainty, Estimate, FORMAT_VERSION, Options, Reason, Step,
};
use zonewright_engine::secret::Secret;
use zonewright_engine::value::{Sorted, Value};

use super::*;

pub(crate) fn plan(changes: Vec<Change>) -> Plan {
    let facts = |role, region: &str| ZoneFacts {
        role,
        posture: None,
        database: None,
        region: Some(region.to_owned()),
        exposed: None,
        needs: BTreeSet::new(),
    };
    Plan {
        format_version: FORMAT_VERSION,
        engine_version: "0.1.0".to_owned(),
        base: Base {
            project: "wp".to_owned(),
            lineage: "0".repeat(32),
            world: "live".to_owned(),
            serials: BTreeMap::new(),
            config: Digest::of(b"config"),
        },
        options: Options::default(),
        moves: Vec::new(),
        zones: BTreeMap::from([
            ("pz".parse().unwrap(), facts(Role::Active, "nyc3")),
            ("bz".parse().unwrap(), facts(Role::Standby, "sfo3")),
        ]),
        instances: BTreeMap::new(),
        changes,
        steps: Vec::new(),
        edges: Vec::new(),
        notes: Vec::new(),
        estimate: Estimate::default(),
        bills: BTreeMap::new(),
        forecasts: BTreeMap::new(),
    }
}

pub(crate) fn change(address: &str, actions: &[Action], reason: Reason) -> Change {
    Change {
        address: address.parse().unwrap(),
        instance: "edge/provider.digitalocean".parse().unwrap(),
        actions: actions.to_vec(),
        reason,
        certainty: Certainty::Seen,
        tier: None,
        effect: None,
        attrs: Vec::new(),
        desired: None,
        generation: 1,
        seen: None,
        depends_on: Vec::new(),
        container: None,
        exports: Vec::new(),
        protect: false,
        keep: false,
        ignore: Vec::new(),
        sharing: Sharing::default(),
        replace_when: Vec::new(),
        timeout_s: None,
        declared: Some("zones/bz.toml:41".to_owned()),
        stand_in: false,
    }
}

pub(crate) fn attr(path: &str, before: Option<Value>, after: Option<Value>) -> AttrChange {
    AttrChange {
        path: path.parse::<AttrPath>().unwrap(),
        before,
        after,
        replaces: false,
        declared: None,
    }
}

fn show(plan: &Plan, verbose: bool) -> String {
    let view = View {
        paint: Paint::new(false),
        verbose,
        command: Some("zonewright apply".to_owned()),
        program: "zonewright".to_owned(),
        approvable: true,
        costs: Costs::default(),
    };
    text(plan, &view)
}

#[test]
fn a_plan_without_changes_is_one_line() {
    let one = change(
        "bz/digitalocean.vpc.main",
        &[Action::NoOp],
        Reason::Unchanged,
    );
    assert_eq!(
        show(&plan(vec![one]), false),
        "No changes: 1 resource is as the spec says.\n"
    );
}

#[test]
fn what_could_not_be_read_is_never_called_unchanged() {
    let mut one = change(
        "bz/digitalocean.vpc.main",
        &[Action::NoOp],
        Reason::Unreadable {
            error: "timed out".to_owned(),
        },
    );
    one.certainty = Certainty::Unreadable;
    let shown = show(&plan(vec![one]), false);
    assert!(
        shown.contains("? unreadable bz/digitalocean.vpc.main"),
        "{shown}"
    );
    assert!(shown.contains("could not be read: timed out"), "{shown}");
}

#[test]
fn creates_show_what_the_spec_sets_and_where_the_rest_comes_from() {
    let mut cluster = change(
        "bz/digitalocean.kubernetes_cluster.main",
        &[Action::Create],
        Reason::New,
    );
    let reference = "bz/digitalocean.vpc.main.id".parse().unwrap();
    cluster.desired = Some(Expr::from(Node::Map(Sorted::from([
        ("name".to_owned(), Expr::literal(Value::from("k8s-bz"))),
        ("vpc".to_owned(), Expr::from(Node::Ref(reference))),
    ]))));
    let mut plan = plan(vec![cluster]);
    plan.steps = vec![Step {
        node: StepNode::Act {
            address: "bz/digitalocean.kubernetes_cluster.main".parse().unwrap(),
            action: Action::Create,
        },
        seconds: 300,
    }];
    plan.estimate = Estimate {
        seconds: 300,
        critical_path: vec![0],
    };
    let digest = plan.digest();
    assert_eq!(
        show(&plan, false),
        format!(
            "wp in live
  bz: standby (stands by: another zone is active), sfo3
  pz: active (serves: `[project] active` names it), nyc3

zone bz
  + create   bz/digitalocean.kubernetes_cluster.main
      new in the spec (zones/bz.toml:41)
      name = \"k8s-bz\", vpc = <- bz/digitalocean.vpc.main.id

about 5m; longest path: create bz/digitalocean.kubernetes_cluster.main
Plan: 1 to create.
digest {digest}
apply exactly this with: zonewright apply
"
        )
    );
}

#[test]
fn objects_of_one_chart_are_one_line_unless_everything_is_asked_for() {
    let objects = (0..48).map(|i| {
        let mut object = change(
            &format!("bz/kubernetes.chart.monitoring[\"core/ConfigMap/mon/c{i:02}\"]"),
            &[Action::Create],
            Reason::New,
        );
        object.stand_in = true;
        object
    });
    let plan = plan(objects.collect());
    let shown = show(&plan, false);
    assert!(
        shown.contains("  + create   48 objects of bz/kubernetes.chart.monitoring (stand-in)\n"),
        "{shown}"
    );
    assert_eq!(shown.matches("create ").count(), 1, "{shown}");
    assert!(shown.contains("Plan: 48 to create."), "{shown}");
    let whole = show(&plan, true);
    assert!(whole.contains("core/ConfigMap/mon/c47"), "{whole}");
}

#[test]
fn updates_show_both_sides_and_secrets_by_reference_only() {
    let mut db = change(
        "bz/digitalocean.database_cluster.main",
        &[Action::Update],
        Reason::SpecChanged,
    );
    let secret = Value::Secret(Secret::new("secret.db_password", "hunter2", None));
    db.attrs = vec![
        attr("size", Some("s-1".into()), Some("s-2".into())),
        attr("password", Some("hunter1".into()), Some(secret)),
        attr(
            "motd",
            Some("a\nb\n".into()),
            Some("a\n\u{1b}[2Jc\n".into()),
        ),
        attr("tags", None, Some(Value::from_plain_json(json!(["x"])))),
    ];
    let shown = show(&plan(vec![db]), false);
    for line in [
        "  ~ update   bz/digitalocean.database_cluster.main\n",
        "      the spec changed (zones/bz.toml:41)\n",
        "      size: \"s-1\" -> \"s-2\"\n",
        "      password: (secret secret.db_password, changed)\n",
        "        - b\n",
        "        + \\u{1b}[2Jc\n",
        "      tags: (unset) -> [\"x\"]\n",
    ] {
        assert!(shown.contains(line), "{line:?} is missing in:\n{shown}");
    }
    assert!(!shown.contains("hunter"), "{shown}");
}

#[test]
fn danger_comes_before_the_changes() {
    let mut gone = change(
        "bz/digitalocean.database_cluster.main",
        &[Action::Delete, Action::Create],
        Reason::CannotUpdate {
            paths: vec![AttrPath::of("region")],
        },
    );
    gone.attrs = vec![AttrChange {
        replaces: true,
        ..attr("region", Some("sfo3".into()), Some("nyc3".into()))
    }];
    let mut plan = plan(vec![gone]);
    plan.notes = vec![Note {
        severity: Severity::Danger,
        code: "ZW3001".to_owned(),
        address: Some("bz/digitalocean.database_cluster.main".parse().unwrap()),
        message: "its data is lost".to_owned(),
        help: Some("take a backup first".to_owned()),
    }];
    let shown = show(&plan, false);
    let danger = shown.find("! DANGER").unwrap();
    assert!(danger < shown.find("-/+ replace").unwrap(), "{shown}");
    assert!(shown.contains("!   bz/digitalocean.database_cluster.main: its data is lost [ZW3001]"));
    assert!(
        shown.contains("region: \"sfo3\" -> \"nyc3\"  (forces the replacement)"),
        "{shown}"
    );
    assert!(shown.contains("Plan: 1 to replace."), "{shown}");
}
