//! What zones cost by mode: for people, for a change request, and for programs.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json as object};
use zonewright_engine::address::ZoneName;
use zonewright_engine::config::Posture;
use zonewright_engine::cost::{Line, Mode, ModeBill, PriceLists, Trust};

use super::{Costs, item, money, names, priced, sources};
use crate::render::style::{Paint, Tone};
use crate::render::text::escape;

/// The zones that stand by, as they are shown with a plan. What bills while a zone is off is listed.
pub(super) fn standbys(costs: &Costs) -> String {
    let zones = costs.by_mode.zones.iter();
    let several = zones.filter(|(_, rows)| rows.len() > 1);
    several
        .map(|(zone, rows)| table(zone, rows, &costs.prices))
        .collect()
}

/// All zones, and what the account pays.
pub fn text(costs: &Costs, paint: Paint) -> String {
    let mut out = format!("cost a month{}\n", sources(&costs.prices, lines(costs)));
    for (zone, rows) in &costs.by_mode.zones {
        out.push_str(&table(zone, rows, &costs.prices));
    }
    if !costs.by_mode.account.is_empty() {
        let total = costs.prices.total(&costs.by_mode.account);
        let _ = writeln!(out, "  account, in every mode: {}", money(&total));
    }
    let (head, rows) = out.split_once('\n').unwrap_or((&out, ""));
    format!("{}\n{}", paint.tone(Tone::Strong, head), escape_each(rows))
}

fn escape_each(rows: &str) -> String {
    rows.lines().fold(String::new(), |mut out, row| {
        let _ = writeln!(out, "{}", escape(row));
        out
    })
}

fn table(zone: &ZoneName, rows: &[ModeBill], prices: &PriceLists) -> String {
    let mut out = format!("  {zone} by posture\n");
    for row in rows {
        let now = if row.current { " (now)" } else { "" };
        let _ = writeln!(out, "    {:6}  {}{now}", row.mode.name(), cost(row, prices));
        for line in stays(row) {
            out.push_str("  ");
            item(' ', line, prices, &mut out);
        }
    }
    out
}

fn cost(row: &ModeBill, prices: &PriceLists) -> String {
    match &row.lines {
        Ok(lines) => money(&prices.total(lines)),
        Err(why) => format!("unknown: {why}"),
    }
}

/// What bills although the zone is off.
fn stays(row: &ModeBill) -> &[Line] {
    match &row.lines {
        Ok(lines) if row.mode == Mode::Standby(Posture::Off) => lines,
        _ => &[],
    }
}

/// For a change request.
pub fn markdown(costs: &Costs) -> String {
    let mut out = format!(
        "## Cost a month\n\n{}\n| zone | posture | $ a month | what bills |\n|---|---|---|---|\n",
        notes(costs)
    );
    for (zone, rows) in &costs.by_mode.zones {
        for row in rows {
            let mode = match row.current {
                true => format!("**{}** (now)", row.mode),
                false => row.mode.to_string(),
            };
            let bills = row.lines.as_deref().map_or_else(|_| String::new(), items);
            let _ = writeln!(
                out,
                "| {zone} | {mode} | {} | {} |",
                cell(&cost(row, &costs.prices)),
                cell(&bills)
            );
        }
    }
    if !costs.by_mode.account.is_empty() {
        let account = &costs.by_mode.account;
        let total = money(&costs.prices.total(account));
        let _ = writeln!(
            out,
            "| account | all | {total} | {} |",
            cell(&items(account))
        );
    }
    out
}

/// Where the prices are from, one line each.
fn notes(costs: &Costs) -> String {
    let mut out = String::new();
    for source in costs.prices.sources(lines(costs)) {
        let items: Vec<&str> = source.items.iter().map(String::as_str).collect();
        let mark = if source.trust == Trust::Unchecked {
            " (unchecked)"
        } else {
            ""
        };
        let _ = writeln!(out, "- {}: {}{mark}", items.join(", "), source.name);
    }
    out
}

fn lines(costs: &Costs) -> impl Iterator<Item = &Line> {
    let rows = costs.by_mode.zones.values().flatten();
    let lines = rows.filter_map(|row| row.lines.as_ref().ok()).flatten();
    lines.chain(&costs.by_mode.account)
}

fn cell(text: &str) -> String {
    escape(text).replace('|', "\\|").replace('\n', " ")
}

fn items(lines: &[Line]) -> String {
    let items: Vec<String> = lines
        .iter()
        .map(|line| match (line.low, line.high) {
            (low, high) if low == high => format!("{low} x {}", line.item),
            (low, high) => format!("{low} to {high} x {}", line.item),
        })
        .collect();
    items.join(", ")
}

/// For programs. Amounts are whole US cents a month.
pub fn json(costs: &Costs) -> Json {
    let sold = costs.prices.sources(lines(costs));
    object!({
        "currency": "USD",
        "per": "month",
        "sources": names(&sold),
        "priced_by": sold,
        "by_mode": zones(costs),
        "account": bill(&costs.by_mode.account, &costs.prices),
    })
}

/// By zone and mode.
pub(super) fn zones(costs: &Costs) -> Json {
    let zones = costs.by_mode.zones.iter().map(|(zone, rows)| {
        let rows = rows.iter().map(|row| {
            let mut json = match &row.lines {
                Ok(lines) => bill(lines, &costs.prices),
                Err(why) => object!({ "error": why }),
            };
            json["current"] = row.current.into();
            (row.mode.name().to_owned(), json)
        });
        (zone.to_string(), Json::Object(rows.collect()))
    });
    Json::Object(zones.collect::<Map<String, Json>>())
}

fn bill(lines: &[Line], prices: &PriceLists) -> Json {
    let mut json = object!(prices.total(lines));
    json["lines"] = priced(lines, prices).into();
    json
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use zonewright_engine::cost::ByMode;

    use super::*;

    fn row(mode: Mode, lines: Result<Vec<Line>, String>) -> ModeBill {
        ModeBill {
            mode,
            current: mode == Mode::Standby(Posture::Cold),
            lines,
        }
    }

    fn costs() -> Costs {
        let line = |item: &str, low, high| Line {
            address: "bz/v.cluster.main".parse().ok(),
            seller: "v".to_owned(),
            item: item.to_owned(),
            low,
            high,
        };
        let rows = vec![
            row(Mode::Standby(Posture::Off), Ok(vec![line("volume", 2, 2)])),
            row(Mode::Standby(Posture::Cold), Ok(vec![line("node", 1, 3)])),
            row(Mode::Standby(Posture::Warm), Err("a | b".to_owned())),
            row(Mode::Active, Ok(Vec::new())),
        ];
        let mut prices = PriceLists::default();
        let quotes = [("node".to_owned(), 2400), ("volume".to_owned(), 10)];
        prices.quote("v", "v's API", &quotes.into());
        Costs {
            prices,
            by_mode: ByMode {
                zones: BTreeMap::from([("bz".parse().unwrap(), rows)]),
                account: vec![line("node", 1, 1)],
            },
        }
    }

    #[test]
    fn what_bills_while_a_zone_is_off_is_listed() {
        assert_eq!(
            text(&costs(), Paint::new(false)),
            "cost a month (prices: v's API)
  bz by posture
    off     $0.20
      2 x volume: $0.20, bz/v.cluster.main
    cold    $24.00 to $72.00 (now)
    warm    unknown: a | b
    active  nothing
  account, in every mode: $24.00
"
        );
    }

    #[test]
    fn a_change_request_gets_a_table() {
        assert_eq!(
            markdown(&costs()),
            "## Cost a month

- node, volume: v's API

| zone | posture | $ a month | what bills |
|---|---|---|---|
| bz | off | $0.20 | 2 x volume |
| bz | **cold** (now) | $24.00 to $72.00 | 1 to 3 x node |
| bz | warm | unknown: a \\| b |  |
| bz | active | nothing |  |
| account | all | $24.00 | 1 x node |
"
        );
    }

    #[test]
    fn programs_read_cents_or_why_there_are_none() {
        let json = json(&costs());
        let off = &json["by_mode"]["bz"]["off"];
        assert_eq!(off["high_cents"], 20);
        assert_eq!(off["lines"][0]["cents"], 10);
        assert_eq!(json["by_mode"]["bz"]["warm"]["error"], "a | b");
        assert_eq!(json["by_mode"]["bz"]["cold"]["current"], true);
        assert_eq!(json["account"]["low_cents"], 2400);
    }
}
