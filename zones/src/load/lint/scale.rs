//! X11: one place says how many replicas a workload has; another one, through which numbers it gets there.

use serde_json::Value as Json;
use zonewright_engine::address::ZoneName;

use super::Finding;
use super::spec::Spec;
use crate::diag::Code;

/// Through which numbers a workload is brought up; the provider for Kubernetes follows it.
const THROUGH: &str = "zonewright.dev/scale-through";

pub(super) fn check(spec: &Spec<'_>, zone: &ZoneName) {
    autoscaled(spec, zone);
    staged(spec, zone);
}

/// Stages are rising numbers.
fn staged(spec: &Spec<'_>, zone: &ZoneName) {
    let path = ["metadata", "annotations", THROUGH];
    for workload in spec.objects(zone).filter(|o| o.group() == "apps") {
        let text = workload.text(&path);
        let parsed: Result<Vec<u64>, _> = text.split(',').map(|n| n.trim().parse()).collect();
        let rises = |n: &Vec<u64>| n.first() > Some(&0) && n.is_sorted_by(|a, b| a < b);
        if text.is_empty() || parsed.is_ok_and(|n| rises(&n)) {
            continue;
        }
        let at = spec.place(&workload, &path);
        let message = format!("the stages of `{}` are no rising numbers", workload.name());
        spec.report(
            zone,
            Finding {
                code: Code::StagesUnclear,
                message,
                at: at.as_ref(),
                label: "all replicas start at once".to_owned(),
                also: None,
                help: Some("write `\"1\"` or `\"1,3\"`; where it ends, `replicas` says".to_owned()),
            },
        );
    }
}

fn autoscaled(spec: &Spec<'_>, zone: &ZoneName) {
    let scalers = spec
        .objects(zone)
        .filter(|o| o.group() == "autoscaling" && o.kind() == "HorizontalPodAutoscaler");
    for scaler in scalers {
        let target = &scaler.value["spec"]["scaleTargetRef"];
        let same = |key: &str, text: &str| target[key].as_str() == Some(text);
        let found = spec.objects(zone).find(|o| {
            same("kind", o.kind()) && same("name", o.name()) && o.namespace() == scaler.namespace()
        });
        let Some(workload) = found else { continue };
        // At zero the autoscaler does nothing: that is how a zone stands by.
        let fixed = workload.value["spec"]["replicas"].as_u64();
        let Some(count) = fixed.filter(|n| *n > 0) else {
            continue;
        };
        let bound = |key: &str| scaler.value["spec"][key].as_u64();
        let range = match (bound("minReplicas"), bound("maxReplicas")) {
            (min, Some(max)) => format!("{} to {max}", min.unwrap_or(1)),
            _ => Json::to_string(&scaler.value["spec"]["maxReplicas"]),
        };
        let at = spec.place(&workload, &["spec", "replicas"]);
        let other = spec.place(&scaler, &["spec", "maxReplicas"]);
        spec.report(
            zone,
            Finding {
                code: Code::ReplicasTwice,
                message: format!("two places say how many replicas `{}` has", workload.name()),
                at: at.as_ref(),
                label: format!("`replicas: {count}`, set at every apply"),
                also: other
                    .as_ref()
                    .map(|at| (at, format!("the autoscaler sets {range}"))),
                help: Some(
                    "leave `replicas` out of the workload where the autoscaler is enabled"
                        .to_owned(),
                ),
            },
        );
    }
}
