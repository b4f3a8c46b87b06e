//! The names that users know, and what they have to answer, as far as the spec alone tells.

use crate::address::ZoneName;
use crate::config::Resource;
use crate::declared::{DnsRecord, record};
use crate::expr::{Node, Reference};
use crate::observe::Inputs;

/// A declared address record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PublicName {
    /// The whole name.
    pub(super) name: String,
    /// The zone that it belongs to; none for what all zones share.
    pub(super) zone: Option<ZoneName>,
    /// `A`, `AAAA` or `CNAME`.
    pub(super) record: String,
    /// What it has to answer; a proxied name answers with the proxy's addresses.
    pub(super) answer: Option<String>,
}

impl PublicName {
    /// Its first part: `wp-active`.
    pub(super) fn short(&self) -> &str {
        self.name.split('.').next().unwrap_or(&self.name)
    }
}

/// All of them, what is shared first.
pub(super) fn public(inputs: &Inputs) -> Vec<PublicName> {
    let resources = inputs.config.resources.values();
    let mut out: Vec<PublicName> = resources.filter_map(|r| name(inputs, r)).collect();
    out.sort_by(|a, b| (&a.zone, &a.name).cmp(&(&b.zone, &b.name)));
    out
}

fn name(inputs: &Inputs, resource: &Resource) -> Option<PublicName> {
    let found = record(inputs, resource)?.ok().filter(DnsRecord::leads)?;
    let answer = match target(inputs, resource) {
        Some(name) => Some(name),
        None => found.content,
    };
    Some(PublicName {
        name: found.name,
        zone: (!resource.address.zone.is_edge()).then(|| resource.address.zone.clone()),
        record: found.kind,
        answer: answer.filter(|_| !found.proxied),
    })
}

/// The name of the record that a record's content refers to.
fn target(inputs: &Inputs, resource: &Resource) -> Option<String> {
    let content = resource.body.get("content")?;
    let whole = match &content.node {
        Node::Ref(reference) => reference,
        _ => return None,
    };
    let Reference::Resource { address, path } = whole else {
        return None;
    };
    let other = inputs.config.resources.get(address)?;
    (path.to_string() == "hostname" && other.address.kind == resource.address.kind)
        .then(|| name(inputs, other))?
        .map(|n| n.name)
}
