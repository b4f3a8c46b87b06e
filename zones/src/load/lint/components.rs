//! X5: what an object needs in its cluster, a definition and a controller, is in the spec too.

use std::collections::BTreeSet;

use zonewright_engine::address::ZoneName;

use super::Finding;
use super::spec::{Item, Spec};
use crate::diag::Code;
use crate::suggest;

/// Groups that every API server has.
const BUILT_IN: [&str; 16] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// Groups that managed clusters bring along.
const BY_VENDORS: [&str; 4] = [
    "cilium.io",
    "gateway.networking.k8s.io",
    "metrics.k8s.io",
    "snapshot.storage.k8s.io",
];

/// A group, what a workload of its controller has in its name, labels or images, and the chart.
const CONTROLLERS: [(&str, &str, &str); 3] = [
    ("cert-manager.io", "cert-manager", "cert-manager"),
    (
        "monitoring.coreos.com",
        "prometheus-operator",
        "kube-prometheus-stack",
    ),
    ("traefik.io", "traefik", "traefik"),
];

pub(super) fn check(spec: &Spec<'_>, zone: &ZoneName) {
    let mut defined = BTreeSet::new();
    let mut classes = Vec::new();
    let mut workloads = Vec::new();
    for object in spec.objects(zone) {
        if object.kind() == "CustomResourceDefinition" {
            let group = object.text(&["spec", "group"]);
            defined.insert((group, object.text(&["spec", "names", "kind"])));
        } else if object.kind() == "IngressClass" {
            classes.push(object.name());
        } else if object.pod().is_some() {
            workloads.push(object.value.to_string());
        }
    }
    let mut told = BTreeSet::new();
    for object in spec.objects(zone).filter(|o| spec.is_whole(o)) {
        let (group, kind) = (object.group(), object.kind());
        class(spec, zone, &object, &classes);
        let known = BUILT_IN.contains(&group) || BY_VENDORS.contains(&group);
        if !group.contains('.') || known || !told.insert((group, kind)) {
            continue;
        }
        let controller = CONTROLLERS.iter().find(|(g, _, _)| *g == group);
        let chart = controller.map(|(_, _, chart)| *chart);
        if !defined.contains(&(group, kind)) {
            let message = format!("nothing in the zone defines the kind `{kind}` of `{group}`");
            spec.report(zone, finding(&object, message, chart));
        } else if let Some((_, mark, _)) = controller
            && !workloads.iter().any(|w| w.contains(mark))
        {
            let message = format!("nothing in the zone acts on objects of `{group}`");
            // One for the group is enough.
            let all = defined.iter().filter(|(g, _)| *g == group);
            told.extend(all.copied());
            spec.report(zone, finding(&object, message, chart));
        }
    }
}

fn finding<'f>(object: &Item<'f>, message: String, chart: Option<&str>) -> Finding<'f> {
    let help = match chart {
        Some(chart) => format!(
            "declare the chart `{chart}` in this zone, with its definitions, or leave the object out"
        ),
        None => {
            "declare what brings the definition in this zone, or leave the object out".to_owned()
        }
    };
    Finding {
        code: Code::ComponentMissing,
        message,
        at: object.at(),
        label: "a zone made from nothing cannot take this".to_owned(),
        also: None,
        help: Some(help),
    }
}

fn class(spec: &Spec<'_>, zone: &ZoneName, object: &Item<'_>, classes: &[&str]) {
    let wanted = object.text(&["spec", "ingressClassName"]);
    if !object.is("networking.k8s.io", "Ingress") || wanted.is_empty() || classes.contains(&wanted)
    {
        return;
    }
    let help = suggest::help(wanted, classes.iter().copied());
    let at = spec.place(object, &["spec", "ingressClassName"]);
    let otherwise = "declare the ingress controller's chart in this zone";
    spec.report(
        zone,
        Finding {
            code: Code::ComponentMissing,
            message: format!("there is no IngressClass `{wanted}` in the zone"),
            at: at.as_ref(),
            label: "nothing would serve this Ingress".to_owned(),
            also: None,
            help: help.or_else(|| Some(otherwise.to_owned())),
        },
    );
}
