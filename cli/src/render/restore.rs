//! A restore, worked out.

use std::fmt::Write as _;

use serde_json::{Value as Json, json as object};
use zonewright_engine::config::PostRestoreRun;
use zonewright_engine::objectives::words;
use zonewright_engine::restore::Resolved;

use super::style::{Paint, Tone};
use super::text::escape;

pub mod finish;

/// For people.
pub fn text(found: &Resolved, paint: Paint) -> String {
    let mut out = String::new();
    let zone = paint.tone(Tone::Strong, format!("restore of zone {}", found.zone));
    let _ = writeln!(out, "{zone}");
    let source = &found.source_cluster;
    let _ = writeln!(
        out,
        "  from     {} ({}, id {}, {}, {})",
        found.source,
        escape(&source.name),
        escape(&source.id),
        escape(&source.size),
        escape(&source.region)
    );
    let _ = writeln!(out, "  backup   {}", backup(found));
    let _ = writeln!(out, "  age      {}", age(found, paint));
    if let Some(window) = &found.window {
        let _ = writeln!(out, "  window   {} (declared)", escape(window));
    }
    let made = &found.target;
    let _ = writeln!(
        out,
        "  into     {}, {}, {}",
        escape(&made.name),
        escape(&made.size),
        escape(&made.region)
    );
    if found.post_restore.is_empty() {
        let _ = writeln!(out, "  then     nothing: no [[database.post_restore]]");
    }
    for (n, step) in found.post_restore.iter().enumerate() {
        let (kind, what) = match &step.run {
            PostRestoreRun::Sql(sql) => ("SQL", sql),
            PostRestoreRun::Job(file) => ("Job", file),
        };
        let head = if n == 0 { "  then   " } else { "         " };
        let _ = writeln!(
            out,
            "{head}  {}. {} ({kind}): {}",
            n + 1,
            escape(&step.name),
            escape(what)
        );
        let _ = writeln!(
            out,
            "              needed while this is not 0: {}",
            escape(&step.check)
        );
    }
    out.push_str("Nothing was changed.\n");
    out
}

fn backup(found: &Resolved) -> String {
    let backup = &found.backup;
    let size = backup
        .size_gigabytes
        .map_or_else(|| "size not told".to_owned(), |gb| format!("{gb} GB"));
    let kind = if backup.incremental {
        "incremental"
    } else {
        "full"
    };
    let which = if found.newest { "the newest" } else { "one" };
    format!(
        "{}, {size}, {kind}; {which} of {}",
        escape(&backup.created_at),
        found.backups
    )
}

fn age(found: &Resolved, paint: Paint) -> String {
    let mut parts = vec![words(found.age_seconds)];
    let mut compare = |what: &str, limit: Option<u64>, kept: Option<bool>| {
        let (Some(limit), Some(kept)) = (limit, kept) else {
            return;
        };
        let limit = words(limit);
        parts.push(match kept {
            true => paint.tone(Tone::Good, format!("within the {what} of {limit}")),
            false => paint.tone(Tone::Bad, format!("older than the {what} of {limit}")),
        });
    };
    compare("RPO", found.rpo_seconds, found.meets_rpo);
    compare("max_age", found.max_age_seconds, found.fresh);
    parts.join("; ")
}

/// For programs.
pub fn json(found: &Resolved) -> Json {
    object!(found)
}

#[cfg(test)]
mod tests {
    use zonewright_engine::config::PostRestore;
    use zonewright_engine::restore::{Backup, Cluster, Made};

    use super::*;

    fn found() -> Resolved {
        Resolved {
            zone: "bz".parse().unwrap(),
            source: "pz/digitalocean.database_cluster.main".parse().unwrap(),
            source_cluster: Cluster {
                id: "7".to_owned(),
                name: "db".to_owned(),
                size: "db-s-1vcpu-1gb".to_owned(),
                region: "nyc3".to_owned(),
            },
            backup: Backup {
                created_at: "2026-11-20T02:00:00Z".to_owned(),
                at: 0,
                size_gigabytes: Some(0.25),
                incremental: false,
            },
            newest: true,
            age_seconds: 90_000,
            backups: 7,
            target: Made {
                name: "db-bz".to_owned(),
                size: "db-s-1vcpu-1gb".to_owned(),
                region: "sfo3".to_owned(),
            },
            post_restore: vec![PostRestore {
                name: "home".to_owned(),
                run: PostRestoreRun::Sql("UPDATE o SET v = 1".to_owned()),
                check: "SELECT \u{1b}[31m1".to_owned(),
            }],
            window: None,
            max_age_seconds: Some(93_600),
            rpo_seconds: Some(900),
            meets_rpo: Some(false),
            fresh: Some(true),
        }
    }

    #[test]
    fn everything_that_decides_is_said() {
        let expected = "\
restore of zone bz
  from     pz/digitalocean.database_cluster.main (db, id 7, db-s-1vcpu-1gb, nyc3)
  backup   2026-11-20T02:00:00Z, 0.25 GB, full; the newest of 7
  age      1d 1h; older than the RPO of 15m; within the max_age of 1d 2h
  into     db-bz, db-s-1vcpu-1gb, sfo3
  then     1. home (SQL): UPDATE o SET v = 1
              needed while this is not 0: SELECT \\u{1b}[31m1
Nothing was changed.
";
        assert_eq!(text(&found(), Paint::new(false)), expected);
    }
}
