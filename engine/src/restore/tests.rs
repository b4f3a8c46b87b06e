use super::*;

const DAY: u64 = 86_400;

fn order() -> Order {
    Order {
        zone: "bz".parse().unwrap(),
        source: "pz/digitalocean.database_cluster.main".parse().unwrap(),
        known: Known::Id("7".to_owned()),
        wanted: Target {
            region: Some("sfo3".to_owned()),
            ..Target::default()
        },
        steps: Vec::new(),
        window: None,
        max_age_s: Some(26 * 3600),
        rpo_s: Some(900),
        strict: false,
        backup: "2026-11-20T02:00:00Z".to_owned(),
    }
}

fn cluster(id: &str, name: &str) -> Cluster {
    Cluster {
        id: id.to_owned(),
        name: name.to_owned(),
        size: "db-s-1vcpu-2gb".to_owned(),
        region: "nyc3".to_owned(),
    }
}

/// In no order, as the vendor lists them.
fn backups() -> Vec<Backup> {
    let one = |n: u64| Backup {
        created_at: format!("day {n}"),
        at: n * DAY,
        size_gigabytes: Some(0.5),
        incremental: false,
    };
    vec![one(2), one(3), one(1)]
}

fn run(order: &Order, choice: Choice, backups: &[Backup], now: u64) -> Result<Resolved, Blocked> {
    let clusters = [cluster("7", "db"), cluster("8", "other")];
    resolve(order, &choice, (&clusters, backups), now)
}

#[test]
fn latest_is_the_newest_whatever_the_order() {
    let found = run(&order(), Choice::Latest, &backups(), 3 * DAY + 600).unwrap();
    assert_eq!(found.backup.created_at, "day 3");
    assert_eq!(
        (found.age_seconds, found.backups, found.newest),
        (600, 3, true)
    );
    assert_eq!((found.meets_rpo, found.fresh), (Some(true), Some(true)));
    let made = found.target;
    assert_eq!(
        (&*made.name, &*made.size, &*made.region),
        ("db-bz", "db-s-1vcpu-2gb", "sfo3")
    );
}

#[test]
fn age_is_compared_with_both_limits() {
    let limits = |now| {
        let found = run(&order(), Choice::Latest, &backups(), now).unwrap();
        (found.meets_rpo, found.fresh)
    };
    assert_eq!(limits(3 * DAY + 900), (Some(true), Some(true)));
    assert_eq!(limits(3 * DAY + 901), (Some(false), Some(true)));
    assert_eq!(limits(3 * DAY + 26 * 3600 + 1), (Some(false), Some(false)));
    // A vendor whose clock is ahead of ours made no backup in the future.
    let ahead = run(&order(), Choice::Latest, &backups(), DAY).unwrap();
    assert_eq!(ahead.age_seconds, 0);
}

#[test]
fn a_strict_objective_refuses_an_old_backup() {
    let strict = Order {
        strict: true,
        ..order()
    };
    let refused = run(&strict, Choice::Latest, &backups(), 3 * DAY + 901);
    assert_eq!(refused, Err(Blocked::Rpo { age: 901, rpo: 900 }));
    assert!(run(&strict, Choice::Latest, &backups(), 3 * DAY + 900).is_ok());
}

#[test]
fn one_backup_can_be_chosen_by_its_time() {
    let found = run(&order(), Choice::At(2 * DAY), &backups(), 3 * DAY).unwrap();
    assert_eq!((&*found.backup.created_at, found.newest), ("day 2", false));
    let none = run(&order(), Choice::At(2 * DAY + 1), &backups(), 3 * DAY).unwrap_err();
    assert_eq!(
        none.to_string(),
        "pz/digitalocean.database_cluster.main has no backup of 2026-11-20T02:00:00Z; \
         it has day 3, day 2, day 1"
    );
}

#[test]
fn what_is_there_may_not_allow_it() {
    let none = run(&order(), Choice::Latest, &[], DAY).unwrap_err();
    assert!(matches!(none, Blocked::NoBackup { .. }));
    let gone = resolve(&order(), &Choice::Latest, (&[], &backups()), DAY).unwrap_err();
    assert!(matches!(gone, Blocked::Gone { .. }));
    // What is only observed is known by its name.
    let named = |name: &str| Order {
        known: Known::Name(name.to_owned()),
        ..order()
    };
    let found = run(&named("db"), Choice::Latest, &backups(), 3 * DAY).unwrap();
    assert_eq!(found.source_cluster.id, "7");
    assert_eq!(
        run(&named("none"), Choice::Latest, &backups(), DAY)
            .unwrap_err()
            .to_string(),
        "pz/digitalocean.database_cluster.main is gone: the vendor has no database called none, \
         and its backups went with it"
    );
    let with = |wanted: Target| {
        let order = Order { wanted, ..order() };
        run(&order, Choice::Latest, &backups(), 3 * DAY)
    };
    let taken = with(Target {
        name: Some("other".to_owned()),
        ..Target::default()
    });
    assert!(matches!(taken, Err(Blocked::NameTaken { id, .. }) if id == "8"));
    let size = |size: &str| Target {
        size: Some(size.to_owned()),
        ..Target::default()
    };
    assert!(matches!(
        with(size("db-s-1vcpu-1gb")),
        Err(Blocked::TooSmall { .. })
    ));
    assert!(with(size("db-s-4vcpu-8gb")).is_ok());
    assert!(with(size("of-another-family")).is_ok());
}
