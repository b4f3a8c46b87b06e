//! WordPress behind its Service, as far as probes and smoke tests ask it.
//!
//! Each page connects to the database that the container's environment names, as WordPress does.
//! On a database that cannot be written, pages still come, and so does the redirect after a login, but
//! the session does not hold: only `/wp-admin/` tells.

use serde_json::{Value, json};

use super::super::environment;
use super::super::request::{Answer, Ctx, Reply};
use super::{Visit, json as json_reply, text};
use crate::digitalocean::login::{self, Client};

const SESSION: &str = "wordpress_logged_in_sandbox";

pub(super) fn answer(visit: &Visit<'_>, ctx: &Ctx<'_, '_>) -> Reply {
    let opened = visit.pods.iter().find(|p| has_name(p)).map(|pod| {
        let variables = environment::of_pod(ctx.home(), pod);
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
