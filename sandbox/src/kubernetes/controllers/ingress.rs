//! Ingresses get the address of the load balancer in front of the controller of their class.

use serde_json::{Value, json};

use super::super::kinds::{key, table};
use super::super::request::Ctx;
use super::{Looked, has_ready_deployment};

pub(crate) fn look(ctx: &mut Ctx<'_, '_>, mut it: Looked) -> Option<u64> {
    let class = it.object["spec"]["ingressClassName"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let classes = table(ctx.cluster, "networking.k8s.io", "ingressclasses");
    let controller = ctx.tables().get(&classes, &key(None, &class))?["spec"]["controller"].clone();
    // `traefik.io/ingress-controller` is run by what is labelled `traefik`, `k8s.io/ingress-nginx` by
    // what is labelled `ingress-nginx`.
    let controller = controller.as_str()?.to_owned();
    let programs = [
        controller.split('.').next()?,
        controller.rsplit('/').next()?,
    ];
    let runs = |o: &Value| {
        let label = o["metadata"]["labels"]["app.kubernetes.io/name"].as_str();
        label.is_some_and(|l| programs.contains(&l) || l == class)
    };
    if !has_ready_deployment(ctx, runs) {
        return None;
    }
    let services = table(ctx.cluster, "", "services");
    let address = ctx.tables().list(&services).find_map(|(_, s)| {
        (runs(s) && s["spec"]["type"] == "LoadBalancer")
            .then(|| s["status"]["loadBalancer"]["ingress"].clone())
            .filter(|i| i[0].is_object())
    })?;
    it.update(ctx, |o| {
        o["status"]["loadBalancer"] = json!({"ingress": address})
    });
    None
}
