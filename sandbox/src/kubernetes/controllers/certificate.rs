//! Certificates: issued when the issuer is ready and can prove the names by DNS.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use serde_json::{Value, json};

use super::super::environment;
use super::super::kinds::{key, table};
use super::super::request::{Ctx, new_uid, timestamp};
use super::cert_manager::{component, resource_namespace, secrets_of};
use super::{Looked, condition, has_ready_deployment, holds, waits_until};
use crate::cloudflare;

/// On an issuer or a certificate: `fail` lets orders fail, `stuck` keeps challenges pending.
const ISSUE: &str = "sandbox.zonewright.dev/issue";
/// Seconds until a certificate is issued.
const ISSUING: u64 = 60;
const DAY_MS: u64 = 24 * 3600 * 1000;
/// As the authority of ACME issues them.
const VALID_DAYS: u64 = 90;

/// Why a certificate is not issued.
enum Obstacle {
    /// It waits, and may wait for ever.
    Pending(String),
    /// The order has failed.
    Failed(String),
}

pub(super) fn look(ctx: &mut Ctx<'_, '_>, mut it: Looked) -> Option<u64> {
    if it.is_terminating() || !has_ready_deployment(ctx, component("controller")) {
        return None;
    }
    let issuer = issuer_of(ctx, &it);
    let ready = issuer.as_ref().is_some_and(|i| holds(i, "Ready"));
    let generation = it.generation();
    let Some(issuer) = issuer.filter(|_| ready) else {
        let text = "Issuing certificate as Secret does not exist";
        tell(ctx, &mut it, (true, "DoesNotExist", text));
        return None;
    };
    if is_issued(ctx, &it) {
        return None;
    }
    let since = it.since(ctx, &format!("issuing/{generation}"));
    if let Some(due) = waits_until(ctx, since, ISSUING) {
        let text = "Issuing certificate as Secret does not exist";
        tell(ctx, &mut it, (true, "DoesNotExist", text));
        return Some(due);
    }
    match obstacle(ctx, &it, &issuer) {
        Some(Obstacle::Pending(text)) => tell(ctx, &mut it, (true, "DoesNotExist", &text)),
        Some(Obstacle::Failed(why)) => {
            let text = format!(
                "The certificate request has failed to complete and will be retried: Failed to \
                 wait for order resource to become ready: order is in \"errored\" state: {why}"
            );
            tell(ctx, &mut it, (false, "Failed", &text));
        }
        None => issue(ctx, &mut it, &issuer),
    }
    None
}

fn issuer_of(ctx: &Ctx<'_, '_>, it: &Looked) -> Option<Value> {
    let reference = &it.object["spec"]["issuerRef"];
    let name = reference["name"].as_str().unwrap_or_default();
    let (plural, namespace) = match reference["kind"].as_str() {
        Some("ClusterIssuer") => ("clusterissuers", None),
        _ => ("issuers", Some(it.namespace())),
    };
    let issuers = table(ctx.cluster, "cert-manager.io", plural);
    ctx.tables().get(&issuers, &key(namespace, name)).cloned()
}

/// Whether the Secret is there and the certificate says that it is for this generation.
fn is_issued(ctx: &Ctx<'_, '_>, it: &Looked) -> bool {
    let mut conditions = it.object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    let current = conditions.any(|c| {
        c["type"] == "Ready" && c["status"] == "True" && c["observedGeneration"] == it.generation()
    });
    let name = it.object["spec"]["secretName"].as_str().unwrap_or_default();
    let secrets = table(ctx.cluster, "", "secrets");
    let secret = ctx.tables().get(&secrets, &key(Some(it.namespace()), name));
    current && secret.is_some()
}

/// Says that there is no certificate yet.
fn tell(ctx: &mut Ctx<'_, '_>, it: &mut Looked, issuing: (bool, &str, &str)) {
    let now = ctx.now();
    let (under_way, reason, text) = issuing;
    it.update(ctx, |o| {
        let status = &mut o["status"];
        let missing = "Issuing certificate as Secret does not exist";
        condition(status, &now, ("Ready", false, "DoesNotExist", missing));
        condition(status, &now, ("Issuing", under_way, reason, text));
        if !under_way {
            status["failedIssuanceAttempts"] = json!(1);
            status["lastFailureTime"] = json!(now);
        }
    });
}

fn obstacle(ctx: &Ctx<'_, '_>, it: &Looked, issuer: &Value) -> Option<Obstacle> {
    let switch = |object: &Value| {
        let value = object["metadata"]["annotations"][ISSUE].as_str();
        value.map(str::to_owned)
    };
    match switch(&it.object).or_else(|| switch(issuer)).as_deref() {
        Some("fail") => {
            return Some(Obstacle::Failed(
                "the authority has refused the order".to_owned(),
            ));
        }
        Some("stuck") => {
            let text = "Waiting for DNS-01 challenge propagation: DNS record not yet propagated";
            return Some(Obstacle::Pending(text.to_owned()));
        }
        _ => {}
    }
    if !issuer["spec"]["acme"].is_object() {
        return None;
    }
    token_refused(ctx, issuer)
        .or_else(|| foreign_name(ctx, &it.object))
        .map(Obstacle::Failed)
}

/// A token that the DNS provider does not take.
fn token_refused(ctx: &Ctx<'_, '_>, issuer: &Value) -> Option<String> {
    let mut names = Vec::new();
    secrets_of(&issuer["spec"], &mut names);
    let namespace = match issuer["metadata"]["namespace"].as_str() {
        Some(own) => own.to_owned(),
        None => resource_namespace(ctx)?,
    };
    let refused = names.iter().any(|name| {
        let data = environment::data(ctx.home(), &namespace, "secrets", name).unwrap_or_default();
        !data
            .values()
            .any(|token| crate::cloudflare::takes(ctx.world, ctx.tables(), token))
    });
    let why = "while attempting to find Zones for domain: error while querying the Cloudflare API: \
               Error: 9109: Invalid access token";
    refused.then(|| why.to_owned())
}

/// A name that no zone of the account holds.
fn foreign_name(ctx: &Ctx<'_, '_>, certificate: &Value) -> Option<String> {
    let tables = ctx.tables();
    let zones: Vec<&str> = cloudflare::zones_of(tables)
        .filter_map(|zone| zone["name"].as_str())
        .collect();
    // A cluster without a cloud around it has nobody to ask.
    if zones.is_empty() {
        return None;
    }
    let held = |name: &str| {
        let name = name.trim_start_matches("*.");
        zones
            .iter()
            .any(|zone| name == *zone || name.ends_with(&format!(".{zone}")))
    };
    let foreign = dns_names(certificate)
        .into_iter()
        .find(|name| !held(name))?;
    Some(format!("Could not find zone for {foreign}"))
}

fn dns_names(certificate: &Value) -> Vec<String> {
    let spec = &certificate["spec"];
    let listed = spec["dnsNames"].as_array().into_iter().flatten();
    let all = listed.chain(std::iter::once(&spec["commonName"]));
    let mut names: Vec<String> = all.filter_map(Value::as_str).map(str::to_owned).collect();
    names.dedup();
    names
}

fn issue(ctx: &mut Ctx<'_, '_>, it: &mut Looked, issuer: &Value) {
    let now_ms = ctx.world.now_ms();
    let end_ms = now_ms + VALID_DAYS * DAY_MS;
    let Some((certificate, private)) = signed(&it.object, issuer, now_ms, end_ms) else {
        tell(
            ctx,
            it,
            (
                false,
                "Failed",
                "the names of the certificate cannot be signed",
            ),
        );
        return;
    };
    keep_secret(ctx, it, &certificate, &private);
    let (now, generation) = (ctx.now(), it.generation());
    it.update(ctx, |o| {
        let status = &mut o["status"];
        if let Some(list) = status["conditions"].as_array_mut() {
            list.retain(|c| c["type"] != "Issuing");
        }
        let text = "Certificate is up to date and has not expired";
        condition(status, &now, ("Ready", true, "Ready", text));
        status["conditions"][0]["observedGeneration"] = json!(generation);
        status["revision"] = json!(1);
        status["notBefore"] = json!(timestamp(now_ms));
        status["notAfter"] = json!(timestamp(end_ms));
        status["renewalTime"] = json!(timestamp(end_ms - 30 * DAY_MS));
        if let Some(map) = status.as_object_mut() {
            map.remove("failedIssuanceAttempts");
            map.remove("lastFailureTime");
        }
    });
}

/// A certificate and its key, PEM, by an authority that nobody trusts.
fn signed(
    certificate: &Value,
    issuer: &Value,
    from_ms: u64,
    until_ms: u64,
) -> Option<(String, String)> {
    let date = |ms: u64| {
        let text = timestamp(ms);
        let mut parts = text.get(..10)?.split('-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        Some(rcgen::date_time_ymd(
            year.parse().ok()?,
            month.parse().ok()?,
            day.parse().ok()?,
        ))
    };
    let name = issuer["metadata"]["name"].as_str().unwrap_or_default();
    let mut authority = CertificateParams::default();
    authority
        .distinguished_name
        .push(DnType::CommonName, format!("Sandbox {name}"));
    let mut leaf = CertificateParams::new(dns_names(certificate)).ok()?;
    leaf.not_before = date(from_ms)?;
    leaf.not_after = date(until_ms)?;
    let key = KeyPair::generate().ok()?;
    let issuer = Issuer::new(authority, KeyPair::generate().ok()?);
    let made = leaf.signed_by(&key, &issuer).ok()?;
    Some((made.pem(), key.serialize_pem()))
}

fn keep_secret(ctx: &mut Ctx<'_, '_>, it: &Looked, certificate: &str, private: &str) {
    let Some(name) = it.object["spec"]["secretName"].as_str() else {
        return;
    };
    let secrets = table(ctx.cluster, "", "secrets");
    let at = key(Some(it.namespace()), name);
    let known = ctx.tables().get(&secrets, &at).cloned();
    let mut secret = known.unwrap_or_else(|| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": name, "namespace": it.namespace(), "uid": new_uid(),
                         "creationTimestamp": ctx.now()},
        })
    });
    let issuer = &it.object["spec"]["issuerRef"];
    for (annotation, value) in [
        ("cert-manager.io/certificate-name", json!(it.name())),
        ("cert-manager.io/issuer-name", issuer["name"].clone()),
        ("cert-manager.io/issuer-kind", issuer["kind"].clone()),
    ] {
        secret["metadata"]["annotations"][annotation] = value;
    }
    let template = &it.object["spec"]["secretTemplate"];
    for field in ["labels", "annotations"] {
        for (name, value) in template[field].as_object().into_iter().flatten() {
            secret["metadata"][field][name] = value.clone();
        }
    }
    secret["data"] =
        json!({"tls.crt": STANDARD.encode(certificate), "tls.key": STANDARD.encode(private)});
    ctx.store(&secrets, &at, secret);
}
