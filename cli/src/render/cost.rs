//! What a month costs, before and after a plan: for people, and for programs.
//!
//! The plan holds what bills; the prices are those of the moment in which it is shown.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};
use zonewright_engine::address::ZoneName;
use zonewright_engine::config::Role;
use zonewright_engine::cost::{ByMode, Cost, Line, PriceLists, PriceSource, Trust, ZoneBill};
use zonewright_engine::plan::Plan;

use super::style::{Paint, Tone};
use super::text::escape;

pub mod modes;

/// What a plan is shown with.
#[derive(Debug, Clone, Default)]
pub struct Costs {
    /// Prices.
    pub prices: PriceLists,
    /// What zones cost in each of their modes, as far as it was worked out.
    pub by_mode: ByMode,
}

/// A few lines: one per zone, and the sum. Empty when nothing is known about what bills.
pub fn text(plan: &Plan, costs: &Costs, paint: Paint, verbose: bool) -> String {
    if plan.bills.is_empty() {
        return String::new();
    }
    let prices = &costs.prices;
    let mut out = format!("cost a month{}\n", sources(prices, lines(plan)));
    let rows: Vec<(String, &ZoneBill)> = plan
        .bills
        .iter()
        .map(|(zone, bill)| (title(plan, zone), bill))
        .collect();
    let width = rows.iter().map(|(t, _)| t.len()).max().unwrap_or(0).max(3);
    let mut sum = (Cost::default(), Cost::default());
    for (title, bill) in &rows {
        let (now, then) = (prices.total(&bill.now), prices.total(&bill.then));
        let _ = writeln!(out, "  {title:width$}  {}", moved(&now, &then));
        if verbose {
            items(bill, prices, &mut out);
        }
        sum.0.add(&now);
        sum.1.add(&then);
    }
    if rows.len() > 1 {
        let _ = writeln!(out, "  {:width$}  {}", "all", moved(&sum.0, &sum.1));
    }
    out.push_str(&modes::standbys(costs));
    paint.tone(Tone::Faint, escape_lines(&out)).to_string()
}

fn escape_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|l| escape(l).into_owned()).collect();
    format!("{}\n", lines.join("\n"))
}

/// Where the prices are from; what the vendor itself does not confirm is named.
fn sources<'a>(prices: &PriceLists, lines: impl IntoIterator<Item = &'a Line>) -> String {
    let named = |source: &PriceSource| match source.trust {
        Trust::Quoted | Trust::Published => source.name.clone(),
        Trust::Unchecked => {
            let items: Vec<&str> = source.items.iter().map(String::as_str).collect();
            format!("unchecked for {}: {}", items.join(", "), source.name)
        }
    };
    let names: Vec<String> = prices.sources(lines).iter().map(named).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(" (prices: {})", names.join("; ")),
    }
}

fn lines(plan: &Plan) -> impl Iterator<Item = &Line> {
    let bills = plan.bills.values();
    bills.flat_map(|bill| bill.now.iter().chain(&bill.then))
}

fn title(plan: &Plan, zone: &ZoneName) -> String {
    match plan.zones.get(zone).map(|f| f.role) {
        Some(Role::Active) => format!("{zone} (active)"),
        Some(Role::Standby) => format!("{zone} (standby)"),
        None if zone.is_edge() => "account".to_owned(),
        None => format!("{zone} (left the spec)"),
    }
}

fn moved(now: &Cost, then: &Cost) -> String {
    if now == then {
        return format!("{}, unchanged", money(now));
    }
    let (low, high) = then.change(now);
    let change = if low == high {
        signed(low)
    } else {
        format!("{} to {}", signed(low), signed(high))
    };
    format!("{} -> {} ({change})", money(now), money(then))
}

/// `$12.00 to $36.00 and an unknown price (mysql/db-x)`.
pub fn money(cost: &Cost) -> String {
    let known = match (cost.low, cost.high) {
        (_, 0) if cost.unknown.is_empty() => return "nothing".to_owned(),
        (_, 0) => String::new(),
        (low, high) if low == high => dollars(low),
        (low, high) => format!("{} to {}", dollars(low), dollars(high)),
    };
    if cost.unknown.is_empty() {
        return known;
    }
    let items: Vec<&str> = cost.unknown.iter().map(String::as_str).collect();
    let unknown = format!("unknown ({})", items.join(", "));
    if known.is_empty() {
        unknown
    } else {
        format!("{known} and {unknown}")
    }
}

fn dollars(cents: u64) -> String {
    format!("${}.{:02}", cents / 100, cents % 100)
}

fn signed(cents: i64) -> String {
    let sign = if cents < 0 { '-' } else { '+' };
    format!("{sign}{}", dollars(cents.unsigned_abs()))
}

/// What bills, one line each.
fn items(bill: &ZoneBill, prices: &PriceLists, out: &mut String) {
    for line in &bill.now {
        let mark = if bill.then.contains(line) { ' ' } else { '-' };
        item(mark, line, prices, out);
    }
    for line in bill.then.iter().filter(|l| !bill.now.contains(l)) {
        item('+', line, prices, out);
    }
}

fn item(mark: char, line: &Line, prices: &PriceLists, out: &mut String) {
    let count = match (line.low, line.high) {
        (low, high) if low == high => low.to_string(),
        (low, high) => format!("{low} to {high}"),
    };
    let about = match &line.address {
        Some(address) => address.to_string(),
        None => "the account".to_owned(),
    };
    let price = prices
        .price(line)
        .map_or_else(|| "unknown".to_owned(), |c| money(&c));
    let _ = writeln!(out, "  {mark} {count} x {}: {price}, {about}", line.item);
}

/// For programs. Amounts are whole US cents a month.
pub fn json(plan: &Plan, costs: &Costs) -> Json {
    let prices = &costs.prices;
    let sold = prices.sources(lines(plan));
    let mut zones = Map::new();
    let mut sum = (Cost::default(), Cost::default());
    for (zone, bill) in &plan.bills {
        let (now, then) = (prices.total(&bill.now), prices.total(&bill.then));
        zones.insert(zone.to_string(), both(&now, &then, Some((bill, prices))));
        sum.0.add(&now);
        sum.1.add(&then);
    }
    json!({
        "currency": "USD",
        "per": "month",
        "sources": names(&sold),
        "priced_by": sold,
        "zones": zones,
        "total": both(&sum.0, &sum.1, None),
        "by_mode": modes::zones(costs),
    })
}

fn names(sources: &[PriceSource]) -> Vec<&str> {
    sources.iter().map(|s| s.name.as_str()).collect()
}

fn both(now: &Cost, then: &Cost, bill: Option<(&ZoneBill, &PriceLists)>) -> Json {
    let (low, high) = then.change(now);
    let mut out = json!({
        "now": now,
        "then": then,
        "change": { "low_cents": low, "high_cents": high },
    });
    if let Some((bill, prices)) = bill {
        out["lines_now"] = priced(&bill.now, prices).into();
        out["lines_then"] = priced(&bill.then, prices).into();
    }
    out
}

fn priced(lines: &[Line], prices: &PriceLists) -> Vec<Json> {
    let priced = lines.iter().map(|line| {
        let mut json = json!(line);
        let price = prices.of(&line.seller, &line.item);
        json["cents"] = price.map(|p| p.cents).into();
        json["trust"] = json!(price.map(|p| p.trust));
        json
    });
    priced.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::plan::tests::plan;

    fn line(address: &str, item: &str, low: u64, high: u64) -> Line {
        Line {
            address: address.parse().ok(),
            seller: "v".to_owned(),
            item: item.to_owned(),
            low,
            high,
        }
    }

    fn shown(verbose: bool) -> String {
        let mut plan = plan(Vec::new());
        let nodes = line("bz/v.cluster.main", "droplet/a", 1, 3);
        let other = line("bz/v.cluster.other", "droplet/new", 1, 1);
        plan.bills = [
            (
                "bz".parse().unwrap(),
                ZoneBill {
                    now: Vec::new(),
                    then: vec![nodes, other],
                },
            ),
            (
                "pz".parse().unwrap(),
                ZoneBill {
                    now: vec![line("pz/v.db.main", "db/x", 1, 1)],
                    then: vec![line("pz/v.db.main", "db/x", 1, 1)],
                },
            ),
        ]
        .into();
        let mut prices = PriceLists::default();
        let quotes = [("droplet/a".to_owned(), 2400), ("db/x".to_owned(), 1515)];
        prices.quote("v", "v's API", &quotes.into());
        let costs = Costs {
            prices,
            ..Costs::default()
        };
        text(&plan, &costs, Paint::new(false), verbose)
    }

    #[test]
    fn each_zone_has_its_line_and_the_unknown_is_named() {
        assert_eq!(
            shown(false),
            "cost a month (prices: v's API)
  bz (standby)  nothing -> $24.00 to $72.00 and unknown (droplet/new) (+$24.00 to +$72.00)
  pz (active)   $15.15, unchanged
  all           $15.15 -> $39.15 to $87.15 and unknown (droplet/new) (+$24.00 to +$72.00)
"
        );
    }

    #[test]
    fn verbose_lists_what_bills() {
        let shown = shown(true);
        let wanted = "  + 1 to 3 x droplet/a: $24.00 to $72.00, bz/v.cluster.main\n";
        assert!(shown.contains(wanted), "{shown}");
        assert!(
            shown.contains("    1 x db/x: $15.15, pz/v.db.main\n"),
            "{shown}"
        );
        assert!(
            shown.contains("  + 1 x droplet/new: unknown, bz/v.cluster.other\n"),
            "{shown}"
        );
    }
}
