//! What answers and looks tell the metrics. What is not certain is not known.

use super::ZoneKnown;
use crate::address::{Address, ZoneName};
use crate::check::{Answer, Check, DatabaseAnswer, Verdict};
use crate::drift::DriftReport;
use crate::observe::{Inputs, Observations};
use crate::plan::exposure::exposure;
use crate::provider::Observed;

/// The check of the names that users know.
const PUBLIC: &str = "dns-active";

/// What the lines of a zone tell: whether its database takes writes, how far it is behind, whether the zone
/// can be reached from outside.
pub fn learn<'a>(
    lines: impl IntoIterator<Item = (&'a Check, &'a Verdict, Option<&'a Answer>)>,
) -> ZoneKnown {
    let mut out = ZoneKnown::default();
    let mut doors = Vec::new();
    let mut lags: Vec<Option<f64>> = Vec::new();
    for (check, verdict, answer) in lines {
        if check.is_about_exposure() {
            doors.push(verdict);
        }
        match answer {
            Some(Answer::Database(DatabaseAnswer::ReadOnly { read_only })) => {
                out.writes = Some(out.writes == Some(true) || !read_only);
            }
            Some(Answer::Database(DatabaseAnswer::Heartbeat { age_seconds, .. })) => {
                // A clock that is far off makes no lag of it: the check says unknown then.
                let told = !matches!(verdict, Verdict::Unknown(_));
                lags.push(age_seconds.filter(|_| told));
            }
            Some(Answer::Dns(answers)) if check.id == PUBLIC => {
                let told = answers.iter().flat_map(|a| {
                    let name = |t: &String| t.trim_end_matches('.').to_ascii_lowercase();
                    a.answers
                        .iter()
                        .flatten()
                        .map(move |t| (a.server.clone(), name(t)))
                });
                out.public.extend(told);
            }
            _ => {}
        }
    }
    // Of several servers the worst counts, if all of them are known.
    let lags: Option<Vec<f64>> = lags.into_iter().collect();
    out.lag_seconds = lags.and_then(|all| all.into_iter().reduce(f64::max));
    let open = doors.iter().any(|v| matches!(v, Verdict::Fail(_)));
    let closed = doors.iter().all(|v| matches!(v, Verdict::Pass(_)));
    if !doors.is_empty() && (open || closed) {
        out.exposed = Some(open);
    }
    out
}

/// Whether something of a zone could not be looked at, or was in the middle of a change.
pub fn unread(seen: &Observations, report: &DriftReport, zone: &ZoneName) -> bool {
    let of_zone = |a: &Address| a.zone == *zone;
    let unreadable =
        |(a, o): (&Address, &Observed)| of_zone(a) && matches!(o, Observed::Unreadable(_));
    report.in_progress.iter().any(of_zone)
        || seen.unopened.keys().any(|i| i.zone == *zone)
        || seen.seen.iter().any(unreadable)
}

/// Whether a declared object that is live lets somebody in; `None` when nothing was seen.
pub fn exposed(inputs: &Inputs, seen: &Observations, zone: &ZoneName) -> Option<bool> {
    let mut objects = seen.seen.iter().filter(|(a, _)| a.zone == *zone).peekable();
    objects.peek()?;
    Some(objects.any(|(address, observed)| match observed {
        Observed::Present(live) => exposure(&inputs.registry, address, &live.attrs).is_some(),
        _ => false,
    }))
}
