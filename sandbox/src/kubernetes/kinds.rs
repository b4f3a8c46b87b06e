//! The kinds that a cluster serves: the built-in ones and those of its established definitions.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use crate::world::{Tables, World};

use super::controllers::definition;
use super::schema::{ANY, Schema, TypeId, builtin};

/// A subresource: its response kind and verbs.
pub(crate) type Subresource = (Value, Vec<String>);

/// One kind in one version.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) namespaced: bool,
    pub(crate) verbs: Vec<String>,
    pub(crate) subresources: BTreeMap<String, Subresource>,
    /// `None` for built-in kinds, which share one arena.
    schema: Option<Arc<Schema>>,
    pub(crate) root: TypeId,
    /// The `openAPIV3Schema` of a custom kind.
    pub(crate) open_api: Option<Value>,
    /// The paths of the scale subresource of a custom kind.
    pub(crate) scale: Option<Value>,
    pub(crate) list_kind: String,
}

impl Kind {
    pub(crate) fn schema(&self) -> &Schema {
        match &self.schema {
            Some(schema) => schema,
            None => &builtin().schema,
        }
    }

    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `deployments.apps`, as messages name resources.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.clone()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// The table of this kind's objects.
    pub(crate) fn table(&self, cluster: &str) -> String {
        table(cluster, &self.group, &self.plural)
    }

    pub(crate) fn is_custom(&self) -> bool {
        self.open_api.is_some()
    }

    pub(crate) fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }

    pub(crate) fn has_status(&self) -> bool {
        self.subresources.contains_key("status")
    }
}

/// The name of a table.
pub(crate) fn table(cluster: &str, group: &str, plural: &str) -> String {
    let group = if group.is_empty() { "core" } else { group };
    format!("kubernetes/{cluster}/{group}/{plural}")
}

/// The key of an object; cluster-scoped objects have `-` for a namespace.
pub(crate) fn key(namespace: Option<&str>, name: &str) -> String {
    format!("{}/{name}", namespace.unwrap_or("-"))
}

fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// The built-in kinds in the order of discovery.
pub(crate) fn builtins() -> &'static [Arc<Kind>] {
    static KINDS: OnceLock<Vec<Arc<Kind>>> = OnceLock::new();
    KINDS.get_or_init(|| {
        let rows: Vec<Value> = serde_json::from_str(include_str!("tables/kinds.json"))
            .expect("invariant: the embedded table is JSON");
        rows.iter().map(|row| Arc::new(builtin_kind(row))).collect()
    })
}

fn builtin_kind(row: &Value) -> Kind {
    let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let subresources = row["subresources"].as_object().into_iter().flatten();
    let root = row["type"].as_str().and_then(|t| builtin().roots.get(t));
    Kind {
        group: text("group"),
        version: text("version"),
        kind: text("kind"),
        plural: text("plural"),
        singular: text("singular"),
        short_names: texts(&row["shortNames"]),
        namespaced: row["namespaced"] == true,
        verbs: texts(&row["verbs"]),
        subresources: subresources
            .map(|(n, s)| (n.clone(), (s[0].clone(), texts(&s[1]))))
            .collect(),
        schema: None,
        root: root.copied().unwrap_or(ANY),
        open_api: None,
        scale: None,
        list_kind: format!("{}List", text("kind")),
    }
}

/// The kinds of one definition, whether served already or not.
pub(crate) fn of_definition(definition: &Value) -> Vec<Arc<Kind>> {
    let versions = definition["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten();
    versions
        .filter(|v| v["served"] == true)
        .map(|version| Arc::new(custom_kind(&definition["spec"], version)))
        .collect()
}

fn custom_kind(spec: &Value, version: &Value) -> Kind {
    const VERBS: [&str; 8] = [
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "create",
        "update",
        "watch",
    ];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let names = &spec["names"];
    let kind = text(&names["kind"]);
    let or = |value: &Value, other: String| value.as_str().map_or(other, str::to_owned);
    let open_api = version["schema"]["openAPIV3Schema"].clone();
    let (schema, root) = Schema::of_custom(&open_api);
    let verbs = || ["get", "patch", "update"].map(str::to_owned).to_vec();
    let mut subresources = BTreeMap::new();
    if version["subresources"]["status"].is_object() {
        let response = json!({"group": spec["group"], "version": version["name"], "kind": kind});
        subresources.insert("status".to_owned(), (response, verbs()));
    }
    let scale = Some(version["subresources"]["scale"].clone()).filter(Value::is_object);
    if scale.is_some() {
        let response = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
        subresources.insert("scale".to_owned(), (response, verbs()));
    }
    Kind {
        group: text(&spec["group"]),
        version: text(&version["name"]),
        plural: text(&names["plural"]),
        singular: or(&names["singular"], kind.to_lowercase()),
        short_names: texts(&names["shortNames"]),
        namespaced: spec["scope"] == "Namespaced",
        verbs: VERBS.map(str::to_owned).to_vec(),
        subresources,
        schema: Some(Arc::new(schema)),
        root,
        open_api: Some(open_api),
        scale,
        list_kind: or(&names["listKind"], format!("{kind}List")),
        kind,
    }
}

/// Finds a served kind.
pub(crate) fn find(
    world: &World,
    tables: &Tables,
    cluster: &str,
    (group, version, plural): (&str, &str, &str),
) -> Option<Arc<Kind>> {
    let known = builtins();
    let found = known
        .iter()
        .find(|k| k.plural == plural && k.group == group && k.version == version);
    if let Some(kind) = found {
        return Some(Arc::clone(kind));
    }
    let name = format!("{plural}.{group}");
    let kinds = custom(world, tables, cluster, &name)?;
    kinds.into_iter().find(|k| k.version == version)
}

/// The served kinds of the definition `name`.
pub(crate) fn custom(
    world: &World,
    tables: &Tables,
    cluster: &str,
    name: &str,
) -> Option<Vec<Arc<Kind>>> {
    let definition = tables.get(
        &table(cluster, "apiextensions.k8s.io", "customresourcedefinitions"),
        &key(None, name),
    )?;
    if !definition::is_served(world, tables, cluster, definition) {
        return None;
    }
    let generation = definition["metadata"]["generation"].as_u64().unwrap_or(0);
    let uid = definition["metadata"]["uid"].as_str().unwrap_or_default();
    let stamp = format!("{uid}/{generation}");
    Some(
        world
            .kubernetes()
            .kinds(cluster, name, &stamp, || of_definition(definition)),
    )
}

/// Every served custom kind, in the order of definition names.
pub(crate) fn customs(world: &World, tables: &Tables, cluster: &str) -> Vec<Arc<Kind>> {
    let own = table(cluster, "apiextensions.k8s.io", "customresourcedefinitions");
    let names = tables.list(&own);
    let names: Vec<String> = names
        .map(|(k, _)| k.trim_start_matches("-/").to_owned())
        .collect();
    names
        .iter()
        .flat_map(|n| custom(world, tables, cluster, n).unwrap_or_default())
        .collect()
}
