//! What there is in the accounts, read from the vendors' own tables: things with names and attributes, and
//! nothing in them that chance decides.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use zonewright_engine::snapshot::{Record, State};
use zonewright_tests::simulation::{Simulation, options, simulate};

use super::spec::Spec;
use crate::recovery::{ALL_KINDS, fair, settings};

/// Attributes of things by name; sorted where several have the same name.
pub(super) type Wanted = BTreeMap<String, Vec<Value>>;

/// Something in an account.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Thing {
    /// What it is and how it is called.
    pub(super) name: String,
    pub(super) attrs: Value,
    /// Whether it says that it is ours.
    pub(super) marked: bool,
    /// What it goes with.
    pub(super) inside: Option<String>,
    /// Where a vendor's request reaches it.
    pub(super) path: String,
}

/// Everything by id, as records have it; of users, whose ids are those of databases, with a sign.
pub(super) type Things = BTreeMap<String, Thing>;

/// The ids that are recorded.
pub(super) fn recorded(state: &State) -> BTreeSet<String> {
    let id = |record: &Record| match record.kind().to_string().as_str() {
        "digitalocean.database_user" => record.id.replace('/', "/@"),
        _ => record.id.clone(),
    };
    state.records().map(id).collect()
}

/// Things by name.
pub(super) fn by_name<'a>(things: impl Iterator<Item = &'a Thing>) -> Wanted {
    let mut out = Wanted::new();
    for thing in things {
        out.entry(thing.name.clone())
            .or_default()
            .push(thing.attrs.clone());
    }
    out.values_mut()
        .for_each(|all| all.sort_by_key(ToString::to_string));
    out
}

/// What an undisturbed run makes of the first spec, by region of the primary zone.
pub(super) struct Reference([Wanted; 2]);

impl Reference {
    pub(super) fn make() -> Reference {
        Reference([0, 1].map(|region| {
            simulate(settings(ALL_KINDS, 0), async |simulation| {
                let spec = Spec {
                    region,
                    ..Spec::first()
                };
                simulation.project = spec.project();
                fair(simulation, options(&[]))
                    .await
                    .expect("nothing is in the way");
                by_name(things(simulation).await.values())
            })
        }))
    }

    pub(super) fn of_region(&self, region: usize) -> &Wanted {
        &self.0[region]
    }
}

/// Reads what there is.
pub(super) async fn things(simulation: &Simulation) -> Things {
    let dump = simulation.control("GET", "dump", &Value::Null).await;
    let mut reader = Reader {
        dump: &dump,
        out: Things::new(),
    };
    reader.networks();
    reader.clusters();
    reader.databases(simulation).await;
    reader.balancers();
    reader.records();
    reader.objects();
    reader.out
}

/// The kinds of objects that the project has; everything else in a cluster makes itself.
const OBJECTS: [&str; 7] = [
    "apiextensions.k8s.io/customresourcedefinitions",
    "apps/deployments",
    "core/configmaps",
    "core/namespaces",
    "core/secrets",
    "core/services",
    "one.zonewright.dev/sites",
];

struct Reader<'a> {
    dump: &'a Value,
    out: Things,
}

fn rows(table: &Value) -> impl Iterator<Item = (&String, &Value)> {
    table.as_object().into_iter().flatten()
}

fn says_ours(value: &Value) -> bool {
    match value {
        Value::Array(all) => all.iter().any(says_ours),
        value => value.as_str().is_some_and(|t| t.contains("zonewright:")),
    }
}

impl Reader<'_> {
    fn cloud(&self, table: &str) -> Vec<(String, Value)> {
        let rows = rows(&self.dump["digitalocean"][table]);
        rows.map(|(id, row)| (id.clone(), row.clone())).collect()
    }

    fn put(
        &mut self,
        id: String,
        name: String,
        attrs: Value,
        marked: bool,
        inside: Option<String>,
        path: String,
    ) {
        self.out.insert(
            id,
            Thing {
                name,
                attrs,
                marked,
                inside,
                path,
            },
        );
    }

    fn name_of(&self, table: &str, id: &Value) -> Value {
        let id = id.as_str().unwrap_or_default();
        self.dump["digitalocean"][table][id]["name"].clone()
    }

    fn networks(&mut self) {
        for (id, row) in self.cloud("vpcs") {
            if row["default"] == true {
                continue;
            }
            let name = format!("vpc {}", row["name"].as_str().unwrap_or_default());
            let attrs = json!({"region": row["region"], "ip_range": row["ip_range"]});
            let path = format!("/v2/vpcs/{id}");
            self.put(id, name, attrs, says_ours(&row["description"]), None, path);
        }
    }

    fn clusters(&mut self) {
        for (id, row) in self.cloud("kubernetes_clusters") {
            let pool = |p: &Value| json!({"name": p["name"], "size": p["size"], "min": p["min_nodes"], "max": p["max_nodes"]});
            let pools: Vec<Value> = row["node_pools"]
                .as_array()
                .into_iter()
                .flatten()
                .map(pool)
                .collect();
            let attrs = json!({
                "region": row["region"], "version": row["version"],
                "vpc": self.name_of("vpcs", &row["vpc_uuid"]), "pools": pools,
            });
            let name = format!("cluster {}", row["name"].as_str().unwrap_or_default());
            let path = format!("/v2/kubernetes/clusters/{id}");
            self.put(id, name, attrs, says_ours(&row["tags"]), None, path);
        }
    }

    async fn databases(&mut self, simulation: &Simulation) {
        for (table, word) in [("databases", "database"), ("database_replicas", "replica")] {
            for (id, row) in self.cloud(table) {
                let called = row["name"].as_str().unwrap_or_default().to_owned();
                let path = format!("/v2/databases/{id}");
                let rules = simulation
                    .by_hand("GET", &format!("{path}/firewall"), &Value::Null)
                    .await;
                let rules = rules.expect("the vendor tells its rules");
                let attrs = json!({
                    "region": row["region"], "size": row["size"], "nodes": row["num_nodes"],
                    "vpc": self.name_of("vpcs", &row["private_network_uuid"]),
                });
                self.rules(&id, &called, &rules["rules"]);
                self.put(
                    id.clone(),
                    format!("{word} {called}"),
                    attrs,
                    says_ours(&row["tags"]),
                    None,
                    path.clone(),
                );
                for db in row["db_names"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                {
                    let (key, at) = (format!("{id}/{db}"), format!("{path}/dbs/{db}"));
                    self.put(
                        key,
                        format!("db {called}/{db}"),
                        json!({}),
                        false,
                        Some(id.clone()),
                        at,
                    );
                }
                for user in row["users"].as_array().into_iter().flatten() {
                    let user = user["name"].as_str().unwrap_or_default();
                    let (key, at) = (format!("{id}/@{user}"), format!("{path}/users/{user}"));
                    self.put(
                        key,
                        format!("user {called}/{user}"),
                        json!({}),
                        false,
                        Some(id.clone()),
                        at,
                    );
                }
            }
        }
    }

    /// Each rule by itself: those of others are kept.
    fn rules(&mut self, database: &str, called: &str, rules: &Value) {
        for rule in rules.as_array().into_iter().flatten() {
            let who = match rule["type"].as_str() {
                Some("k8s") => self.name_of("kubernetes_clusters", &rule["value"]),
                _ => rule["value"].clone(),
            };
            let who = who.as_str().unwrap_or("?");
            let inside = Some(database.to_owned());
            let id = format!("{database}/from {who}");
            let ours = says_ours(&rule["description"]);
            let name = format!("rule {called} {who}");
            self.put(id, name, json!({}), ours, inside, String::new());
        }
    }

    fn balancers(&mut self) {
        for (id, row) in self.cloud("load_balancers") {
            let attrs = json!({"vpc": self.name_of("vpcs", &row["vpc_uuid"])});
            let path = format!("/v2/load_balancers/{id}");
            self.put(id, "load balancer".to_owned(), attrs, true, None, path);
        }
    }

    fn records(&mut self) {
        let addresses: Vec<Value> = self
            .cloud("load_balancers")
            .into_iter()
            .map(|(_, b)| b["ip"].clone())
            .collect();
        for (table, all) in rows(&self.dump["cloudflare"]) {
            let Some(zone) = table.strip_prefix("dns_records/") else {
                continue;
            };
            for (id, row) in rows(all) {
                let text = |field: &str| row[field].as_str().unwrap_or_default();
                let content = match addresses.contains(&row["content"]) {
                    true => json!("a load balancer's"),
                    false => row["content"].clone(),
                };
                let attrs =
                    json!({"content": content, "ttl": row["ttl"], "proxied": row["proxied"]});
                let name = format!("record {} {}", text("type"), text("name"));
                let path = format!("/client/v4/zones/{zone}/dns_records/{id}");
                self.put(
                    format!("{zone}/{id}"),
                    name,
                    attrs,
                    says_ours(&row["comment"]),
                    None,
                    path,
                );
            }
        }
    }

    fn objects(&mut self) {
        for (table, all) in rows(&self.dump["kubernetes"]) {
            let Some((cluster, kind)) = table.split_once('/') else {
                continue;
            };
            if !OBJECTS.contains(&kind) {
                continue;
            }
            let called = self.name_of("kubernetes_clusters", &json!(cluster));
            for (key, row) in rows(all) {
                let ours = row["metadata"]["annotations"]["zonewright.dev/address"].is_string();
                let own = !ours && !key.starts_with("app/") || key.ends_with("/kube-root-ca.crt");
                if own {
                    continue;
                }
                let id = row["metadata"]["uid"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                let name = format!("k8s {} {kind} {key}", called.as_str().unwrap_or("?"));
                let path = match kind {
                    "core/configmaps" => format!(
                        "/clusters/{cluster}/api/v1/namespaces/app/configmaps/{}",
                        key.trim_start_matches("app/")
                    ),
                    "apps/deployments" => format!(
                        "/clusters/{cluster}/apis/apps/v1/namespaces/app/deployments/{}",
                        key.trim_start_matches("app/")
                    ),
                    "one.zonewright.dev/sites" => format!(
                        "/clusters/{cluster}/apis/one.zonewright.dev/v1/namespaces/app/sites/{}",
                        key.trim_start_matches("app/")
                    ),
                    _ => String::new(),
                };
                self.put(
                    id,
                    name,
                    self.object(row),
                    ours,
                    Some(cluster.to_owned()),
                    path,
                );
            }
        }
    }

    /// What the spec says of an object, without what the cluster adds by chance.
    fn object(&self, row: &Value) -> Value {
        let mut out = Map::new();
        for field in ["data", "spec"] {
            if let Some(value) = row.get(field) {
                out.insert(field.to_owned(), value.clone());
            }
        }
        if row["kind"] == "Secret" {
            let names: Vec<&String> = rows(&row["data"]).map(|(name, _)| name).collect();
            return json!({"names": names, "password": self.is_password(&row["data"]["password"])});
        }
        if row["kind"] == "Service" {
            let spec = &row["spec"];
            return json!({"type": spec["type"], "selector": spec["selector"], "port": spec["ports"][0]["port"]});
        }
        let mut out = Value::Object(out);
        // What the pods read is in other objects; here is its fingerprint.
        if let Some(notes) = out
            .pointer_mut("/spec/template/metadata/annotations")
            .and_then(Value::as_object_mut)
        {
            notes.values_mut().for_each(|note| *note = json!("some"));
        }
        out
    }

    /// Whether it is the password that the database's user has now.
    fn is_password(&self, encoded: &Value) -> bool {
        use base64::Engine;
        let text = encoded.as_str().unwrap_or_default();
        let bytes = base64::engine::general_purpose::STANDARD.decode(text);
        let found = bytes.ok().and_then(|b| String::from_utf8(b).ok());
        let databases = rows(&self.dump["digitalocean"]["databases"]);
        let users = databases.flat_map(|(_, d)| d["users"].as_array().into_iter().flatten());
        found.is_some_and(|found| {
            users
                .into_iter()
                .any(|u| u["name"] == "app" && u["password"] == found.as_str())
        })
    }
}
