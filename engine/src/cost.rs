//! What a month costs. Pure.
//!
//! A provider says *what* of a resource bills, as named items with quantities ([`PriceRules`]); a price
//! list says what an item costs. A plan holds the quantities, which follow from the same inputs as the
//! rest of it, and no price: a plan must not go stale because a vendor moved a price between review and
//! apply. Prices are put to the quantities when a plan is shown.
//!
//! Money is in whole US cents a month. What has no known price is named as unknown, never taken for
//! nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::address::{Address, Kind, ZoneName};
use crate::observe::{Inputs, Observations, recorded_live};
use crate::plan::Action;
use crate::provider::Observed;
use crate::value::{Map, Value};

mod modes;

pub use modes::{ByMode, Mode, ModeBill, of_spec};

/// So much of one item of a vendor's price list: a range, where an autoscaler decides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Charge {
    /// The item's name in the price list: `droplet/s-2vcpu-4gb`, `load_balancer`.
    pub item: String,
    /// At least so many.
    pub low: u64,
    /// At most so many.
    pub high: u64,
}

impl Charge {
    /// A known number of an item.
    pub fn of(item: impl Into<String>, count: u64) -> Charge {
        Charge::range(item, count, count)
    }

    /// Between two numbers of an item.
    pub fn range(item: impl Into<String>, low: u64, high: u64) -> Charge {
        Charge {
            item: item.into(),
            low,
            high,
        }
    }
}

/// How a provider's resources are billed.
#[derive(Debug, Clone, Copy)]
pub struct PriceRules {
    /// What of a resource bills; empty for what is free, `None` when nothing is known about the kind.
    /// Attributes may be unknown: what depends on them is an item that no list has.
    pub charges: fn(&Kind, &Value) -> Option<Vec<Charge>>,
    /// What the account pays once, as the settings of a zone tell, however many zones use it.
    pub account: fn(&Map) -> Vec<Charge>,
    /// Prices for when the vendor cannot be asked. A provider whose instances live in a container bills
    /// by the lists of the container's provider and has none of its own.
    pub tables: &'static [PriceTable],
}

/// Prices as they were on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceTable {
    /// Where they are from.
    pub source: &'static str,
    /// The day on which the source was read.
    pub date: &'static str,
    /// How sure they are.
    pub trust: Trust,
    /// Cents a month by item.
    pub cents: &'static [(&'static str, u64)],
}

/// What bills in a zone. `edge` holds what the account pays once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneBill {
    /// Before the plan. Sorted.
    pub now: Vec<Line>,
    /// After it. Sorted.
    pub then: Vec<Line>,
}

/// One line of a bill.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// What bills; absent for what the account pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The provider whose price list has the item.
    pub seller: String,
    /// The item.
    pub item: String,
    /// At least so many.
    pub low: u64,
    /// At most so many.
    pub high: u64,
}

/// What bills, by zone, before and after a plan.
pub type Bills = BTreeMap<ZoneName, ZoneBill>;

/// A resource before and after a plan.
pub(crate) struct Step<'a> {
    pub(crate) address: &'a Address,
    pub(crate) actions: &'a [Action],
    /// What is there now, if it was seen.
    pub(crate) live: Option<&'a Value>,
    /// What shall be there.
    pub(crate) desired: Option<&'a Value>,
}

/// What bills before and after these steps. What no step is about stays as it is recorded.
pub(crate) fn bills(inputs: &Inputs, seen: &Observations, steps: &[Step<'_>]) -> Bills {
    let mut bills = Bills::new();
    for zone in inputs.config.zones.keys() {
        bills.insert(zone.clone(), ZoneBill::default());
    }
    for step in steps {
        let now = existing(inputs, seen, step);
        let then = after(inputs, step, now.as_ref());
        let bill = bills.entry(step.address.zone.clone()).or_default();
        bill.now.extend(lines(inputs, step.address, now.as_ref()));
        bill.then.extend(lines(inputs, step.address, then.as_ref()));
    }
    let covered: BTreeSet<&Address> = steps.iter().map(|s| s.address).collect();
    for record in inputs.state.records() {
        if !covered.contains(&record.address) {
            let lines = lines(inputs, &record.address, Some(&recorded_live(record).attrs));
            let bill = bills.entry(record.address.zone.clone()).or_default();
            bill.now.extend(lines.iter().cloned());
            bill.then.extend(lines);
        }
    }
    let account = account(inputs);
    if !account.is_empty() {
        let edge = bills.entry(ZoneName::edge()).or_default();
        edge.now.extend(account.iter().cloned());
        edge.then.extend(account);
    }
    for bill in bills.values_mut() {
        bill.now.sort();
        bill.then.sort();
    }
    bills.retain(|zone, bill| !zone.is_edge() || *bill != ZoneBill::default());
    bills
}

/// The attributes of what is there now: as seen, else as recorded.
fn existing(inputs: &Inputs, seen: &Observations, step: &Step<'_>) -> Option<Value> {
    if let Some(live) = step.live {
        return Some(live.clone());
    }
    if matches!(seen.seen.get(step.address), Some(Observed::Gone)) {
        return None;
    }
    let record = inputs.state.record(step.address)?;
    Some(recorded_live(record).attrs)
}

fn after(inputs: &Inputs, step: &Step<'_>, now: Option<&Value>) -> Option<Value> {
    match step.actions.last()? {
        Action::NoOp | Action::Read => now.cloned(),
        Action::Delete | Action::Forget => None,
        Action::Create => step.desired.cloned(),
        // What the spec does not name stays as it is.
        Action::Update | Action::Adopt => match (step.desired, now) {
            (Some(Value::Map(desired)), Some(Value::Map(now)))
                if inputs.object_rules(step.address).is_none() =>
            {
                let mut merged = now.clone();
                merged.extend(desired.clone());
                Some(Value::Map(merged))
            }
            (desired, _) => desired.cloned(),
        },
    }
}

fn lines(inputs: &Inputs, address: &Address, attrs: Option<&Value>) -> Vec<Line> {
    let Some(attrs) = attrs else {
        return Vec::new();
    };
    let provider = address.kind.provider();
    let schema = inputs.registry.provider(provider);
    let rules = schema.and_then(|s| s.facts.prices);
    // The cloud that runs the container sells what hangs on it. Who runs a cluster that is reached in
    // another way is not known, and so are its prices.
    let recorded = || {
        Some(
            inputs
                .state
                .record(address)?
                .contained_in
                .as_ref()?
                .address
                .clone(),
        )
    };
    let configured = inputs
        .instance_of(address)
        .and_then(|id| inputs.instance(&id)?.container.clone());
    let container = configured.or_else(recorded);
    let seller = container.as_ref().map_or(provider, |c| c.kind.provider());
    let charges = rules.and_then(|r| (r.charges)(&address.kind, attrs));
    // A kind that no rule knows has a price that is not known.
    let charges = charges.unwrap_or_else(|| vec![Charge::of(address.kind.to_string(), 1)]);
    charges
        .into_iter()
        .filter(|c| c.high > 0)
        .map(|charge| line(Some(address.clone()), seller, charge))
        .collect()
}

/// What something bills that no address is known for.
pub(crate) fn charged(inputs: &Inputs, kind: &Kind, attrs: &Value) -> Vec<Line> {
    let seller = kind.provider();
    let rules = inputs
        .registry
        .provider(seller)
        .and_then(|s| s.facts.prices);
    let charges = rules
        .and_then(|r| (r.charges)(kind, attrs))
        .unwrap_or_default();
    let billed = charges.into_iter().filter(|c| c.high > 0);
    billed.map(|charge| line(None, seller, charge)).collect()
}

fn line(address: Option<Address>, seller: &str, charge: Charge) -> Line {
    Line {
        address,
        seller: seller.to_owned(),
        item: charge.item,
        low: charge.low,
        high: charge.high,
    }
}

/// What the account pays once.
fn account(inputs: &Inputs) -> BTreeSet<Line> {
    let mut out = BTreeSet::new();
    for provider in inputs.registry.providers() {
        let Some(rules) = provider.facts.prices else {
            continue;
        };
        for zone in inputs.config.zones.values() {
            let charges = (rules.account)(&zone.settings).into_iter();
            out.extend(charges.map(|c| line(None, provider.name, c)));
        }
    }
    out
}

/// What one item costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// Cents a month.
    pub cents: u64,
    /// Where it is from, and of when.
    pub source: String,
    /// How sure it is.
    pub trust: Trust,
}

/// How sure a price is. The surest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// The vendor was asked.
    Quoted,
    /// The vendor's own pages say so, as they were on a day.
    Published,
    /// Others say so of the vendor, or it is remembered.
    Unchecked,
}

/// Prices of all sellers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceLists {
    prices: BTreeMap<(String, String), Price>,
}

impl PriceLists {
    /// The dated tables of all providers.
    pub fn tables(registry: &crate::schema::Registry) -> PriceLists {
        let mut out = PriceLists::default();
        for provider in registry.providers() {
            let tables = provider.facts.prices.map_or(&[][..], |p| p.tables);
            for table in tables {
                let source = format!("{}, read {}", table.source, table.date);
                for (item, cents) in table.cents {
                    out.put(provider.name, item, *cents, &source, table.trust);
                }
            }
        }
        out
    }

    fn put(&mut self, seller: &str, item: &str, cents: u64, source: &str, trust: Trust) {
        let price = Price {
            cents,
            source: source.to_owned(),
            trust,
        };
        let key = (seller.to_owned(), item.to_owned());
        self.prices.insert(key, price);
    }

    /// Puts what a vendor says today before what a table says.
    pub fn quote(&mut self, seller: &str, source: &str, quotes: &BTreeMap<String, u64>) {
        for (item, cents) in quotes {
            self.put(seller, item, *cents, source, Trust::Quoted);
        }
    }

    /// What one item costs.
    pub fn of(&self, seller: &str, item: &str) -> Option<&Price> {
        self.prices.get(&(seller.to_owned(), item.to_owned()))
    }

    /// Cents a month of one item.
    pub fn cents(&self, seller: &str, item: &str) -> Option<u64> {
        self.of(seller, item).map(|price| price.cents)
    }

    /// Where the prices of these lines are from, the surest first, and what each source has the price of.
    pub fn sources<'a>(&self, lines: impl IntoIterator<Item = &'a Line>) -> Vec<PriceSource> {
        let mut out: BTreeMap<(Trust, &str), BTreeSet<String>> = BTreeMap::new();
        for line in lines {
            if let Some(price) = self.of(&line.seller, &line.item) {
                let items = out.entry((price.trust, &price.source)).or_default();
                items.insert(line.item.clone());
            }
        }
        let sources = out.into_iter().map(|((trust, name), items)| PriceSource {
            name: name.to_owned(),
            trust,
            items,
        });
        sources.collect()
    }

    /// What a line costs; `None` when its price is not known.
    pub fn price(&self, line: &Line) -> Option<Cost> {
        let cents = self.cents(&line.seller, &line.item)?;
        Some(Cost {
            low: cents.saturating_mul(line.low),
            high: cents.saturating_mul(line.high),
            unknown: BTreeSet::new(),
        })
    }

    /// What a bill comes to.
    pub fn total<'a>(&self, lines: impl IntoIterator<Item = &'a Line>) -> Cost {
        let mut sum = Cost::default();
        for line in lines {
            match self.price(line) {
                Some(cost) => sum.add(&cost),
                None => {
                    sum.unknown.insert(line.item.clone());
                }
            }
        }
        sum
    }
}

/// A source of prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PriceSource {
    /// Its name, and of when it is.
    pub name: String,
    /// How sure they are.
    pub trust: Trust,
    /// The items whose price is from there.
    pub items: BTreeSet<String>,
}

/// Cents a month.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// At least so much, without what is unknown.
    #[serde(rename = "low_cents")]
    pub low: u64,
    /// At most so much, without what is unknown.
    #[serde(rename = "high_cents")]
    pub high: u64,
    /// Items whose price is not known: they come on top.
    pub unknown: BTreeSet<String>,
}

impl Cost {
    /// Adds another one.
    pub fn add(&mut self, other: &Cost) {
        self.low = self.low.saturating_add(other.low);
        self.high = self.high.saturating_add(other.high);
        self.unknown.extend(other.unknown.iter().cloned());
    }

    /// Whether it is known to be nothing.
    pub fn is_nothing(&self) -> bool {
        self.high == 0 && self.unknown.is_empty()
    }

    /// How much more this is than `before`, at the low and at the high end.
    pub fn change(&self, before: &Cost) -> (i64, i64) {
        let signed = |cents: u64| i64::try_from(cents).unwrap_or(i64::MAX);
        (
            signed(self.low) - signed(before.low),
            signed(self.high) - signed(before.high),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(item: &str, low: u64, high: u64) -> Line {
        super::line(None, "v", Charge::range(item, low, high))
    }

    fn lists() -> PriceLists {
        let mut lists = PriceLists::default();
        let quotes = [("a".to_owned(), 2400), ("b".to_owned(), 10)].into();
        lists.quote("v", "the vendor", &quotes);
        lists
    }

    #[test]
    fn a_range_stays_a_range_and_an_unknown_price_is_no_nothing() {
        let cost = lists().total(&[line("a", 1, 3), line("b", 30, 30), line("c", 1, 1)]);
        assert_eq!((cost.low, cost.high), (2700, 7500));
        assert_eq!(cost.unknown, ["c".to_owned()].into());
        assert!(!lists().total(&[line("c", 1, 1)]).is_nothing());
        assert!(lists().total(&[]).is_nothing());
    }

    #[test]
    fn what_the_vendor_says_goes_before_the_table() {
        let mut lists = lists();
        lists.quote("v", "later", &[("a".to_owned(), 2500)].into());
        assert_eq!(lists.cents("v", "a"), Some(2500));
        assert_eq!(lists.cents("v", "b"), Some(10));
        assert_eq!(lists.cents("w", "a"), None);
        let sources = lists.sources(&[line("a", 1, 1), line("b", 1, 1), line("c", 1, 1)]);
        let names: Vec<&str> = sources.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["later", "the vendor"]);
        assert_eq!(lists.sources(&[line("b", 1, 1)]).len(), 1);
    }

    #[test]
    fn a_change_is_told_at_both_ends() {
        let before = lists().total(&[line("a", 1, 3)]);
        let after = lists().total(&[line("a", 2, 2)]);
        assert_eq!(after.change(&before), (2400, -2400));
    }
}
