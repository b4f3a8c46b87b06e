//! What is ours and in no record, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use zonewright_engine::address::InstanceId;
use zonewright_engine::cost::{Cost, PriceLists};
use zonewright_engine::orphans::{Case, Orphan};
use zonewright_engine::provider::ProviderError;

use super::cost::money;
use super::text::{count, escape};

/// The report as text.
pub fn text(
    orphans: &[Orphan],
    unasked: &[(InstanceId, ProviderError)],
    prices: &PriceLists,
) -> String {
    let mut out = String::new();
    for orphan in orphans {
        let why = match (orphan.case, &orphan.made_for) {
            (Case::Adoptable, Some(address)) => format!("the next plan takes it over as {address}"),
            (Case::Twin, Some(address)) => format!("{address} is recorded with another one"),
            (_, Some(address)) => format!("made for {address}, which is not in the spec"),
            (_, None) => "made for an address that is not in the spec".to_owned(),
        };
        let cost =
            price(orphan, prices).map_or_else(String::new, |c| format!(", {} a month", money(&c)));
        let line = format!("{} (id {}){cost}: {why}", orphan.what, orphan.id);
        let _ = writeln!(out, "{}", escape(&line));
        if orphan.case != Case::Adoptable {
            let _ = writeln!(out, "    remove it with: {}", escape(&orphan.remove));
        }
    }
    let in_cluster = |o: &&Orphan| o.remove.starts_with("kubectl ");
    if orphans.iter().any(|o| in_cluster(&o)) {
        out.push_str(
            "(`zonewright kubeconfig --zone ZONE -o ZONE.kubeconfig` writes what kubectl takes)\n",
        );
    }
    for (id, error) in unasked {
        let line = format!(
            "not known: {} of {} could not be asked: {error}",
            id.provider, id.zone
        );
        let _ = writeln!(out, "{}", escape(&line));
    }
    let left = orphans.iter().filter(|o| o.case != Case::Adoptable).count();
    let _ = match (left, unasked.is_empty()) {
        (0, true) => writeln!(out, "Nothing of the project is left over."),
        (0, false) => writeln!(out, "Nothing is left over where somebody answered."),
        (n, _) => writeln!(out, "Left over: {}.", count(n, "object")),
    };
    out
}

fn price(orphan: &Orphan, prices: &PriceLists) -> Option<Cost> {
    (!orphan.bills.is_empty()).then(|| prices.total(&orphan.bills))
}

/// The report as one JSON object.
pub fn json(
    orphans: &[Orphan],
    unasked: &[(InstanceId, ProviderError)],
    prices: &PriceLists,
) -> Json {
    let orphans: Vec<Json> = orphans
        .iter()
        .map(|o| {
            let mut out = serde_json::to_value(o).unwrap_or(Json::Null);
            out["cost"] = price(o, prices).map_or(
                Json::Null,
                |c| json!({ "low_cents": c.low, "high_cents": c.high, "unknown": c.unknown }),
            );
            out
        })
        .collect();
    let unasked: Vec<Json> = unasked
        .iter()
        .map(|(id, e)| json!({ "instance": id, "error": e.message }))
        .collect();
    json!({ "format_version": 1, "orphans": orphans, "unasked": unasked })
}
