//! What a zone answers to a question.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, MX, NS, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType, rdata};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::call::text;
use crate::cloudflare;
use crate::world::Tables;

/// The automatic ttl of the vendor.
const AUTOMATIC: u32 = 300;
const NAME_SERVERS: u32 = 86_400;
/// The ttl of the SOA record, and how long a missing name is remembered.
const MISSING: u32 = 1800;
/// Aliases that are followed.
const MOST_ALIASES: usize = 8;

/// Fills a reply in.
pub(super) fn fill(tables: &Tables, query: &Query, reply: &mut Message) {
    let wanted = query.query_type();
    let mut name = query.name().to_lowercase();
    for step in 0..MOST_ALIASES {
        let Some(zone) = Zone::of(tables, &name) else {
            // An alias that leads elsewhere is the whole answer; a foreign name has none.
            if step == 0 {
                reply.metadata.response_code = ResponseCode::Refused;
            }
            return;
        };
        reply.metadata.authoritative = true;
        match zone.look(&name, wanted) {
            Found::Records(records) => {
                reply.answers.extend(records);
                return;
            }
            Found::Alias(record, target) => {
                reply.answers.push(*record);
                name = target.to_lowercase();
            }
            Found::Nothing { exists } => {
                if !exists {
                    reply.metadata.response_code = ResponseCode::NXDomain;
                }
                reply.authorities.extend(zone.soa());
                return;
            }
        }
    }
}

/// Puts what a server still says that has fallen behind in the place of what is right.
pub(super) fn outdate(stale: &BTreeMap<String, String>, reply: &mut Message) {
    for record in &mut reply.answers {
        let Some(old) = stale.get(&plain(&record.name)) else {
            continue;
        };
        let address = || old.parse().ok().map(|ip| RData::A(A(ip)));
        let alias = || absolute(old).map(|name| RData::CNAME(rdata::CNAME(name)));
        if let Some(data) = address().or_else(alias) {
            record.data = data;
        }
    }
}

enum Found {
    Records(Vec<Record>),
    Alias(Box<Record>, Name),
    Nothing { exists: bool },
}

/// A zone with its records.
struct Zone<'t> {
    doc: &'t Value,
    records: Vec<&'t Value>,
    revision: u64,
}

impl<'t> Zone<'t> {
    /// The zone that a name is in: the one with the longest name.
    fn of(tables: &'t Tables, name: &Name) -> Option<Zone<'t>> {
        let name = plain(name);
        let holds = |zone: &&Value| {
            let rest = name.strip_suffix(text(zone, "name"));
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let zones = cloudflare::zones_of(tables).filter(holds);
        let doc = zones.max_by_key(|zone| text(zone, "name").len())?;
        Some(Zone {
            doc,
            records: cloudflare::records_of(tables, doc).collect(),
            revision: tables.revision(),
        })
    }

    fn look(&self, name: &Name, wanted: RecordType) -> Found {
        let shown = plain(name);
        if shown == text(self.doc, "name") {
            match wanted {
                RecordType::SOA => return Found::Records(self.soa().into_iter().collect()),
                RecordType::NS => return Found::Records(self.name_servers(name)),
                _ => {}
            }
        }
        let mut there = self.at(&shown);
        let below = format!(".{shown}");
        let inner = self
            .records
            .iter()
            .any(|r| text(r, "name").ends_with(&below));
        let apex = shown == text(self.doc, "name");
        if there.is_empty() && !inner && !apex {
            there = self.by_wildcard(&shown);
        }
        let exists = !there.is_empty() || inner || apex;
        let alias = there
            .iter()
            .find(|r| text(r, "type") == "CNAME" && r["proxied"] != true);
        if let Some(record) = alias.filter(|_| wanted != RecordType::CNAME)
            && let Some(target) = absolute(text(record, "content"))
        {
            let data = RData::CNAME(hickory_proto::rr::rdata::CNAME(target.clone()));
            let record = Record::from_rdata(name.clone(), ttl(record), data);
            return Found::Alias(Box::new(record), target);
        }
        let records: Vec<Record> = there
            .iter()
            .flat_map(|record| answers(record, name, wanted))
            .collect();
        match records.is_empty() {
            true => Found::Nothing { exists },
            false => Found::Records(records),
        }
    }

    fn at(&self, name: &str) -> Vec<&'t Value> {
        let all = self.records.iter().copied();
        all.filter(|record| text(record, "name") == name).collect()
    }

    /// The records of the closest `*` above a name.
    fn by_wildcard(&self, name: &str) -> Vec<&'t Value> {
        let mut rest = name;
        while let Some((_, parent)) = rest.split_once('.') {
            let found = self.at(&format!("*.{parent}"));
            let below = format!(".{parent}");
            let named = |r: &&Value| text(r, "name") == parent || text(r, "name").ends_with(&below);
            if !found.is_empty() || parent == text(self.doc, "name") {
                return found;
            }
            // A name that is there ends the search: wildcards above it do not reach below it.
            if self.records.iter().any(named) {
                return Vec::new();
            }
            rest = parent;
        }
        Vec::new()
    }

    fn name_servers(&self, name: &Name) -> Vec<Record> {
        let names = self.doc["name_servers"].as_array().into_iter().flatten();
        let names = names.filter_map(|n| absolute(n.as_str()?));
        let made = names
            .map(|server| Record::from_rdata(name.clone(), NAME_SERVERS, RData::NS(NS(server))));
        made.collect()
    }

    fn soa(&self) -> Option<Record> {
        let name = absolute(text(self.doc, "name"))?;
        let first = absolute(self.doc["name_servers"][0].as_str()?)?;
        let contact = absolute("dns.cloudflare.com")?;
        // Every write makes a new serial.
        let serial = u32::try_from(self.revision % u64::from(u32::MAX)).unwrap_or(0);
        let data = SOA::new(first, contact, serial, 10_000, 2_400, 604_800, MISSING);
        Some(Record::from_rdata(name, MISSING, RData::SOA(data)))
    }
}

fn plain(name: &Name) -> String {
    let text = name.to_ascii();
    text.trim_end_matches('.').to_lowercase()
}

fn absolute(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text).ok()?;
    name.set_fqdn(true);
    Some(name)
}

fn ttl(record: &Value) -> u32 {
    match record["ttl"].as_u64() {
        Some(seconds) if seconds > 1 => u32::try_from(seconds).unwrap_or(AUTOMATIC),
        _ => AUTOMATIC,
    }
}

/// What one stored record has to say to a question.
fn answers(record: &Value, name: &Name, wanted: RecordType) -> Vec<Record> {
    if record["proxied"] == true {
        return proxied(record, name, wanted);
    }
    let kind = text(record, "type");
    if wanted.to_string() != kind {
        return Vec::new();
    }
    let data = data(kind, record);
    let made = data.map(|data| Record::from_rdata(name.clone(), ttl(record), data));
    made.into_iter().collect()
}

/// The vendor's own addresses, two of each kind, which follow from the name.
fn proxied(record: &Value, name: &Name, wanted: RecordType) -> Vec<Record> {
    let digest = Sha256::digest(text(record, "name").as_bytes());
    let (a, b) = (digest[0], digest[1]);
    let pair = |x: u8| u16::from(x) << 8 | u16::from(b);
    let data: Vec<RData> = match wanted {
        RecordType::A => [
            Ipv4Addr::new(104, 21, a % 96, b),
            Ipv4Addr::new(172, 67, a, b),
        ]
        .map(|ip| RData::A(A(ip)))
        .into(),
        RecordType::AAAA => [0x3030, 0x3037]
            .map(|net| Ipv6Addr::new(0x2606, 0x4700, net, 0, 0, 0, 0x6815, pair(a)))
            .map(|ip| RData::AAAA(AAAA(ip)))
            .into(),
        _ => Vec::new(),
    };
    data.into_iter()
        .map(|data| Record::from_rdata(name.clone(), AUTOMATIC, data))
        .collect()
}

fn data(kind: &str, record: &Value) -> Option<RData> {
    let content = text(record, "content");
    Some(match kind {
        "A" => RData::A(A(content.parse().ok()?)),
        "AAAA" => RData::AAAA(AAAA(content.parse().ok()?)),
        "NS" => RData::NS(NS(absolute(content)?)),
        "MX" => {
            let preference = u16::try_from(record["priority"].as_u64()?).ok()?;
            RData::MX(MX::new(preference, absolute(content)?))
        }
        "TXT" => RData::TXT(TXT::new(pieces(content))),
        "CNAME" | "PTR" | "SRV" => {
            let kind = kind.parse().ok()?;
            RData::try_from_str(kind, &format!("{}.", content.trim_end_matches('.'))).ok()?
        }
        // The text of the others is that of a zone file.
        _ => RData::try_from_str(kind.parse().ok()?, content).ok()?,
    })
}

/// A text in pieces of at most 255 bytes; quotes around it are the vendor's way to write it.
fn pieces(content: &str) -> Vec<String> {
    let content = content.trim();
    let quoted = content.strip_prefix('"').and_then(|c| c.strip_suffix('"'));
    if let Some(inner) = quoted {
        return inner.split("\" \"").map(str::to_owned).collect();
    }
    let mut out = vec![String::new()];
    for c in content.chars() {
        match out.last_mut() {
            Some(last) if last.len() + c.len_utf8() <= 255 => last.push(c),
            _ => out.push(c.to_string()),
        }
    }
    out
}
