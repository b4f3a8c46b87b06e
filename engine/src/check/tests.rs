use serde_json::{Value as Json, json};

use super::*;
use crate::provider::ErrorClass;

fn check(probe: Probe) -> Check {
    Check {
        id: "x".to_owned(),
        title: "x".to_owned(),
        rows: &["BZ-00"],
        severity: Severity::Blocking,
        writes: false,
        max_age: Duration::from_secs(100),
        probe,
    }
}

fn verdict(probe: Probe, answer: Answer) -> (&'static str, String) {
    let verdict = judge(&check(probe), &Ok(answer));
    (verdict.name(), verdict.evidence().to_owned())
}

fn workload(replicas: u64) -> ObjectRef {
    ObjectRef {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: Some("app".to_owned()),
        name: "wp".to_owned(),
        replicas: Some(replicas),
    }
}

fn found(object: ObjectRef, live: Json) -> Answer {
    Answer::Objects(vec![Found {
        object,
        live: (!live.is_null()).then_some(live),
        trouble: None,
    }])
}

#[test]
fn an_answer_that_does_not_come_is_unknown_and_unknown_is_a_failure() {
    let error = ProviderError::new(ErrorClass::Unreachable, "no answer");
    let verdict = judge(&check(Probe::ExposedObjects), &Err(error));
    assert_eq!(verdict, Verdict::Unknown("no answer".to_owned()));
    assert!(verdict.is_failure());
    // Neither does an answer to something else pass, nor a list with nothing in it.
    let other = judge(
        &check(Probe::ExposedObjects),
        &Ok(Answer::Targets(Vec::new())),
    );
    assert!(other.is_failure());
    for (probe, empty) in [
        (Probe::Objects(Vec::new()), Answer::Objects(Vec::new())),
        (Probe::ExposedObjects, Answer::Objects(Vec::new())),
        (dns(Vec::new()), Answer::Dns(Vec::new())),
    ] {
        assert_eq!(verdict_name(probe, empty), "unknown");
    }
    assert!(!Verdict::Skipped(String::new()).is_failure());
}

fn verdict_name(probe: Probe, answer: Answer) -> &'static str {
    verdict(probe, answer).0
}

#[test]
fn replicas_are_the_declared_ones_and_ready() {
    let judge = |wanted, live: Json| {
        let object = workload(wanted);
        verdict(Probe::Objects(vec![object.clone()]), found(object, live)).0
    };
    let live = |asked: u64, ready: Json| json!({"spec": {"replicas": asked}, "status": {"readyReplicas": ready}});
    assert_eq!(judge(0, live(0, Json::Null)), "pass");
    assert_eq!(judge(2, live(2, json!(2))), "pass");
    assert_eq!(judge(2, live(2, json!(1))), "fail");
    assert_eq!(judge(0, live(1, json!(1))), "fail");
    assert_eq!(judge(0, Json::Null), "fail");
}

#[test]
fn lag_is_what_the_heartbeat_says_and_never_zero_for_lack_of_one() {
    let entry = || Entry {
        namespace: String::new(),
        secret: String::new(),
        key: String::new(),
    };
    let lag = |age: Option<f64>| {
        let probe = Probe::Database(DatabaseProbe {
            inside: None,
            host: String::new(),
            port: 1,
            user: entry(),
            password: entry(),
            ca: entry(),
            ask: DatabaseAsk::Heartbeat,
            read_only: true,
        });
        let answer = DatabaseAnswer::Heartbeat {
            age_seconds: age,
            why: None,
            server_says: Some("0 s".to_owned()),
        };
        verdict(probe, Answer::Database(answer))
    };
    let said = |age: f64| lag(Some(age)).1;
    assert_eq!(
        said(-30.0),
        "0.0 s behind by heartbeat, of a clock that is 30 s ahead of this one: it may be that much more; \
         the server itself says 0 s"
    );
    assert!(!said(-0.2).contains("clock"), "{}", said(-0.2));
    let lag = |age: Option<f64>| lag(age).0;
    assert_eq!(lag(Some(1.5)), "pass");
    assert_eq!(lag(Some(-0.2)), "pass");
    assert_eq!(lag(Some(-30.0)), "pass");
    assert_eq!(lag(Some(60.1)), "fail");
    assert_eq!(lag(Some(-3600.0)), "unknown");
    assert_eq!(lag(None), "unknown");
    assert_eq!(lag(Some(f64::NAN)), "unknown");
}

#[test]
fn targets_that_are_down_are_named() {
    let probe = || {
        Probe::Targets(ServiceRef {
            namespace: "platform".to_owned(),
            name: "prometheus".to_owned(),
            port: "9090".to_owned(),
        })
    };
    let target = |job: &str, health: &str| json!({"labels": {"job": job, "instance": "10.0.0.1:1"}, "health": health, "lastError": ""});
    assert_eq!(verdict(probe(), Answer::Targets(Vec::new())).0, "unknown");
    let (name, text) = verdict(probe(), Answer::Targets(vec![target("a", "up")]));
    assert_eq!((name, text.as_str()), ("pass", "1 of 1 up"));
    let both = vec![target("a", "up"), target("b", "unknown")];
    let (name, text) = verdict(probe(), Answer::Targets(both));
    assert_eq!((name, text.as_str()), ("fail", "b 10.0.0.1:1: unknown"));
}

#[test]
fn networks_are_compared_with_everything_in_the_account() {
    let judge = |range: &str, other: &str, pods: &str| {
        let probe = Probe::Networks(NetworkProbe {
            own: Some("own".to_owned()),
            cluster: Some("c".to_owned()),
            range: range.to_owned(),
        });
        let networks = vec![
            json!({"id": "own", "ip_range": "10.20.0.0/16"}),
            json!({"id": "other", "name": "other", "ip_range": other}),
        ];
        let clusters =
            vec![json!({"id": "c", "cluster_subnet": pods, "service_subnet": "10.245.0.0/16"})];
        verdict(probe, Answer::Networks { networks, clusters }).0
    };
    assert_eq!(
        judge("10.20.0.0/16", "10.10.0.0/16", "10.244.0.0/16"),
        "pass"
    );
    assert_eq!(
        judge("10.20.0.0/16", "10.20.128.0/20", "10.244.0.0/16"),
        "fail"
    );
    assert_eq!(judge("10.20.0.0/16", "10.0.0.0/8", "10.244.0.0/16"), "fail");
    assert_eq!(
        judge("10.20.0.0/16", "10.10.0.0/16", "10.20.0.0/20"),
        "fail"
    );
    assert_eq!(
        judge("10.21.0.0/16", "10.10.0.0/16", "10.244.0.0/16"),
        "fail"
    );
}

#[test]
fn load_balancers_belong_to_a_network_or_by_tag_to_a_cluster() {
    let judge = |balancer: Json| {
        let probe = Probe::LoadBalancers {
            network: Some("net".to_owned()),
            cluster: Some("c".to_owned()),
        };
        verdict(probe, Answer::LoadBalancers(vec![balancer])).0
    };
    assert_eq!(judge(json!({"vpc_uuid": "net"})), "fail");
    assert_eq!(judge(json!({"vpc_uuid": "x", "tags": ["k8s:c"]})), "fail");
    assert_eq!(judge(json!({"vpc_uuid": "x", "tags": ["k8s:d"]})), "pass");
}

fn dns(asks: Vec<DnsAsk>) -> Probe {
    Probe::Dns {
        asks,
        proxied: Vec::new(),
    }
}

/// What servers answer for a name that must have some answers.
fn name(expected: &[&str], servers: &[Result<&[&str], &str>]) -> (&'static str, String) {
    let all = |list: &[&str]| {
        list.iter()
            .map(|a| (*a).to_owned())
            .collect::<Vec<String>>()
    };
    let ask = DnsAsk {
        zone: "example.org".to_owned(),
        name: "wp.example.org".to_owned(),
        record: "CNAME".to_owned(),
        expected: all(expected).into_iter().collect(),
    };
    let answers = servers.iter().enumerate().map(|(i, answers)| DnsAnswer {
        ask: ask.clone(),
        server: format!("ns{i}"),
        answers: answers.map(all).map_err(str::to_owned),
    });
    verdict(dns(vec![ask.clone()]), Answer::Dns(answers.collect()))
}

#[test]
fn names_must_have_the_declared_answers_and_no_others() {
    let judge = |expected: &[&str], answers: &[&str]| name(expected, &[Ok(answers)]).0;
    assert_eq!(judge(&["pz.example.org"], &["PZ.example.org."]), "pass");
    assert_eq!(judge(&["pz.example.org"], &["bz.example.org."]), "fail");
    let both = ["bz.example.org", "pz.example.org"];
    assert_eq!(judge(&["pz.example.org"], &both), "fail");
    assert_eq!(judge(&["pz.example.org"], &[]), "fail");
    assert_eq!(judge(&[], &[]), "fail");
    // A name may have several answers, in any order, and addresses are written in several ways.
    assert_eq!(
        judge(&["192.0.2.1", "192.0.2.2"], &["192.0.2.2", "192.0.2.1"]),
        "pass"
    );
    assert_eq!(judge(&["192.0.2.1", "192.0.2.2"], &["192.0.2.2"]), "fail");
    assert_eq!(judge(&["2001:DB8:0::1"], &["2001:db8::1"]), "pass");
}

#[test]
fn a_name_server_that_differs_is_named() {
    let (good, old): (&[&str], &[&str]) = (&["pz.example.org"], &["bz.example.org"]);
    let judge = |second| name(good, &[Ok(good), second]);
    assert_eq!(judge(Ok(good)).0, "pass");
    let (verdict, says) = judge(Ok(old));
    assert_eq!(verdict, "fail");
    assert_eq!(
        says,
        "wp.example.org CNAME is bz.example.org at ns1 instead of pz.example.org; \
         wp.example.org CNAME is pz.example.org at ns0"
    );
    // Nobody knows what those are told who ask the one that is silent here.
    let (verdict, says) = judge(Err("no answer"));
    assert_eq!(
        (verdict, says.as_str()),
        ("unknown", "wp.example.org CNAME at ns1: no answer")
    );
    assert_eq!(name(good, &[Ok(old), Err("no answer")]).0, "fail");
}

fn demand(checks: &[Check]) -> Demand<'_> {
    Demand {
        checks,
        budget: Vec::new(),
        recorded: false,
    }
}

/// In a disaster the dead zone answers nothing: that takes away no proof that is kept.
#[test]
fn recorded_proofs_outlive_that_nobody_answers() {
    let zone: ZoneName = "bz".parse().unwrap();
    let checks = [check(Probe::ExposedObjects)];
    let now = Moment {
        at: 1_000,
        spec: "s",
    };
    let judge = |recorded, proofs: &[Proof]| {
        let demand = Demand {
            recorded,
            ..demand(&checks)
        };
        readiness(&zone, demand, proofs, now).0
    };
    let silent = [proof("pass", 950, "s"), proof("unknown", 980, "s")];
    assert_eq!(judge(false, &silent), Readiness::NotReady);
    assert_eq!(judge(true, &silent), Readiness::Ready);
    let broken = [proof("pass", 950, "s"), proof("fail", 980, "s")];
    assert_eq!(judge(true, &broken), Readiness::NotReady);
    assert_eq!(
        judge(true, &[proof("unknown", 980, "s")]),
        Readiness::NotReady
    );
}

fn proof(verdict: &str, at: u64, spec: &str) -> Proof {
    Proof {
        at,
        zone: "bz".parse().unwrap(),
        check: "x".to_owned(),
        verdict: verdict.to_owned(),
        evidence: String::new(),
        millis: 1,
        spec: spec.to_owned(),
    }
}

#[test]
fn one_blocking_gate_is_enough_and_only_age_degrades() {
    let zone: ZoneName = "bz".parse().unwrap();
    let judge = |severity, proofs: &[Proof]| {
        let one = Check {
            severity,
            ..check(Probe::ExposedObjects)
        };
        readiness(
            &zone,
            demand(&[one]),
            proofs,
            Moment {
                at: 1_000,
                spec: "s",
            },
        )
        .0
    };
    let blocking = |proofs: &[Proof]| judge(Severity::Blocking, proofs);
    assert_eq!(blocking(&[proof("pass", 950, "s")]), Readiness::Ready);
    assert_eq!(blocking(&[proof("pass", 800, "s")]), Readiness::Degraded);
    assert_eq!(
        blocking(&[proof("pass", 950, "older")]),
        Readiness::NotReady
    );
    assert_eq!(blocking(&[proof("unknown", 950, "s")]), Readiness::NotReady);
    assert_eq!(blocking(&[]), Readiness::NotReady);
    assert_eq!(blocking(&[proof("pass", 9_000, "s")]), Readiness::NotReady);
    // The newest counts, whatever was before.
    let both = [proof("pass", 940, "s"), proof("fail", 950, "s")];
    assert_eq!(blocking(&both), Readiness::NotReady);
    assert_eq!(judge(Severity::Warning, &both), Readiness::Degraded);
    let now = Moment { at: 0, spec: "s" };
    assert_eq!(
        readiness(&zone, demand(&[]), &[], now).0,
        Readiness::NotReady
    );
}

#[test]
fn the_newest_backup_is_not_older_than_declared() {
    use crate::restore::{Backup, Known};
    let made = |at: u64| Backup {
        created_at: format!("at {at}"),
        at,
        size_gigabytes: None,
        incremental: false,
    };
    let judged = |backups: Option<Vec<Backup>>| {
        let probe = Probe::Backups {
            source: Known::Id("7".to_owned()),
            max_age_s: 3600,
        };
        verdict(
            probe,
            Answer::Backups {
                backups,
                now: 10_000,
            },
        )
    };
    let (name, says) = judged(Some(vec![made(1), made(6_400), made(2)]));
    assert_eq!(name, "pass");
    assert_eq!(says, "the newest of 3 is 1h old (at 6400); at most 1h");
    assert_eq!(judged(Some(vec![made(6_399), made(1)])).0, "fail");
    assert_eq!(judged(Some(Vec::new())).0, "fail");
    assert_eq!(judged(None).0, "fail");
    // A clock may be a little ahead. One that is far ahead tells nothing about an age.
    assert_eq!(judged(Some(vec![made(10_300)])).0, "pass");
    assert_eq!(judged(Some(vec![made(10_301)])).0, "unknown");
}

/// What is done is evidence of what was to be done, and of nothing else.
#[test]
fn a_deed_answers_no_question() {
    let probes = [
        Probe::Objects(vec![workload(1)]),
        Probe::ExposedObjects,
        Probe::LoadBalancers {
            network: Some("n".to_owned()),
            cluster: None,
        },
        dns(Vec::new()),
        Probe::Smoke(SmokeProbe::Service {
            service: ServiceRef {
                namespace: "app".to_owned(),
                name: "wp".to_owned(),
                port: "80".to_owned(),
            },
            host: None,
        }),
    ];
    for probe in probes {
        let done = Answer::Done(Ok("it went well".to_owned()));
        assert_eq!(verdict(probe.clone(), done).0, "unknown", "{probe:?}");
    }
    let container = Container {
        namespace: "app".to_owned(),
        pod: Json::Null,
    };
    let job = || Probe::Smoke(SmokeProbe::Job(container.clone()));
    assert_eq!(verdict(job(), Answer::Done(Ok(String::new()))).0, "pass");
    assert_eq!(verdict(job(), Answer::Done(Err(String::new()))).0, "fail");
}

/// Nothing to ask is no proof: alone it makes no zone ready, and beside proofs it takes nothing from them.
#[test]
fn what_is_not_applicable_proves_nothing() {
    let zone: ZoneName = "bz".parse().unwrap();
    let nothing = || Probe::NotApplicable("there is none".to_owned());
    let verdict = judge(&check(nothing()), &Ok(Answer::Done(Ok(String::new()))));
    assert_eq!(verdict, Verdict::NotApplicable("there is none".to_owned()));
    let asked = |checks: &[Check], proofs: &[Proof]| {
        let now = Moment {
            at: 1_000,
            spec: "s",
        };
        readiness(&zone, demand(checks), proofs, now)
    };
    let passed = proof("pass", 950, "s");
    let (verdict, gates) = asked(&[check(nothing())], std::slice::from_ref(&passed));
    assert_eq!(verdict, Readiness::NotReady);
    assert_eq!(gates[0].standing, Standing::NotApplicable);
    assert_eq!(gates[0].evidence.as_deref(), Some("there is none"));
    let other = Check {
        id: "y".to_owned(),
        ..check(nothing())
    };
    let both = [check(Probe::ExposedObjects), other];
    assert_eq!(asked(&both, &[passed]).0, Readiness::Ready);
    // What the spec lacks is red from the beginning, and says why.
    let missing = check(Probe::Missing("no Secret".to_owned()));
    let (verdict, gates) = asked(&[missing], &[]);
    assert_eq!(
        (verdict, gates[0].evidence.as_deref()),
        (Readiness::NotReady, Some("no Secret"))
    );
}
