//! WordPress behind its Service, as far as probes and smoke tests ask it.
//!
//! Each page connects to the database that the container's environment names, as WordPress does.
//! On a database that cannot be written, pages still come, and so does the redirect after a login, but
//! the session does not hold: only `/wp-admin/` tells.
//!
//! Must-use plugins are not run. One that names `X-Read-Only` is taken to do what the example's does: send
//! that header and take nothing while the variable that it asks is `read-only`.

use serde_json::{Value, json};

use super::super::environment::{self, Variables};
use super::super::request::{Answer, Ctx, Reply};
use super::{Visit, json as json_reply, text};
use crate::digitalocean::login::{self, Client};

const SESSION: &str = "wordpress_logged_in_sandbox";

pub(super) fn answer(visit: &Visit<'_>, ctx: &Ctx<'_, '_>) -> Reply {
    let mut read_only = false;
    let opened = visit.pods.iter().find(|p| has_name(p)).map(|pod| {
        let variables = environment::of_pod(ctx.home(), pod);
        read_only = stops_writes(ctx, pod, &variables);
        let get = |name: &str| variables.get(name).map_or("", String::as_str);
        let client = Client {
            host: get("WORDPRESS_DB_HOST"),
            user: get("WORDPRESS_DB_USER"),
            password: get("WORDPRESS_DB_PASSWORD"),
            database: get("WORDPRESS_DB_NAME"),
        };
        login::from_cluster(ctx.tables(), ctx.world.now_ms(), ctx.cluster, &client)
    });
    let writable = match opened {
        Some(Ok(session)) => session.writable,
        Some(Err(_)) | None => {
            return page(500, "Error establishing a database connection", &[]);
        }
    };
    let mut reply = match read_only && !visit.is_read() {
        true => page(503, "This site is read-only", &[]),
        false => page_of(visit, writable),
    };
    if read_only {
        reply.headers.push(("x-read-only", "1".to_owned()));
    }
    reply
}

/// Whether a must-use plugin stops writes.
fn stops_writes(ctx: &Ctx<'_, '_>, pod: &Value, variables: &Variables) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let containers = list(&pod["spec"]["containers"]);
    let mounts = containers.iter().flat_map(|c| list(&c["volumeMounts"]));
    let mounts = mounts.filter(|m| {
        let path = m["mountPath"].as_str().unwrap_or_default();
        path.trim_end_matches('/')
            .ends_with("/wp-content/mu-plugins")
    });
    let names: Vec<Value> = mounts.map(|m| m["name"].clone()).collect();
    let volumes = list(&pod["spec"]["volumes"]);
    let maps = volumes.iter().filter(|v| names.contains(&v["name"]));
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let plugins = maps.filter_map(|v| {
        let name = v["configMap"]["name"].as_str()?;
        environment::data(ctx.home(), namespace, "configmaps", name)
    });
    let mut plugins = plugins.flatten().filter(|(name, text)| {
        name.ends_with(".php") && text.contains("X-Read-Only") && is_told(text, variables)
    });
    plugins.next().is_some()
}

/// Whether the first variable that a plugin asks is `read-only`.
fn is_told(plugin: &str, variables: &Variables) -> bool {
    let asked = plugin.split("getenv('").nth(1);
    let asked = asked.and_then(|rest| rest.split('\'').next());
    asked
        .and_then(|name| variables.get(name))
        .map(String::as_str)
        == Some("read-only")
}

fn page_of(visit: &Visit<'_>, writable: bool) -> Reply {
    let posts = visit.call.method == http::Method::POST;
    match visit.path.as_str() {
        "/" => page(200, "A site of the sandbox", &[]),
        "/healthz" | "/readyz" | "/livez" => text(200, "ok\n"),
        "/wp-login.php" if posts => {
            let cookie = format!("{SESSION}={}; path=/; HttpOnly", u8::from(writable));
            let headers = [("location", "/wp-admin/"), ("set-cookie", cookie.as_str())];
            page(302, "", &headers)
        }
        "/wp-login.php" => page(200, "Log In", &[]),
        "/wp-admin" | "/wp-admin/" => {
            let held = format!("{SESSION}=1");
            if visit.call.cookie.contains(&held) {
                page(200, "Dashboard", &[])
            } else {
                page(302, "", &[("location", "/wp-login.php?reauth=1")])
            }
        }
        "/wp-json" => json_reply(
            200,
            &json!({"name": "A site of the sandbox", "namespaces": ["wp/v2"]}),
        ),
        _ => page(404, "Page not found", &[]),
    }
}

fn has_name(pod: &Value) -> bool {
    pod["metadata"]["name"].is_string()
}

fn page(code: u16, title: &str, headers: &[(&'static str, &str)]) -> Reply {
    let html = format!(
        "<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    );
    let mut reply: Reply =
        Answer::Bytes(code, "text/html; charset=UTF-8", html.into_bytes()).into();
    let owned = headers.iter().map(|(n, v)| (*n, (*v).to_owned()));
    reply.headers.extend(owned);
    reply
}
