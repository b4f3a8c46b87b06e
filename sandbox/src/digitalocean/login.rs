//! Who gets into which database: by host name, user, password and trusted sources; from inside a cluster
//! also by network.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::call::{due, text};
use crate::world::Tables;

use super::{all, database, replica};

/// What a client presents.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client<'a> {
    /// The host name, with or without `:port`.
    pub(crate) host: &'a str,
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    pub(crate) database: &'a str,
}

/// Why a client does not get in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No database answers under this name and port, from there.
    Unreachable,
    /// The server does not know the user, or the password is another one.
    Denied,
    /// There is no such schema.
    UnknownDatabase,
}

/// An open session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// The id of the cluster or replica.
    pub(crate) id: String,
    pub(crate) writable: bool,
}

/// The port of every managed MySQL.
pub(crate) const PORT: u16 = 25060;

/// The database that has a host name, public or private; ready ones only.
pub(crate) fn by_host<'t>(tables: &'t Tables, now: u64, host: &str) -> Option<&'t Value> {
    let host = host.strip_prefix("private-").unwrap_or(host);
    everything(tables)
        .filter(|doc| due(doc, "online_ms", now))
        .find(|doc| text(doc, "host").eq_ignore_ascii_case(host))
}

/// All clusters and replicas.
pub(crate) fn everything(tables: &Tables) -> impl Iterator<Item = &Value> {
    all(tables, database::TABLE).chain(all(tables, replica::TABLE))
}

/// One cluster or replica.
pub(crate) fn by_id<'t>(tables: &'t Tables, id: &str) -> Option<&'t Value> {
    let found = tables.get(database::TABLE, id);
    found.or_else(|| tables.get(replica::TABLE, id))
}

/// The document that has the users and schemas: a replica has its source's.
pub(crate) fn owner<'t>(tables: &'t Tables, doc: &'t Value) -> &'t Value {
    let parent = doc["parent_id"].as_str();
    parent
        .and_then(|id| tables.get(database::TABLE, id))
        .unwrap_or(doc)
}

/// The password of a user.
pub(crate) fn password<'t>(owner: &'t Value, user: &str) -> Option<&'t str> {
    let mut users = owner["users"].as_array().into_iter().flatten();
    let found = users.find(|known| text(known, "name") == user);
    found.and_then(|known| known["password"].as_str())
}

/// Whether a database takes writes.
pub(crate) fn writable(doc: &Value) -> bool {
    match doc["replication"]["read_only"].as_bool() {
        Some(read_only) => !read_only,
        None => !doc["parent_id"].is_string(),
    }
}

/// Whether a schema exists for clients.
pub(crate) fn has_schema(owner: &Value, name: &str) -> bool {
    let mut names = owner["db_names"].as_array().into_iter().flatten();
    names.any(|known| known == name)
}

/// Lets a program of a cluster in, or not.
pub(crate) fn from_cluster(
    tables: &Tables,
    now: u64,
    cluster: &str,
    client: &Client<'_>,
) -> Result<Session, Refusal> {
    let (host, port) = match client.host.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (client.host, Some(3306)),
    };
    let found = by_host(tables, now, host).filter(|_| port == Some(PORT));
    let doc = found.ok_or(Refusal::Unreachable)?;
    let home = tables.get("digitalocean/kubernetes_clusters", cluster);
    // Without a document there is no network to tell apart.
    if let Some(home) = home {
        let near = text(home, "vpc_uuid") == text(doc, "private_network_uuid");
        if (host.starts_with("private-") && !near) || !is_trusted(doc, cluster, home) {
            return Err(Refusal::Unreachable);
        }
    }
    let owner = owner(tables, doc);
    if password(owner, client.user).is_none_or(|known| known != client.password) {
        return Err(Refusal::Denied);
    }
    if !client.database.is_empty() && !has_schema(owner, client.database) {
        return Err(Refusal::UnknownDatabase);
    }
    Ok(Session {
        id: text(doc, "id").to_owned(),
        writable: writable(doc),
    })
}

/// Whether a database lets in a program that runs in no cluster: without rules everybody, with rules only
/// whose address is among them.
pub(crate) fn lets_in(doc: &Value, client: IpAddr) -> bool {
    let rules = doc["rules"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let names = |value: &str| match value.parse::<IpNet>() {
        Ok(network) => network.contains(&client),
        Err(_) => value.parse() == Ok(client),
    };
    let mut addresses = rules.iter().filter(|rule| text(rule, "type") == "ip_addr");
    rules.is_empty() || addresses.any(|rule| names(text(rule, "value")))
}

/// Without rules everybody is trusted; with rules only who is named, by id or by tag.
fn is_trusted(doc: &Value, cluster: &str, home: &Value) -> bool {
    let rules = doc["rules"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let tags = home["tags"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    rules.is_empty()
        || rules.iter().any(|rule| match text(rule, "type") {
            "k8s" => text(rule, "value") == cluster,
            "tag" => tags.contains(&rule["value"]),
            _ => false,
        })
}
