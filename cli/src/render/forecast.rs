//! What a zone that stands by can achieve, for people.

use std::fmt::Write as _;
use std::time::Duration;

use zonewright_engine::address::Address;
use zonewright_engine::objectives::{DataPath, Forecast, Reach};

use super::text::{duration, escape};

/// What the two figures count; there is no other definition.
const MEANING: &str = "RTO: from the declaration of a disaster until the shared name answers 200 from this zone; \
     RPO: the age of the newest data that survives";

/// One line; with the longest paths when everything is asked for.
pub fn text(forecast: &Forecast, verbose: bool) -> String {
    let mut line = format!(
        "    ready from nothing in about {}; RTO about {}{}",
        time(forecast.ready.seconds),
        time(forecast.rto_seconds),
        objective(forecast.rto_objective, forecast.misses_rto()),
    );
    let rpo = match (forecast.data, forecast.rpo_seconds) {
        (DataPath::None, _) => None,
        (DataPath::Undecided, _) => {
            Some("RPO unknown: nothing says how it gets the data".to_owned())
        }
        (_, None) => Some("RPO unknown".to_owned()),
        (DataPath::Replication, Some(s)) => Some(format!("RPO about {} by replication", time(s))),
        (DataPath::Backup, Some(s)) => Some(format!("RPO up to {} from backups", time(s))),
    };
    if let Some(rpo) = rpo {
        let against = objective(forecast.rpo_objective, forecast.misses_rpo());
        let _ = write!(line, "; {rpo}{against}");
    }
    let mut out = format!("{line}\n");
    if verbose {
        let _ = writeln!(out, "      {MEANING}");
        path("ready", &forecast.ready, &mut out);
        path("RTO", &forecast.active, &mut out);
        let dns = time(forecast.dns_seconds);
        let _ = writeln!(
            out,
            "      DNS: the record is flipped and expires in about {dns}"
        );
    }
    out
}

fn time(seconds: u64) -> String {
    duration(Duration::from_secs(seconds))
}

fn objective(seconds: Option<u64>, missed: bool) -> String {
    match seconds {
        None => String::new(),
        Some(s) if missed => format!(" (OUT OF REACH: the objective is {})", time(s)),
        Some(s) => format!(" (objective {})", time(s)),
    }
}

fn path(what: &str, reach: &Reach, out: &mut String) {
    let names: Vec<String> = reach.path.iter().map(Address::to_string).collect();
    let line = format!(
        "{what}: {} along {}",
        time(reach.seconds),
        names.join(" -> ")
    );
    let _ = writeln!(out, "      {}", escape(&line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_reach_says_so_beside_the_objective() {
        let reach = Reach {
            seconds: 780,
            path: vec!["bz/v.cluster.main".parse().unwrap()],
        };
        let forecast = Forecast {
            strategy: Some("restore".to_owned()),
            ready: reach.clone(),
            active: reach,
            dns_seconds: 300,
            rto_seconds: 1080,
            rpo_seconds: Some(86_400),
            data: DataPath::Backup,
            rto_objective: Some(1800),
            rpo_objective: Some(900),
        };
        assert_eq!(
            text(&forecast, false),
            "    ready from nothing in about 13m; RTO about 18m (objective 30m); RPO up to 24h from backups (OUT OF REACH: the objective is 15m)\n"
        );
        let whole = text(&forecast, true);
        assert!(whole.contains(MEANING), "{whole}");
        assert!(
            whole.contains("      ready: 13m along bz/v.cluster.main\n"),
            "{whole}"
        );
    }
}
