//! What a walk may make of the spec, and what is wanted then: told by hand, not by the engine.

use serde_json::{Value, json};
use zonewright_tests::simulation::project::{Project, SITE};
use zonewright_tests::simulation::weather::Dice;

use super::things::{Reference, Wanted};
use crate::recovery::ALL_KINDS;

/// The names that a resource may have in the spec.
pub(super) const LABELS: [&str; 3] = ["extra", "other", "third"];

/// How a resource is kept from going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    Plain,
    Protect,
    Keep,
}

/// What kind of resource a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// A network of the standby; another range replaces it.
    Net,
    /// An address record of the standby.
    Record,
    /// An alias that the zones share.
    Alias,
    /// A database in the primary's cluster, without a place for a mark.
    Database,
    /// A user there, without one too.
    User,
    /// A manifest with one object in the primary's cluster.
    Manifest,
}

/// All slots of a spec, in order.
pub(super) const SORTS: [Sort; 6] = [
    Sort::Net,
    Sort::Record,
    Sort::Alias,
    Sort::Database,
    Sort::User,
    Sort::Manifest,
];

impl Sort {
    pub(super) fn zone(self) -> &'static str {
        match self {
            Sort::Net | Sort::Record => "bz",
            Sort::Alias => "edge",
            Sort::Database | Sort::User | Sort::Manifest => "pz",
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Sort::Net => "digitalocean.vpc",
            Sort::Record | Sort::Alias => "cloudflare.dns_record",
            Sort::Database => "digitalocean.database",
            Sort::User => "digitalocean.database_user",
            Sort::Manifest => "kubernetes.manifest",
        }
    }

    /// The address of its declaration.
    pub(super) fn address(self, label: usize) -> String {
        format!("{}/{}.{}", self.zone(), self.kind(), LABELS[label])
    }

    /// What the object is called in the accounts, whatever the spec calls the resource.
    pub(super) fn name(self) -> &'static str {
        match self {
            Sort::Net => "vpc vpc-one-extra",
            Sort::Record => "record A one-extra.guajiro.xyz",
            Sort::Alias => "record CNAME one-alias.guajiro.xyz",
            Sort::Database => "db one-pz-mysql/extra",
            Sort::User => "user one-pz-mysql/extra",
            Sort::Manifest => "k8s one-pz core/configmaps app/extra",
        }
    }

    /// Whether the vendor has a place for a mark.
    pub(super) fn marked(self) -> bool {
        !matches!(self, Sort::Database | Sort::User)
    }

    fn values(self) -> usize {
        match self {
            Sort::Database | Sort::User => 1,
            _ => 3,
        }
    }

    /// What is wanted of it.
    fn attrs(self, value: usize) -> Value {
        match self {
            Sort::Net => json!({"region": "sfo3", "ip_range": format!("10.2{}.0.0/16", value + 1)}),
            Sort::Record => {
                json!({"content": format!("192.0.2.{}", value + 10), "ttl": 60, "proxied": false})
            }
            Sort::Alias => json!({"content": ALIASES[value], "ttl": 60, "proxied": false}),
            Sort::Database | Sort::User => json!({}),
            Sort::Manifest => json!({"data": {"title": format!("T{value}")}}),
        }
    }
}

const ALIASES: [&str; 3] = [
    "one-bz.guajiro.xyz",
    "one-pz.guajiro.xyz",
    "www.guajiro.xyz",
];
const REGIONS: [&str; 2] = ["nyc3", "ams3"];
const TITLES: [&str; 3] = ["One", "Two", "Three"];
const WATCHERS: [&[&str]; 3] = [
    &["198.51.100.7"],
    &["198.51.100.8"],
    &["198.51.100.7", "198.51.100.9"],
];

/// A resource that comes and goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    /// What the spec calls it; nothing when it is not in the spec.
    pub(super) label: Option<usize>,
    pub(super) value: usize,
    pub(super) guard: Guard,
    /// `[[moved]]`, from label to label.
    pub(super) moved: Vec<(usize, usize)>,
    /// `[[forget]]`, by label.
    pub(super) forget: Option<usize>,
}

impl Slot {
    /// Gives it another name, with an entry or without.
    pub(super) fn rename(&mut self, to: usize, with_entry: bool) {
        let from = self.label.replace(to);
        self.moved.retain(|(f, _)| *f != to);
        match from.filter(|f| with_entry && *f != to) {
            Some(from) => self.moved.push((from, to)),
            None => self.moved.clear(),
        }
        self.forget = None;
    }

    /// Takes it out of the spec.
    pub(super) fn remove(&mut self, forget: bool) {
        let label = self.label.take();
        self.moved.clear();
        self.forget = label.filter(|_| forget);
    }

    pub(super) fn put_in(&mut self, label: usize) {
        self.label = Some(label);
        self.moved.clear();
        self.forget = None;
    }
}

/// A spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) slots: [Slot; 6],
    pub(super) region: usize,
    pub(super) title: usize,
    pub(super) watchers: usize,
    pub(super) site: bool,
    pub(super) replicas: usize,
    pub(super) most_nodes: usize,
}

impl Spec {
    /// What every walk begins with.
    pub(super) fn first() -> Spec {
        let slot = |_| Slot {
            label: None,
            value: 0,
            guard: Guard::Plain,
            moved: Vec::new(),
            forget: None,
        };
        Spec {
            slots: SORTS.map(slot),
            region: 0,
            title: 0,
            watchers: 0,
            site: true,
            replicas: 1,
            most_nodes: 3,
        }
    }

    /// One edit.
    pub(super) fn edit(&mut self, dice: &mut Dice) -> String {
        match dice.below(12) {
            0 => self.title = (self.title + 1 + dice.index(2)) % 3,
            1 => self.watchers = (self.watchers + 1 + dice.index(2)) % 3,
            2 => self.site = !self.site,
            3 => self.replicas = 3 - self.replicas,
            4 => self.most_nodes = 7 - self.most_nodes,
            5 if dice.once_in(3) => self.region = 1 - self.region,
            _ => return self.edit_slot(dice),
        }
        format!(
            "title {}, watchers {}, site {}, replicas {}, nodes {}, region {}",
            self.title, self.watchers, self.site, self.replicas, self.most_nodes, self.region
        )
    }

    fn edit_slot(&mut self, dice: &mut Dice) -> String {
        let at = dice.index(SORTS.len());
        let (sort, slot) = (SORTS[at], &mut self.slots[at]);
        match slot.label {
            None => {
                slot.put_in(dice.index(2));
                slot.value = dice.index(sort.values());
                slot.guard = Guard::Plain;
            }
            Some(label) => match dice.below(6) {
                0 => slot.remove(false),
                1 => slot.remove(dice.once_in(2)),
                2 | 3 => slot.rename((label + 1 + dice.index(2)) % 3, !dice.once_in(4)),
                4 => {
                    slot.guard = [Guard::Plain, Guard::Protect, Guard::Keep][dice.index(3)];
                }
                _ => slot.value = (slot.value + 1) % sort.values(),
            },
        }
        format!("{sort:?}: {slot:?}")
    }

    /// The files.
    pub(super) fn project(&self) -> Project {
        let mut project = Project::of_tests(ALL_KINDS);
        let region = format!("region = \"{}\"\ncidr", REGIONS[self.region]);
        project.edit("zones/pz.toml", "region = \"nyc3\"\ncidr", &region);
        let most = format!("max = {}", self.most_nodes);
        project.edit("zones/pz.toml", "max = 3", &most);
        let watchers = format!("watchers = {:?}", WATCHERS[self.watchers]);
        project.edit("zones/bz.toml", "watchers = [\"198.51.100.7\"]", &watchers);
        let title = format!("title: {}", TITLES[self.title]);
        project.edit(
            "manifests/app.yaml",
            "data:\n  title: One",
            &format!("data:\n  {title}"),
        );
        match self.site {
            true => project.edit(
                "manifests/app.yaml",
                "spec:\n  title: One",
                &format!("spec:\n  {title}"),
            ),
            false => project.edit("manifests/app.yaml", SITE, ""),
        }
        let replicas = format!("replicas: {}", self.replicas);
        project.edit("manifests/app.yaml", "replicas: 1", &replicas);
        for (sort, slot) in SORTS.into_iter().zip(&self.slots) {
            self.write(&mut project, sort, slot);
        }
        project
    }

    fn write(&self, project: &mut Project, sort: Sort, slot: &Slot) {
        for (from, to) in &slot.moved {
            let (from, to) = (sort.address(*from), sort.address(*to));
            let entry = format!("\n[[moved]]\nfrom = \"{from}\"\nto = \"{to}\"\n");
            project.append("zonewright.toml", &entry);
        }
        if let Some(label) = slot.forget {
            let address = sort.address(label);
            let entry =
                format!("\n[[forget]]\naddress = \"{address}\"\nreason = \"others see to it\"\n");
            project.append("zonewright.toml", &entry);
        }
        let Some(label) = slot.label else { return };
        let guard = match slot.guard {
            Guard::Plain if sort == Sort::Database => "zonewright = { protect = false }",
            Guard::Plain => "",
            Guard::Protect => "zonewright = { protect = true }",
            Guard::Keep if sort == Sort::Database => {
                "zonewright = { protect = false, keep = true }"
            }
            Guard::Keep => "zonewright = { keep = true }",
        };
        let wanted = sort.attrs(slot.value);
        let text = |name: &str| wanted[name].as_str().unwrap_or_default().to_owned();
        let (file, table, body) = match sort {
            Sort::Net => (
                "zones/bz.toml",
                sort.kind(),
                format!(
                    "name = \"vpc-one-extra\"\nregion = \"${{zone.region}}\"\nip_range = \"{}\"",
                    text("ip_range")
                ),
            ),
            Sort::Record => (
                "zones/bz.toml",
                sort.kind(),
                format!(
                    "zone = \"guajiro.xyz\"\nname = \"one-extra\"\ntype = \"A\"\nttl = 60\ncontent = \"{}\"",
                    text("content")
                ),
            ),
            Sort::Alias => (
                "zonewright.toml",
                "shared.cloudflare.dns_record",
                format!(
                    "zone = \"guajiro.xyz\"\nname = \"one-alias\"\ntype = \"CNAME\"\nttl = 60\ncontent = \"{}\"",
                    text("content")
                ),
            ),
            Sort::Database | Sort::User => (
                "zones/pz.toml",
                sort.kind(),
                "cluster = \"${digitalocean.database_cluster.main.id}\"\nname = \"extra\""
                    .to_owned(),
            ),
            Sort::Manifest => {
                let manifest = format!(
                    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: extra\n  namespace: app\ndata:\n  title: T{}\n",
                    slot.value
                );
                project.put("manifests/extra.yaml", &manifest);
                let body = "file = \"manifests/extra.yaml\"".to_owned();
                ("zones/pz.toml", sort.kind(), body)
            }
        };
        project.append(
            file,
            &format!("\n[{table}.{}]\n{body}\n{guard}\n", LABELS[label]),
        );
    }

    /// What there has to be once this is applied.
    pub(super) fn wanted(&self, reference: &Reference) -> Wanted {
        let mut wanted = reference.of_region(self.region).clone();
        let mut set = |name: &str, path: &str, value: Value| {
            let attrs = wanted.get_mut(name).expect("it is in the project");
            *attrs[0].pointer_mut(path).expect("it has this") = value;
        };
        set(
            "k8s one-pz core/configmaps app/settings",
            "/data/title",
            json!(TITLES[self.title]),
        );
        set(
            "k8s one-pz one.zonewright.dev/sites app/main",
            "/spec/title",
            json!(TITLES[self.title]),
        );
        set(
            "k8s one-pz apps/deployments app/front",
            "/spec/replicas",
            json!(self.replicas),
        );
        set("cluster one-pz", "/pools/0/max", json!(self.most_nodes));
        wanted.retain(|name, _| !name.starts_with("rule one-bz-mysql "));
        for watcher in WATCHERS[self.watchers] {
            wanted.insert(format!("rule one-bz-mysql {watcher}"), vec![json!({})]);
        }
        if !self.site {
            wanted.remove("k8s one-pz one.zonewright.dev/sites app/main");
        }
        for (sort, slot) in SORTS.into_iter().zip(&self.slots) {
            if slot.label.is_some() {
                wanted.insert(sort.name().to_owned(), vec![sort.attrs(slot.value)]);
            }
        }
        wanted
    }
}
