//! From an answer to a verdict. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value as Json;

use super::probe::{
    Answer, DatabaseAnswer, DnsAnswer, Found, MirrorRow, NetworkProbe, Probe, SmokeProbe,
};
use super::{Check, LAG_LIMIT, SKEW, Verdict, media, token, wiring};
use crate::objectives::words;
use crate::provider::{ErrorClass, ProviderError};
use crate::restore::{self, Backup};

/// Seconds by which two clocks may differ without a word about it.
const CLOCKS: f64 = 1.0;

/// Decides on a check. An error and an answer to another question are unknown.
pub fn judge(check: &Check, answer: &Result<Answer, ProviderError>) -> Verdict {
    match &check.probe {
        Probe::Missing(why) => return Verdict::Unknown(why.clone()),
        Probe::NotApplicable(why) => return Verdict::NotApplicable(why.clone()),
        _ => {}
    }
    match answer {
        Err(error) if is_other_cluster(&check.probe, error) => Verdict::Fail(error.to_string()),
        Err(error) => Verdict::Unknown(error.to_string()),
        Ok(answer) => answered(&check.probe, answer),
    }
}

fn is_other_cluster(probe: &Probe, error: &ProviderError) -> bool {
    matches!(probe, Probe::Cluster { .. }) && error.class == ErrorClass::WrongCluster
}

/// Each question has its own kind of answer; any other one shows nothing.
fn answered(probe: &Probe, answer: &Answer) -> Verdict {
    let other = || Verdict::Unknown("the answer is to another question".to_owned());
    match probe {
        Probe::Cluster { meant } => match answer {
            Answer::Cluster { uid } => cluster(meant.as_deref(), uid),
            _ => other(),
        },
        Probe::Objects(_) => match answer {
            Answer::Objects(found) => objects(found),
            _ => other(),
        },
        Probe::ExposedObjects => match answer {
            Answer::Objects(found) => exposed(found),
            _ => other(),
        },
        Probe::Targets(_) => match answer {
            Answer::Targets(list) => targets(list),
            _ => other(),
        },
        Probe::LoadBalancers { network, cluster } => match answer {
            Answer::LoadBalancers(list) => balancers(network.as_deref(), cluster.as_deref(), list),
            _ => other(),
        },
        Probe::Networks(own) => match answer {
            Answer::Networks { networks, clusters } => self::networks(own, networks, clusters),
            _ => other(),
        },
        Probe::Database(probe) | Probe::DatabaseInside(probe) => match answer {
            Answer::Database(answer) => database(probe.read_only, answer),
            _ => other(),
        },
        Probe::Backups { max_age_s, .. } => match answer {
            Answer::Backups { backups, now } => self::backups(*max_age_s, backups.as_deref(), *now),
            _ => other(),
        },
        Probe::Tokens {
            domains, narrow, ..
        } => match answer {
            Answer::Tokens { tokens, now } if *narrow => token::narrow(domains, tokens, *now),
            Answer::Tokens { tokens, now } => token::works(domains, tokens, *now),
            _ => other(),
        },
        Probe::Dns { proxied, .. } => match answer {
            Answer::Dns(answers) => dns(answers, proxied),
            _ => other(),
        },
        Probe::Mirror { .. } => match answer {
            Answer::Mirror(rows) => mirror(rows),
            _ => other(),
        },
        Probe::Media(probe) => match answer {
            Answer::Media { trip, copies } => {
                let max_lag = probe.source.as_ref().map(|s| s.max_lag_s);
                media::judge(trip, copies.as_ref(), max_lag)
            }
            _ => other(),
        },
        Probe::Certificate { .. } | Probe::Smoke(SmokeProbe::Job(_)) => match answer {
            Answer::Done(Ok(evidence)) => Verdict::Pass(evidence.clone()),
            Answer::Done(Err(evidence)) => Verdict::Fail(evidence.clone()),
            _ => other(),
        },
        Probe::Wiring(probe) => match answer {
            Answer::Wiring {
                leads,
                stops_writes,
            } => wiring::judge(probe, *leads, *stops_writes),
            _ => other(),
        },
        Probe::Smoke(SmokeProbe::Service { .. }) => match answer {
            Answer::Http { status, body } => http(*status, body),
            _ => other(),
        },
        Probe::Missing(_) | Probe::NotApplicable(_) => other(),
    }
}

fn cluster(meant: Option<&str>, uid: &str) -> Verdict {
    match meant {
        Some(meant) if meant == uid => Verdict::Pass(format!("uid of kube-system {uid}")),
        Some(meant) => Verdict::Fail(format!("uid of kube-system {uid} instead of {meant}")),
        None => Verdict::Unknown(format!(
            "uid of kube-system {uid}; none is recorded yet, the next apply of the zone does it"
        )),
    }
}

/// All parts of a line: the line passes when none of them is in trouble and there is at least one.
pub(super) fn all(good: &[String], bad: &[String], none: &str) -> Verdict {
    if !bad.is_empty() {
        Verdict::Fail(bad.join("; "))
    } else if good.is_empty() {
        Verdict::Unknown(none.to_owned())
    } else {
        Verdict::Pass(good.join(", "))
    }
}

fn objects(found: &[Found]) -> Verdict {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for one in found {
        match trouble(one) {
            Some(trouble) => bad.push(format!("{}: {trouble}", one.object)),
            None => good.push(match one.object.replicas {
                Some(n) => format!("{} {n}/{n}", one.object),
                None => one.object.to_string(),
            }),
        }
    }
    all(&good, &bad, "the spec declares none")
}

fn trouble(found: &Found) -> Option<String> {
    let Some(live) = &found.live else {
        return Some("does not exist".to_owned());
    };
    if live["metadata"]["deletionTimestamp"].is_string() {
        return Some("is being deleted".to_owned());
    }
    if let Some(wanted) = found.object.replicas {
        let asked = live["spec"]["replicas"].as_u64();
        let ready = live["status"]["readyReplicas"].as_u64().unwrap_or(0);
        if asked != Some(wanted) {
            let asked = asked.map_or("no".to_owned(), |n| n.to_string());
            return Some(format!("{asked} replicas instead of {wanted}"));
        }
        if ready != wanted {
            return Some(format!("{ready} of {wanted} replicas are ready"));
        }
    }
    found.trouble.clone()
}

fn exposed(found: &[Found]) -> Verdict {
    let bad: Vec<String> = found
        .iter()
        .filter_map(|f| {
            let how = f.trouble.as_ref()?;
            Some(format!("{}: {how}", f.object))
        })
        .collect();
    // A cluster has Services of its own: a list without any was not read.
    let good = match found.len() {
        0 => Vec::new(),
        n => vec![format!("none of {n} objects")],
    };
    all(&good, &bad, "the cluster lists no object at all")
}

fn targets(targets: &[Json]) -> Verdict {
    let bad: Vec<String> = targets
        .iter()
        .filter(|t| t["health"] != "up")
        .map(|t| {
            let text = |v: &Json| v.as_str().unwrap_or_default().to_owned();
            let error = text(&t["lastError"]);
            let why = if error.is_empty() {
                text(&t["health"])
            } else {
                error
            };
            let labels = &t["labels"];
            format!(
                "{} {}: {why}",
                text(&labels["job"]),
                text(&labels["instance"])
            )
        })
        .collect();
    let good = match targets.len() {
        0 => Vec::new(),
        n => vec![format!("{n} of {n} up")],
    };
    all(&good, &bad, "Prometheus has no target")
}

fn balancers(network: Option<&str>, cluster: Option<&str>, list: &[Json]) -> Verdict {
    if network.is_none() && cluster.is_none() {
        return Verdict::Unknown("neither network nor cluster of the zone is recorded".to_owned());
    }
    let tag = cluster.map(|id| format!("k8s:{id}"));
    let ours = |lb: &&Json| {
        let tagged = |t: &Json| t.as_str().is_some() && t.as_str() == tag.as_deref();
        let tags = lb["tags"].as_array().into_iter().flatten();
        (network.is_some() && lb["vpc_uuid"].as_str() == network)
            || tags.into_iter().any(tagged)
            || (cluster.is_some() && lb["cluster_id"].as_str() == cluster)
    };
    let bad: Vec<String> = list
        .iter()
        .filter(ours)
        .map(|lb| {
            let text = |v: &Json| v.as_str().unwrap_or("-").to_owned();
            format!("load balancer {} at {}", text(&lb["name"]), text(&lb["ip"]))
        })
        .collect();
    all(
        &[format!("none of {} in the account", list.len())],
        &bad,
        "",
    )
}

fn networks(zone: &NetworkProbe, networks: &[Json], clusters: &[Json]) -> Verdict {
    let Ok(range) = zone.range.parse::<IpNet>() else {
        return Verdict::Unknown(format!("{} is no network", zone.range));
    };
    let (own, cluster) = (zone.own.as_deref(), zone.cluster.as_deref());
    let overlap = |text: &str| {
        let other: Option<IpNet> = text.parse().ok();
        other.is_some_and(|o| o.contains(&range.network()) || range.contains(&o.network()))
    };
    let text = |v: &Json| v.as_str().unwrap_or_default().to_owned();
    let mut bad = Vec::new();
    let mut seen = false;
    for network in networks {
        let live = text(&network["ip_range"]);
        if own.is_some() && network["id"].as_str() == own {
            seen = true;
            if live.parse() != Ok(range) {
                bad.push(format!("the zone's network is {live} instead of {range}"));
            }
        } else if overlap(&live) {
            bad.push(format!(
                "{range} overlaps network {} ({live})",
                text(&network["name"])
            ));
        }
    }
    for each in clusters {
        for subnet in ["cluster_subnet", "service_subnet"] {
            let live = text(&each[subnet]);
            if overlap(&live) {
                let whose = if cluster.is_some() && each["id"].as_str() == cluster {
                    "its own cluster's".to_owned()
                } else {
                    format!("cluster {}'s", text(&each["name"]))
                };
                bad.push(format!("{range} overlaps {whose} {subnet} ({live})"));
            }
        }
    }
    if !seen {
        bad.push("the zone's network is not in the account".to_owned());
    }
    let good = format!(
        "{range} among {} networks and {} clusters",
        networks.len(),
        clusters.len()
    );
    all(&[good], &bad, "")
}

fn database(read_only: bool, answer: &DatabaseAnswer) -> Verdict {
    match answer {
        // Not the database that is meant, or one that nobody may talk to: that is known.
        DatabaseAnswer::Untrusted { why } => Verdict::Fail(why.clone()),
        DatabaseAnswer::Session {
            version,
            other_authority_accepted,
            other_name_accepted,
        } => match (other_authority_accepted, other_name_accepted) {
            (false, false) => Verdict::Pass(format!(
                "{version}: verified; another authority and another name are refused"
            )),
            (true, _) => {
                Verdict::Fail("a connection with another authority was accepted".to_owned())
            }
            (_, true) => Verdict::Fail("a connection under another name was accepted".to_owned()),
        },
        DatabaseAnswer::ReadOnly { read_only: live } => {
            let says = format!("read_only is {}", if *live { "ON" } else { "OFF" });
            if *live == read_only {
                Verdict::Pass(says)
            } else {
                Verdict::Fail(says)
            }
        }
        DatabaseAnswer::Heartbeat {
            age_seconds,
            why,
            server_says,
        } => {
            let server = match server_says {
                Some(figure) => format!("; the server itself says {figure}"),
                None => String::new(),
            };
            let Some(age) = age_seconds.filter(|a| a.is_finite()) else {
                let why = why.as_deref().unwrap_or("there is no heartbeat");
                return Verdict::Unknown(format!("{why}{server}"));
            };
            let ahead = match age < -CLOCKS {
                true => format!(
                    ", of a clock that is {:.0} s ahead of this one: it may be that much more",
                    -age
                ),
                false => String::new(),
            };
            let text = format!("{:.1} s behind by heartbeat{ahead}{server}", age.max(0.0));
            if age < -LAG_LIMIT.as_secs_f64() {
                Verdict::Unknown(format!(
                    "the heartbeat is {:.0} s in the future: clocks differ",
                    -age
                ))
            } else if age > LAG_LIMIT.as_secs_f64() {
                Verdict::Fail(text)
            } else {
                Verdict::Pass(text)
            }
        }
    }
}

fn backups(max_age_s: u64, backups: Option<&[Backup]>, now: u64) -> Verdict {
    let Some(backups) = backups else {
        let why = "the source of the restore is gone, and its backups with it";
        return Verdict::Fail(why.to_owned());
    };
    let Some(newest) = restore::newest(backups) else {
        return Verdict::Fail("there is no backup".to_owned());
    };
    // Clocks differ a little; a backup from the future says nothing about its age.
    if newest.at > now.saturating_add(SKEW) {
        let ahead = words(newest.at - now);
        return Verdict::Unknown(format!("the newest backup is {ahead} in the future"));
    }
    let age = now.saturating_sub(newest.at);
    let says = format!(
        "the newest of {} is {} old ({}); at most {}",
        backups.len(),
        words(age),
        newest.created_at,
        words(max_age_s)
    );
    if age > max_age_s {
        Verdict::Fail(says)
    } else {
        Verdict::Pass(says)
    }
}

/// Every authoritative server has to say all that is declared, and nothing else. One that says nothing at
/// all leaves the line unknown: nobody knows what its clients are told.
fn dns(answers: &[DnsAnswer], proxied: &[String]) -> Verdict {
    let (mut good, mut bad, mut silent) = (Vec::new(), Vec::new(), Vec::new());
    for answer in answers {
        let ask = &answer.ask;
        let got: BTreeSet<String> = match &answer.answers {
            Ok(got) => got.iter().map(|a| plain(a)).collect(),
            Err(why) => {
                let (name, record) = (&ask.name, &ask.record);
                silent.push(format!("{name} {record} at {}: {why}", answer.server));
                continue;
            }
        };
        let shown = match got.is_empty() {
            true => "nothing".to_owned(),
            false => list(&got),
        };
        let says = format!(
            "{} {} is {shown} at {}",
            ask.name, ask.record, answer.server
        );
        let wanted: BTreeSet<String> = ask.expected.iter().map(|e| plain(e)).collect();
        if wanted.is_empty() {
            bad.push(format!(
                "{says}; what it should be is not known before an apply"
            ));
        } else if got == wanted {
            good.push(says);
        } else {
            bad.push(format!("{says} instead of {}", list(&wanted)));
        }
    }
    if bad.is_empty() && !silent.is_empty() {
        return Verdict::Unknown(silent.join("; "));
    }
    bad.extend(silent);
    // Whoever mends it wants to know who is right.
    if !bad.is_empty() {
        bad.append(&mut good);
    }
    if !good.is_empty() && !proxied.is_empty() {
        good.push(format!("not asked, proxied: {}", proxied.join(", ")));
    }
    all(&good, &bad, "no name was asked")
}

fn list(all: &BTreeSet<String>) -> String {
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    all.join(", ")
}

/// A name or an address in the one way to write it.
fn plain(answer: &str) -> String {
    match answer.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => answer.trim_end_matches('.').to_ascii_lowercase(),
    }
}

fn mirror(rows: &[MirrorRow]) -> Verdict {
    let bad: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let trouble = row.trouble.as_ref()?;
            Some(match &row.key {
                Some(key) => format!("{key} of {}: {trouble}", row.secret),
                None => format!("{}: {trouble}", row.secret),
            })
        })
        .collect();
    let good = match rows.len() {
        0 => Vec::new(),
        n => vec![format!("{n} entries compared")],
    };
    all(&good, &bad, "there is nothing to compare")
}

fn http(status: u16, body: &str) -> Verdict {
    let broken = "Error establishing a database connection";
    if body.contains(broken) {
        Verdict::Fail(format!("HTTP {status}: {broken}"))
    } else if status == 200 {
        Verdict::Pass("HTTP 200".to_owned())
    } else {
        Verdict::Fail(format!("HTTP {status}"))
    }
}
