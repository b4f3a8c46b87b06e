//! `cloudflare.dns_record`: one record of a zone. Its id is `<zone id>/<record id>`.
//!
//! Names are compared as full domain names and host names without regard to case; a record that
//! means the same is reported in the words of the spec.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use zonewright_engine::provider::{
    ErrorClass, Live, Marker, Observed, Op, Outcome, Owned, ProviderError, ReadTarget, Search,
    Status, Verb, Wait,
};
use zonewright_engine::schema::{
    Attr, Check, Containment, Equality, Form, KindSchema, Output, Part, Type, Typical,
};
use zonewright_engine::value::Value;

use crate::cloud::{Applied, CloudKind, POLL};
use crate::http::{Api, ApiError, found, segment};
use crate::live::{
    Attrs, Lens, Listed, Reader, candidates, choose, invalid, join_mark, marked, need, project_of,
    spec, split_mark, text,
};

/// The kind.
pub(super) struct DnsRecord;

/// Its attributes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DnsRecordSpec {
    zone: String,
    zone_id: Option<String>,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    content: String,
    ttl: Option<i64>,
    proxied: Option<bool>,
    priority: Option<i64>,
    comment: Option<String>,
}

/// Records of a zone come in one page as far as the vendor allows.
const PAGE: usize = 5000;
/// The longest comment on the free plan.
const COMMENT_LIMIT: usize = 100;

/// What is free of it beside our mark.
const COMMENT_FREE: usize = 60;
/// `Automatic`, the only time to live of a proxied record.
const AUTOMATIC: i64 = 1;

/// What the vendor takes as `ttl` (its OpenAPI document): 1 for automatic, else 60 to 86400 seconds, from
/// 30 in a zone with an Enterprise plan.
const TTL: &[(i64, i64)] = &[(1, 1), (30, 86_400)];

/// Those whose content is one text; the others take structured data.
const TYPES: &[&str] = &["A", "AAAA", "CNAME", "MX", "NS", "PTR", "TXT"];

impl Reader for DnsRecord {
    fn id(&self, item: &Json) -> String {
        let zone = text(item, "/@zone_id").unwrap_or_default();
        format!("{zone}/{}", text(item, "/id").unwrap_or_default())
    }

    fn mark(&self, item: &Json, _wanted: &Marker) -> Option<String> {
        split_mark(text(item, "/comment")?).1.map(str::to_owned)
    }

    /// In the way of what was asked for: an address or alias of the same name; of the types that a
    /// name may have several of, the same content.
    fn named(&self, item: &Json, lens: &Lens<'_>) -> bool {
        let (Some(zone), Some(name)) = (lens.wants("zone"), lens.wants("name")) else {
            return false;
        };
        let kind = text(item, "/type");
        let single = matches!(kind, Some("A" | "AAAA" | "CNAME"));
        let content = lens.wants("content");
        text(item, "/name").is_some_and(|n| same_host(n, &fqdn(name, zone)))
            && kind == lens.wants("type")
            && (single || content.is_some_and(|c| same_content(kind, c, text(item, "/content"))))
    }

    fn live(&self, item: &Json, lens: &Lens<'_>) -> Live {
        let id = self.id(item);
        let name = text(item, "/name").unwrap_or_default();
        let zone = text(item, "/@zone").or_else(|| lens.wants("zone"));
        let asked = lens.wants("name").zip(lens.wants("zone"));
        let shown = asked.filter(|(n, z)| same_host(name, &fqdn(n, z)));
        let (kind, content) = (text(item, "/type"), text(item, "/content"));
        let spelled = lens
            .wants("content")
            .filter(|c| same_content(kind, c, content));
        let comment = split_mark(text(item, "/comment").unwrap_or_default()).0;
        let mut attrs = Attrs::new()
            .text("zone", zone)
            .text("zone_id", text(item, "/@zone_id"))
            .text("name", Some(shown.map_or(name, |(n, _)| n)))
            .text("type", kind)
            .json("ttl", item.get("ttl"))
            .json("proxied", item.get("proxied"))
            .json("priority", item.get("priority"))
            .value("comment", Value::text(comment))
            .text("id", Some(&id))
            .text("hostname", Some(name));
        // A content that came from a secret stays one.
        attrs = match lens.desired.and_then(|d| d.get("content")) {
            Some(Value::Secret(secret)) => attrs.secret_as("content", &secret.label, content),
            _ => attrs.text("content", spelled.or(content)),
        };
        Live {
            id,
            attrs: attrs.done(),
            mark: marked(self.mark(item, lens.marker)),
            status: Status::Ready,
        }
    }
}

/// The full domain name, in lower case and without a final dot.
fn fqdn(name: &str, zone: &str) -> String {
    let plain = |t: &str| t.trim_end_matches('.').to_ascii_lowercase();
    let (name, zone) = (plain(name), plain(zone));
    match name.as_str() {
        "@" | "" => zone,
        full if full == zone || full.ends_with(&format!(".{zone}")) => name,
        label => format!("{label}.{zone}"),
    }
}

fn same_host(a: &str, b: &str) -> bool {
    a.trim_end_matches('.')
        .eq_ignore_ascii_case(b.trim_end_matches('.'))
}

fn same_content(kind: Option<&str>, declared: &str, live: Option<&str>) -> bool {
    let Some(live) = live else { return false };
    match kind {
        Some("CNAME" | "MX" | "NS" | "PTR") => same_host(declared, live),
        Some("AAAA") => {
            let address = |text: &str| text.parse::<std::net::Ipv6Addr>().ok();
            declared == live || address(declared).is_some_and(|a| Some(a) == address(live))
        }
        // The vendor may add the quotes that a zone file has.
        Some("TXT") => declared.trim_matches('"') == live.trim_matches('"'),
        _ => declared == live,
    }
}

/// Why a record that goes through Cloudflare has no time to live of its own.
const PROXIED_TTL: &str = "a proxied record has the time to live 1 (automatic); leave `ttl` out";

const CHECKS: &[Check] = &[
    Check {
        attr: "comment",
        refused: |attrs| {
            let long = attrs["comment"].as_str()?.chars().count() > COMMENT_FREE;
            long.then_some("a comment has up to 60 characters beside the ownership mark")
        },
    },
    Check {
        attr: "ttl",
        refused: |attrs| {
            let other = attrs["ttl"].as_i64()? != AUTOMATIC;
            (attrs["proxied"] == true && other).then_some(PROXIED_TTL)
        },
    },
];

fn comment(user: &str, marker: &Marker) -> Result<String, ProviderError> {
    let comment = join_mark(user, marker);
    match comment.chars().count() <= COMMENT_LIMIT {
        true => Ok(comment),
        false => Err(invalid(
            "comment",
            "too long: 60 characters are free beside the ownership mark",
        )),
    }
}

/// The zone's id; looked up once in a session.
async fn zone_id(api: &Api, zone: &str) -> Result<String, ProviderError> {
    let zone = zone.trim_end_matches('.').to_ascii_lowercase();
    let key = format!("zone:{zone}");
    if let Some(id) = api.recall(&key) {
        return Ok(id);
    }
    let reply = api.get(&format!("/zones?name={}", segment(&zone))).await?;
    let Some(id) = text(&reply, "/result/0/id") else {
        let message = format!(
            "the token sees no zone `{zone}`; it needs the right Zone Read, or give `zone_id`"
        );
        return Err(invalid("zone", message));
    };
    api.note(key, id.to_owned());
    Ok(id.to_owned())
}

/// The zone of something: from its id, from the spec, by its name.
async fn zone_of(api: &Api, id: Option<&str>, lens: &Lens<'_>) -> Result<String, ProviderError> {
    let from_id = id.and_then(|id| id.split_once('/')).map(|(zone, _)| zone);
    match from_id.or_else(|| lens.wants("zone_id")) {
        Some(zone) => Ok(zone.to_owned()),
        None => zone_id(api, need(lens.wants("zone"), "the zone")?).await,
    }
}

fn in_zone(mut item: Json, zone_id: &str) -> Json {
    if item.is_object() {
        item["@zone_id"] = json!(zone_id);
    }
    item
}

/// The records of a zone, or those of one name in it: what is looked at before each single write
/// must not cost the whole zone.
async fn list(api: &Api, zone_id: &str, name: Option<&str>) -> Result<Vec<Json>, ApiError> {
    let mut path = format!("/zones/{zone_id}/dns_records");
    if let Some(name) = name {
        path = format!("{path}?name={name}");
    }
    let pages = api.pages(&path, ("result", "/result_info/total_count"), PAGE);
    let items = pages.await?.into_iter();
    Ok(items.map(|i| in_zone(i, zone_id)).collect())
}

/// The full name that is asked for, where it can stand in an address as it is.
fn only_name(lens: &Lens<'_>) -> Option<String> {
    let name = fqdn(lens.wants("name")?, lens.wants("zone")?);
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'*');
    name.bytes().all(plain).then_some(name)
}

fn path(id: &str) -> Result<(&str, String), ProviderError> {
    let (zone, record) = id
        .split_once('/')
        .ok_or_else(|| invalid("id", format!("`{id}` is not `<zone id>/<record id>`")))?;
    Ok((zone, format!("/zones/{zone}/dns_records/{record}")))
}

async fn one(api: &Api, id: &str) -> Result<Option<Json>, ProviderError> {
    let (zone, path) = path(id)?;
    let reply = match api.get(&path).await {
        Err(e) if e.code == Some(81044) => None,
        reply => found(reply)?,
    };
    Ok(reply.map(|mut r| in_zone(r["result"].take(), zone)))
}

/// What a record is made of. The vendor's description wants name, type, content and time to live
/// in every write; of the rest goes what the spec says.
fn body(spec: &DnsRecordSpec, live: &Value, comment: &str) -> Json {
    let host = matches!(spec.kind.as_str(), "CNAME" | "MX" | "NS" | "PTR");
    let content = match host {
        true => spec.content.trim_end_matches('.'),
        false => &spec.content,
    };
    let kept = live.get("ttl").and_then(Value::as_i64);
    let ttl = match spec.proxied {
        Some(true) => AUTOMATIC,
        _ => spec.ttl.or(kept).unwrap_or(AUTOMATIC),
    };
    let mut body = json!({
        "name": fqdn(&spec.name, &spec.zone),
        "type": spec.kind,
        "content": content,
        "ttl": ttl,
        "comment": comment,
    });
    if let Some(proxied) = spec.proxied {
        body["proxied"] = json!(proxied);
    }
    if let Some(priority) = spec.priority {
        body["priority"] = json!(priority);
    }
    body
}

fn checked(desired: &Value) -> Result<DnsRecordSpec, ProviderError> {
    let spec: DnsRecordSpec = spec(desired)?;
    if spec.proxied == Some(true) && spec.ttl.is_some_and(|t| t != AUTOMATIC) {
        return Err(invalid("ttl", PROXIED_TTL));
    }
    Ok(spec)
}

impl DnsRecord {
    fn ready(&self, op: &Op, mut reply: Json, zone: &str) -> Applied {
        let item = in_zone(reply["result"].take(), zone);
        if text(&item, "/id").is_none() {
            let message = "Cloudflare accepted the request but told no id";
            return Err(ProviderError::new(ErrorClass::Ambiguous, message));
        }
        Ok(Outcome::Ready(Box::new(self.live(&item, &Lens::of_op(op)))))
    }

    async fn create(&self, api: &Api, op: &Op, desired: &Value) -> Applied {
        let spec = checked(desired)?;
        let zone = zone_of(api, None, &Lens::of_op(op)).await?;
        let user = spec.comment.as_deref().unwrap_or("");
        let body = body(&spec, &Value::Null, &comment(user, &op.marker)?);
        let path = format!("/zones/{zone}/dns_records");
        let reply = api.post(&path, &body).await?;
        self.ready(op, reply, &zone)
    }

    async fn update(&self, api: &Api, op: &Op, id: &str) -> Applied {
        let (zone, path) = path(id)?;
        let Verb::Update { desired, live, .. } = &op.verb else {
            return Err(invalid("id", "this is no update"));
        };
        let spec = checked(desired)?;
        let kept = live.get("comment").and_then(Value::as_str);
        let user = spec.comment.as_deref().or(kept).unwrap_or("");
        let body = body(&spec, live, &comment(user, &op.marker)?);
        let reply = api.patch(&path, &body).await?;
        self.ready(op, reply, zone)
    }

    async fn delete(&self, api: &Api, id: &str) -> Applied {
        match api.delete(&path(id)?.1, None).await {
            Ok(_) => Ok(Outcome::Gone),
            Err(e) if e.code == Some(81044) => Ok(Outcome::Gone),
            Err(e) => Err(e.error),
        }
    }

    async fn poll(&self, api: &Api, op: &Op, id: &str, wait: Wait) -> Applied {
        Ok(match (one(api, id).await?, wait) {
            (None, _) => Outcome::Gone,
            (Some(item), Wait::Ready) => {
                Outcome::Ready(Box::new(self.live(&item, &Lens::of_op(op))))
            }
            (Some(_), Wait::Gone) => Outcome::Pending {
                detail: "deleting".to_owned(),
                poll_after: POLL,
            },
        })
    }

    async fn find(&self, api: &Api, op: &Op) -> Applied {
        let zone = zone_of(api, None, &Lens::of_op(op)).await?;
        let items = list(api, &zone, only_name(&Lens::of_op(op)).as_deref()).await?;
        Ok(Outcome::Found(candidates(self, op, &items)))
    }

    async fn observe(&self, api: &Api, targets: &[&ReadTarget]) -> Vec<Observed> {
        if let [target] = targets
            && let Some(id) = &target.id
        {
            match one(api, id).await {
                Ok(Some(item)) => {
                    let live = self.live(&item, &Lens::of_target(target));
                    return vec![Observed::Present(Box::new(live))];
                }
                // Gone under this id; the list knows whether there is another.
                Ok(None) => {}
                Err(e) => return vec![Observed::Unreadable(e)],
            }
        }
        let mut zones: BTreeMap<String, Result<Listed, ApiError>> = BTreeMap::new();
        let mut all = Vec::new();
        for target in targets {
            let lens = Lens::of_target(target);
            let known =
                target.id.is_some() || lens.wants("zone_id").or(lens.wants("zone")).is_some();
            if !known {
                all.push(Observed::Gone);
                continue;
            }
            let zone = match zone_of(api, target.id.as_deref(), &lens).await {
                Ok(zone) => zone,
                Err(e) => {
                    all.push(Observed::Unreadable(e));
                    continue;
                }
            };
            if !zones.contains_key(&zone) {
                let only = (targets.len() == 1).then(|| only_name(&lens)).flatten();
                let items = list(api, &zone, only.as_deref()).await;
                zones.insert(zone.clone(), items.map(|items| Listed::new(self, items)));
            }
            all.push(match zones.get(&zone) {
                Some(Ok(items)) => choose(self, target, items),
                Some(Err(e)) if !e.is(404) => Observed::Unreadable(e.error.clone()),
                Some(Err(_)) | None => Observed::Gone,
            });
        }
        all
    }
}

impl DnsRecord {
    /// The records of the project in all zones that it has or wants records in.
    async fn marked_in_zones(
        &self,
        api: &Api,
        search: &Search,
    ) -> Result<Vec<Owned>, ProviderError> {
        let project = project_of(search);
        let record = |v: &&Value| v.get("content").is_some() && v.get("type").is_some();
        let mut zones = BTreeSet::new();
        for place in search.places.iter().filter(record) {
            let said = |key: &str| place.get(key).and_then(Value::as_str);
            match (said("zone_id"), said("zone")) {
                (Some(id), _) => zones.insert(id.to_owned()),
                (None, Some(name)) => zones.insert(zone_id(api, name).await?),
                (None, None) => false,
            };
        }
        let mut out = Vec::new();
        for zone in &zones {
            for item in list(api, zone, None).await? {
                let comment = text(&item, "/comment").unwrap_or_default();
                let mark = split_mark(comment).1.filter(|m| m.starts_with(&project));
                out.extend(mark.map(|mark| described(&item, self.id(&item), mark)));
            }
        }
        Ok(out)
    }
}

fn described(item: &Json, id: String, mark: &str) -> Owned {
    let said = |key: &str| text(item, key).unwrap_or_default();
    let path = format!("zones/{}/dns_records/{}", said("/@zone_id"), said("/id"));
    Owned {
        kind: schema().kind,
        what: format!("dns_record {} {}", said("/type"), said("/name")),
        mark: mark.to_owned(),
        address: None,
        attrs: Value::Null,
        remove: format!(
            "curl -X DELETE -H \"Authorization: Bearer $CLOUDFLARE_API_TOKEN\" https://api.cloudflare.com/client/v4/{path}"
        ),
        id,
    }
}

impl CloudKind for DnsRecord {
    fn schema(&self) -> KindSchema {
        schema()
    }

    fn refresh<'a>(
        &'a self,
        api: &'a Api,
        targets: &'a [&'a ReadTarget],
    ) -> BoxFuture<'a, Vec<Observed>> {
        Box::pin(self.observe(api, targets))
    }

    fn owned<'a>(
        &'a self,
        api: &'a Api,
        search: &'a Search,
    ) -> BoxFuture<'a, Result<Vec<Owned>, ProviderError>> {
        Box::pin(self.marked_in_zones(api, search))
    }

    fn apply<'a>(&'a self, api: &'a Api, op: &'a Op) -> BoxFuture<'a, Applied> {
        Box::pin(async move {
            match &op.verb {
                Verb::Create { desired } => self.create(api, op, desired).await,
                Verb::Update { id, .. } => self.update(api, op, id).await,
                Verb::Delete { id, .. } => self.delete(api, id).await,
                Verb::Poll { id, wait, .. } => self.poll(api, op, id, *wait).await,
                Verb::Find { .. } => self.find(api, op).await,
            }
        })
    }
}

fn schema() -> KindSchema {
    KindSchema {
        kind: "cloudflare.dns_record".parse().expect("invariant: a kind"),
        part: Some(Part::DnsRecord),
        doc: "A DNS record.",
        form: Form::Attributes,
        attrs: vec![
            Attr::required("zone", Type::String, "The DNS zone, such as `example.org`.")
                .replaces()
                .equal(Equality::HostName),
            Attr::optional(
                "zone_id",
                Type::String,
                "The zone's id, for tokens without Zone Read.",
            )
            .replaces(),
            Attr::required(
                "name",
                Type::String,
                "The name, with or without the zone; `@` is the zone.",
            )
            .equal(Equality::HostName),
            Attr::required("type", Type::OneOf(TYPES), "The record's type.").replaces(),
            Attr::required(
                "content",
                Type::String,
                "What it says: an address, a name, a text.",
            ),
            Attr::optional(
                "ttl",
                Type::Within(TTL),
                "Seconds it may be cached; 1 is automatic, and below 60 needs an Enterprise plan.",
            ),
            Attr::optional(
                "proxied",
                Type::Bool,
                "Whether traffic goes through Cloudflare.",
            ),
            Attr::optional("priority", Type::Int, "The priority of an MX record."),
            Attr::optional("comment", Type::String, "Free text, up to 60 characters."),
        ],
        outputs: vec![
            Output::plain("id", Type::String, "`<zone id>/<record id>`."),
            Output::plain("hostname", Type::String, "The full domain name."),
        ],
        contained_in: Containment::None,
        marked: true,
        kept_when_off: true,
        protect: false,
        typical: Typical::secs(1, 1, 1),
        identity: &["zone", "type", "name"],
        checks: CHECKS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_full_domain_names() {
        for (name, expected) in [
            ("@", "example.org"),
            ("www", "www.example.org"),
            ("WWW.Example.org.", "www.example.org"),
            ("notexample.org", "notexample.org.example.org"),
        ] {
            assert_eq!(fqdn(name, "Example.org."), expected, "{name}");
        }
    }

    #[test]
    fn contents_are_compared_by_what_they_mean() {
        assert!(same_content(
            Some("CNAME"),
            "LB.Example.net.",
            Some("lb.example.net")
        ));
        assert!(same_content(
            Some("AAAA"),
            "2001:DB8::0:1",
            Some("2001:db8::1")
        ));
        assert!(!same_content(Some("TXT"), "Token", Some("token")));
    }
}
