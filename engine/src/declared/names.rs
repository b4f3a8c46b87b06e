//! Names of the DNS that a spec declares.

use super::value;
use crate::config::Resource;
use crate::observe::Inputs;
use crate::schema::Part;
use crate::value::Value;

/// A record, as far as its values are known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DnsRecord {
    /// The domain.
    pub(crate) zone: String,
    /// The whole name.
    pub(crate) name: String,
    /// `A`, `CNAME`, `TXT`.
    pub(crate) kind: String,
    /// What it leads to.
    pub(crate) content: Option<String>,
    /// Whether the vendor answers with addresses of its own.
    pub(crate) proxied: bool,
}

impl DnsRecord {
    /// Whether it leads users somewhere.
    pub(crate) fn leads(&self) -> bool {
        ["A", "AAAA", "CNAME"].contains(&self.kind.as_str())
    }
}

/// What a resource declares if it is a DNS record; an error where its name or type is not known yet.
pub(crate) fn record(inputs: &Inputs, resource: &Resource) -> Option<Result<DnsRecord, String>> {
    if inputs.registry.part(&resource.address.kind) != Some(Part::DnsRecord) {
        return None;
    }
    let value = value(inputs, resource);
    let get = |key: &str| Some(value.get(key)?.as_str()?.to_owned());
    let known = (get("zone"), get("name"), get("type"));
    let (Some(zone), Some(name), Some(kind)) = known else {
        let address = &resource.address;
        return Some(Err(format!(
            "the name of {address} is not known before an apply"
        )));
    };
    Some(Ok(DnsRecord {
        name: qualified(&zone, &name),
        zone,
        kind,
        content: get("content"),
        proxied: value.get("proxied").and_then(Value::as_bool) == Some(true),
    }))
}

/// A record's whole name.
pub(crate) fn qualified(zone: &str, name: &str) -> String {
    if name == zone || name.ends_with(&format!(".{zone}")) {
        name.to_owned()
    } else if name == "@" {
        zone.to_owned()
    } else {
        format!("{name}.{zone}")
    }
}
