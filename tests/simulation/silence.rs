//! A side that does not answer: a plan gives it up in time, says whom it waits for, and goes on.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use zonewright_engine::unread::unread;
use zonewright_tests::simulation::project::Project;
use zonewright_tests::simulation::{Planned, Settings, Simulation, simulate};

/// What a plan may take with one side silent: the patience with it, and the other reads.
const LIMIT: Duration = Duration::from_secs(40);

async fn fault(simulation: &Simulation, service: &str, path: &str, count: u64, what: Value) {
    let mut fault = json!({"service": service, "path": path, "count": count});
    for (name, value) in what.as_object().into_iter().flatten() {
        fault[name] = value.clone();
    }
    simulation.control("POST", "faults", &fault).await;
}

async fn clear(simulation: &Simulation) {
    simulation.control("DELETE", "faults", &Value::Null).await;
    simulation.control("POST", "release", &Value::Null).await;
}

/// What could not be read, by zone and provider.
fn lacking(planned: &Planned) -> Vec<String> {
    let unread = unread(&planned.plan, &planned.inputs, &planned.seen);
    let name =
        |a: &zonewright_engine::address::Address| format!("{}/{}", a.zone, a.kind.provider());
    let mut names: Vec<String> = unread.iter().map(|u| name(&u.address)).collect();
    names.sort();
    names.dedup();
    names
}

fn waited_for(planned: &Planned) -> Vec<String> {
    planned.waited_for.iter().map(ToString::to_string).collect()
}

#[test]
fn a_silent_side_is_given_up_once_and_stops_nothing_else() {
    simulate(
        Settings::realistic(Project::example("wordpress-dr")),
        async |simulation| {
            assert!(simulation.apply(&[]).await.report.is_complete());
            let dump = simulation.control("GET", "dump", &Value::Null).await;
            let clusters = dump["digitalocean"]["kubernetes_clusters"]
                .as_object()
                .unwrap();
            let serves = |c: &&Value| c["name"].as_str().unwrap().contains("pz");
            let id = clusters.values().find(serves).unwrap()["id"]
                .as_str()
                .unwrap();
            let hold = || json!({"kind": "hold_before"});
            fault(
                simulation,
                "kubernetes",
                &format!("/clusters/{id}/*"),
                100_000,
                hold(),
            )
            .await;

            let begun = Instant::now();
            let planned = simulation.plan(&[]).await;
            assert!(begun.elapsed() <= LIMIT, "{:?}", begun.elapsed());
            assert_eq!(waited_for(&planned), ["pz/provider.kubernetes"]);
            assert_eq!(lacking(&planned), ["pz/kubernetes"]);

            let begun = Instant::now();
            let planned = simulation.plan(&["bz"]).await;
            assert!(
                begun.elapsed() < Duration::from_secs(5),
                "{:?}",
                begun.elapsed()
            );
            assert!(planned.plan.is_empty() && planned.waited_for.is_empty());

            // The clusters are opened with what this vendor hands out: it is not waited for again.
            clear(simulation).await;
            fault(simulation, "digitalocean", "/v2/*", 100_000, hold()).await;
            let begun = Instant::now();
            let planned = simulation.plan(&[]).await;
            assert!(begun.elapsed() <= LIMIT, "{:?}", begun.elapsed());
            let all = [
                "bz/digitalocean",
                "bz/kubernetes",
                "pz/digitalocean",
                "pz/kubernetes",
            ];
            assert_eq!(lacking(&planned), all);

            clear(simulation).await;
            assert!(simulation.plan(&[]).await.plan.is_empty());
        },
    );
}

/// A vendor that names a time to come back has answered.
#[test]
fn a_pause_that_was_asked_for_is_no_silence() {
    simulate(
        Settings::realistic(Project::example("wordpress-dr")),
        async |simulation| {
            assert!(simulation.apply(&[]).await.report.is_complete());
            let later = json!({"kind": "status", "code": 429, "headers": {"retry-after": "29"}});
            fault(simulation, "cloudflare", "/client/*", 2, later).await;
            let begun = Instant::now();
            let planned = simulation.plan(&[]).await;
            assert!(
                begun.elapsed() > Duration::from_secs(30),
                "{:?}",
                begun.elapsed()
            );
            assert_eq!(lacking(&planned), Vec::<String>::new());
            assert!(planned.plan.is_empty());
        },
    );
}
