use super::*;
use crate::address::ZoneName;
use crate::journal::{Entry, IllegalEntry};
use crate::snapshot::{Identity, IntentAction, OpenIntent};

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn record(text: &str, depends_on: &[&str], inside: Option<&str>) -> Record {
    let instance = "pz/provider.digitalocean".parse().expect("an instance");
    Record {
        depends_on: depends_on.iter().map(|a| address(a)).collect(),
        contained_in: inside.map(|a| {
            let id = format!("id of {a}");
            Box::new(Contained {
                address: address(a),
                id,
            })
        }),
        ..Record::new(address(text), instance, format!("id of {text}"))
    }
}

const CLUSTER: &str = "pz/digitalocean.kubernetes_cluster.main";
const CHART: &str = r#"pz/kubernetes.chart.shop["apps/Deployment/shop/web"]"#;

/// A network, a cluster in need of it, and an object of a chart in the cluster.
fn zone() -> Snapshot {
    let mut zone = Snapshot::empty("l", "pz".parse().expect("a zone"), "live");
    for record in [
        record("pz/digitalocean.vpc.main", &[], None),
        record(CLUSTER, &["pz/digitalocean.vpc.main"], None),
        record(CHART, &[CLUSTER], Some(CLUSTER)),
    ] {
        zone.records
            .insert(record.address.clone(), Box::new(record));
    }
    zone.identities.insert(
        "pz/provider.kubernetes".parse().expect("an instance"),
        Identity {
            uid: "u".to_owned(),
            container: Some(Contained {
                address: address(CLUSTER),
                id: "7".to_owned(),
            }),
        },
    );
    zone
}

fn moved(zone: &mut Snapshot, from: &str, to: &str) -> Result<(), IllegalEntry> {
    let entry = Entry::Move {
        from: address(from),
        to: address(to),
    };
    crate::journal::fold(zone, &entry)
}

#[test]
fn a_container_takes_its_contents_and_keeps_its_mark() {
    let mut zone = zone();
    let to = "pz/digitalocean.kubernetes_cluster.blue";
    moved(&mut zone, CLUSTER, to).expect("it moves");
    assert_eq!(zone.serial, 1);
    assert!(!zone.records.contains_key(&address(CLUSTER)));
    let cluster = &zone.records[&address(to)];
    assert_eq!(cluster.address, address(to));
    assert_eq!(cluster.marked.as_deref(), Some(&address(CLUSTER)));
    assert_eq!(cluster.id, format!("id of {CLUSTER}"));
    let inside = &zone.records[&address(CHART)];
    assert_eq!(inside.depends_on, [address(to)]);
    assert_eq!(
        inside.contained_in.as_ref().map(|c| &c.address),
        Some(&address(to))
    );
    let identity = zone.identities.values().next().expect("there is one");
    assert_eq!(
        identity.container.as_ref().map(|c| &c.address),
        Some(&address(to))
    );
}

#[test]
fn a_declaration_takes_its_objects() {
    let mut zone = zone();
    moved(
        &mut zone,
        "pz/kubernetes.chart.shop",
        "pz/kubernetes.chart.store",
    )
    .expect("it moves");
    let new = address(r#"pz/kubernetes.chart.store["apps/Deployment/shop/web"]"#);
    assert_eq!(zone.records[&new].marked.as_deref(), Some(&address(CHART)));
    assert!(!zone.records.contains_key(&address(CHART)));
}

#[test]
fn there_and_back_is_where_it_was() {
    let before = zone();
    let mut zone = before.clone();
    for (from, to) in [
        ("pz/digitalocean.vpc.main", "pz/digitalocean.vpc.a"),
        ("pz/digitalocean.vpc.a", "pz/digitalocean.vpc.b"),
    ] {
        moved(&mut zone, from, to).expect("it moves");
    }
    let marked = &zone.records[&address("pz/digitalocean.vpc.b")].marked;
    assert_eq!(
        marked.as_deref(),
        Some(&address("pz/digitalocean.vpc.main"))
    );
    moved(
        &mut zone,
        "pz/digitalocean.vpc.b",
        "pz/digitalocean.vpc.main",
    )
    .expect("it moves");
    let zone = Snapshot { serial: 0, ..zone };
    assert_eq!(zone, before);
}

#[test]
fn another_shard_only_refers() {
    let edge: ZoneName = "edge".parse().expect("a zone");
    let mut shard = Snapshot::empty("l", edge, "live");
    let record = record(
        "edge/cloudflare.dns_record.www",
        &["pz/digitalocean.vpc.main"],
        None,
    );
    shard
        .records
        .insert(record.address.clone(), Box::new(record));
    moved(
        &mut shard,
        "pz/digitalocean.vpc.main",
        "pz/digitalocean.vpc.b",
    )
    .expect("references move");
    assert_eq!(shard.serial, 1);
    moved(
        &mut shard,
        "pz/digitalocean.vpc.main",
        "pz/digitalocean.vpc.c",
    )
    .expect("nothing refers to it");
    assert_eq!(shard.serial, 1, "no change is none");
    let www = shard.records.values().next().expect("there is one");
    assert_eq!(www.depends_on, [address("pz/digitalocean.vpc.b")]);
}

#[test]
fn what_cannot_move_changes_nothing() {
    let mut zone = zone();
    let taken = record("pz/digitalocean.vpc.other", &[], None);
    let busy = record("pz/digitalocean.vpc.busy", &[], None);
    zone.open.insert(
        busy.address.clone(),
        OpenIntent {
            op: "1".to_owned(),
            action: IntentAction::Update,
            record: busy.clone(),
        },
    );
    for record in [taken, busy] {
        zone.records
            .insert(record.address.clone(), Box::new(record));
    }
    let before = zone.clone();
    let vpc = "pz/digitalocean.vpc.main";
    for (from, to, why) in [
        (vpc, "pz/digitalocean.vpc.other", "recorded already"),
        (vpc, "pz/digitalocean.vpc.busy", "outcome is not known"),
        (vpc, "bz/digitalocean.vpc.main", "a state of its own"),
        (vpc, CLUSTER, "different things"),
        (vpc, vpc, "there already"),
        (
            "pz/digitalocean.vpc.none",
            "pz/digitalocean.vpc.b",
            "is not recorded",
        ),
        (
            "pz/digitalocean.vpc.busy",
            "pz/digitalocean.vpc.b",
            "outcome is not known",
        ),
        (
            "pz/kubernetes.chart.shop",
            r#"pz/kubernetes.chart.store["core/Secret/shop/x"]"#,
            "different things",
        ),
    ] {
        let refused = moved(&mut zone, from, to).expect_err(why).to_string();
        assert!(refused.contains(why), "{refused}");
        assert_eq!(zone, before, "{why}");
    }
}
