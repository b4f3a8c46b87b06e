//! A workload that is brought up in stages: one replica first, the others once it is ready. Pure.
//!
//! The object says through which numbers, its `replicas` say where that ends. So one place says how many
//! there are, and a mistake in the program shows in one pod, before all of them ask the database.

use serde_json::Value as Json;
use zonewright_engine::value::Value;

/// The annotation: rising numbers with commas between, such as `1` or `1,3`.
pub(crate) const THROUGH: &str = "zonewright.dev/scale-through";

/// The replicas that a workload has at the end, if it is brought up in stages.
pub(crate) fn end(desired: &Value) -> Option<u64> {
    let metadata = desired.get("metadata")?;
    metadata.get("annotations")?.get(THROUGH)?.as_str()?;
    let replicas = desired.get("spec")?.get("replicas")?.as_i64()?;
    u64::try_from(replicas).ok().filter(|n| *n > 0)
}

/// How many replicas to ask for while so many are ready.
pub(crate) fn next(desired: &Value, ready: u64) -> Option<u64> {
    let end = end(desired)?;
    let through = desired.get("metadata")?.get("annotations")?.get(THROUGH)?;
    let numbers: Result<Vec<u64>, _> = through
        .as_str()?
        .split(',')
        .map(|n| n.trim().parse())
        .collect();
    // What is no list of numbers was warned of when the spec was read.
    let mut stages = numbers.unwrap_or_default();
    stages.sort_unstable();
    let stage = stages.into_iter().find(|n| *n > ready && *n < end);
    Some(stage.unwrap_or(end))
}

/// The replicas of a live workload that are ready.
pub(crate) fn ready(live: &Json) -> u64 {
    live["status"]["readyReplicas"].as_u64().unwrap_or(0)
}

/// The replicas that a live workload is asked for.
pub(crate) fn asked(live: &Json) -> Option<u64> {
    live["spec"]["replicas"].as_u64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workload(through: &str, replicas: u64) -> Value {
        Value::from_json(json!({"metadata": {"annotations": {THROUGH: through}},
            "spec": {"replicas": replicas}}))
        .unwrap()
    }

    fn steps(through: &str, replicas: u64) -> Vec<u64> {
        let desired = workload(through, replicas);
        let mut ready = 0;
        let mut out = Vec::new();
        while ready < replicas {
            ready = next(&desired, ready).unwrap();
            out.push(ready);
        }
        out
    }

    #[test]
    fn stages_rise_to_the_declared_number_and_never_beyond() {
        assert_eq!(steps("1", 3), [1, 3]);
        assert_eq!(steps("1, 2", 5), [1, 2, 5]);
        assert_eq!(steps("1,3", 3), [1, 3]);
        assert_eq!(steps("4", 3), [3]);
        assert_eq!(steps("one", 3), [3]);
        assert_eq!(steps("1", 1), [1]);
        assert_eq!(next(&workload("1", 0), 0), None);
        let plain = Value::from_json(json!({"spec": {"replicas": 3}})).unwrap();
        assert_eq!(next(&plain, 0), None);
    }
}
