//! The way into a cluster of the sandbox is that of a real one: TLS by an authority that the kubeconfig names,
//! and no other.

use std::error::Error as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::Kubeconfig;
use serde_json::{Value as Json, json};
use zonewright_engine::provider::ErrorClass;
use zonewright_engine::secret::Secret;
use zonewright_engine::value::Value;
use zonewright_providers::kubernetes;
use zonewright_tests::{Env, trusting};

use super::verify::{cluster, token};
use super::{applied, example};

/// Of the same name as the right one, as somebody would make it who wants to be taken for it.
fn another_authority() -> String {
    let mut params = rcgen::CertificateParams::default();
    let name = rcgen::DnType::CommonName;
    params.distinguished_name.push(name, "Sandbox Cluster CA");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().pem()
}

/// The server and the authority that `kubeconfig` gives out.
fn way(env: &Env) -> (String, String) {
    let text = env.expect(0, &["kubeconfig", "--zone", "bz"]).stdout;
    let config = Kubeconfig::from_yaml(&text).unwrap();
    let cluster = config.clusters[0].cluster.clone().unwrap();
    let authority = STANDARD.decode(cluster.certificate_authority_data.unwrap());
    let authority = String::from_utf8(authority.unwrap()).unwrap();
    (cluster.server.unwrap(), authority)
}

/// All that an error says.
fn causes(error: &reqwest::Error) -> String {
    let mut out = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        out += &format!(": {source}");
        cause = source.source();
    }
    out
}

#[test]
fn a_cluster_is_reached_over_tls_by_the_authority_of_its_kubeconfig_only() {
    let env = applied();
    let (server, authority) = way(&env);
    let (id, bearer) = cluster(&env, "bz");
    let at = env.ready().endpoints().clusters;
    assert_eq!(server, format!("https://{at}/clusters/{id}"));
    let pods = format!("{server}/api/v1/namespaces/app/pods");
    let ask = |client: reqwest::Client, url: &str| {
        let request = client.get(url).bearer_auth(&bearer);
        env.wait(async { request.send().await })
    };
    let seen = ask(trusting(&authority), &pods).unwrap();
    assert_eq!(seen.status(), 200);
    let refused = ask(trusting(&another_authority()), &pods).unwrap_err();
    let why = causes(&refused);
    assert!(why.contains("invalid peer certificate"), "{why}");
    // Without TLS there is no cluster, and behind its TLS there is nothing else.
    let plain = format!("{}/clusters/{id}/version", env.origin());
    assert_eq!(ask(trusting(&authority), &plain).unwrap().status(), 400);
    let elsewhere = format!("https://{at}/v2/account");
    assert_eq!(ask(trusting(&authority), &elsewhere).unwrap().status(), 404);
    env.assert_settled();
}

#[test]
fn the_authority_outlives_the_server() {
    let env = example();
    let before = env.ready();
    env.expect(0, &["sandbox", "stop"]);
    let after = env.ready();
    assert!(before.cluster_authority().contains("BEGIN CERTIFICATE"));
    assert_eq!(before.cluster_authority(), after.cluster_authority());
    assert_eq!(before.endpoints(), after.endpoints(), "the ports are kept");
}

/// What our own provider says to a cluster with these credentials.
fn identity(env: &Env, credentials: &Json) -> Result<Option<String>, (ErrorClass, String)> {
    let secret = Secret::new("credentials", credentials.to_string(), None);
    let options = kubernetes::Options {
        attempts: 1,
        ..kubernetes::Options::default()
    };
    let asked = env.wait(async {
        let provider = kubernetes::provider(options);
        let config = Value::Null;
        let session = provider.open(&config, Some(("bz", &secret))).await?;
        session.identity().await
    });
    asked.map_err(|e| (e.class, e.message))
}

#[test]
fn our_provider_takes_no_other_authority_and_no_clear_text() {
    let env = applied();
    let (id, _) = cluster(&env, "bz");
    let path = format!("/v2/kubernetes/clusters/{id}/credentials");
    let (_, mut credentials) = env.meddle("GET", &path, &token(&env), None);
    assert!(identity(&env, &credentials).unwrap().is_some());

    let other = STANDARD.encode(another_authority());
    let right = std::mem::replace(&mut credentials["certificate_authority_data"], json!(other));
    let (class, message) = identity(&env, &credentials).unwrap_err();
    assert_eq!(class, ErrorClass::Unreachable);
    assert!(message.contains("invalid peer certificate"), "{message}");
    // Nobody in particular to trust: the public authorities, which do not know it.
    credentials["certificate_authority_data"] = json!("");
    let (_, message) = identity(&env, &credentials).unwrap_err();
    assert!(message.contains("invalid peer certificate"), "{message}");

    credentials["certificate_authority_data"] = right;
    credentials["server"] = json!("http://cluster.example.org:6443");
    let (class, message) = identity(&env, &credentials).unwrap_err();
    assert_eq!(class, ErrorClass::Invalid);
    assert!(message.contains("not reached by https"), "{message}");
    env.assert_settled();
}
