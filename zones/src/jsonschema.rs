//! The schema for editors: one JSON Schema that fits the root file and zone files alike.
//!
//! Made from the kinds' schemas. Where no text is wanted, a reference is accepted too.

use serde_json::{Map, Value as Json, json};
use zonewright_engine::schema::{Attr, Form, KindSchema, ProviderSchema, Registry, Type};

use crate::load::BACKENDS;

/// JSON Schema (draft 7) of `zonewright.toml` and `zones/*.toml`.
pub fn json_schema(registry: &Registry) -> Json {
    let mut zone = zone_tables(registry);
    let overlay = closed(
        zone_tables(registry),
        &[],
        "What changes while the zone has the role.",
    );
    let roles = Map::from_iter([
        ("active".to_owned(), overlay.clone()),
        ("standby".to_owned(), overlay),
    ]);
    zone.insert("role".to_owned(), closed(roles, &[], "Overlays by role."));
    let overlay = closed(
        zone_tables(registry),
        &[],
        "What changes while the zone stands by in the posture.",
    );
    let postures = ["off", "cold", "warm"].map(|name| (name.to_owned(), overlay.clone()));
    let postures = closed(Map::from_iter(postures), &[], "Overlays by posture.");
    zone.insert("posture".to_owned(), postures);
    zone.extend(root_tables(registry));
    let mut out = closed(zone, &[], "A file of a zonewright project.");
    out["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    out["title"] = json!("zonewright");
    out
}

fn closed(properties: Map<String, Json>, required: &[&str], doc: &str) -> Json {
    let mut out = json!({
        "type": "object",
        "description": doc,
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        out["required"] = json!(required);
    }
    out
}

fn text(doc: &str) -> Json {
    json!({ "type": "string", "description": doc })
}

fn props<const N: usize>(entries: [(&str, Json); N]) -> Map<String, Json> {
    entries
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v))
        .collect()
}

fn source(doc: &str) -> Json {
    let one = |name: &str, ty: Json| closed(props([(name, ty)]), &[name], doc);
    let words = json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 });
    json!({
        "description": doc,
        "oneOf": [
            one("env", text("An environment variable.")),
            one("file", text("A file of the project.")),
            one("cmd", words),
        ],
    })
}

fn root_tables(registry: &Registry) -> Map<String, Json> {
    let names = json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 });
    let project = props([
        ("name", text("The name of the project.")),
        ("env", text("The environment, as `${zone.env}`.")),
        ("zones", names),
        ("active", text("The zone that serves.")),
    ]);
    let objectives = props([
        ("rto", text("How long a failover may take.")),
        ("rpo", text("How much data may be lost, as time.")),
        ("strict", json!({ "type": "boolean" })),
    ]);
    let allowance = props([
        (
            "path",
            text("`kind.name`, or `kind.name attribute`; `*` is any text."),
        ),
        ("reason", text("Why the zones differ here.")),
    ]);
    let allowance = closed(
        allowance,
        &["path", "reason"],
        "A difference that is meant.",
    );
    let parity = props([("allow", json!({ "type": "array", "items": allowance }))]);
    let secrets = json!({
        "type": "object",
        "description": "Where secrets come from.",
        "additionalProperties": source("Where the secret comes from."),
    });
    props([
        (
            "project",
            closed(project, &["name", "zones", "active"], "The project."),
        ),
        (
            "objectives",
            closed(objectives, &[], "What a disaster may cost."),
        ),
        (
            "parity",
            closed(
                parity,
                &[],
                "Differences between zones that are meant to be.",
            ),
        ),
        (
            "observability",
            closed(
                observability(),
                &["owner", "runbooks"],
                "Who is told when a zone is in trouble.",
            ),
        ),
        ("state", state()),
        ("moved", moved()),
        ("forget", forgotten()),
        ("secret", secrets),
        (
            "shared",
            closed(kinds(registry, true), &[], "Resources of no zone."),
        ),
    ])
}

/// `[[moved]]`.
fn moved() -> Json {
    let entry = props([
        ("from", text("The address that it is recorded under.")),
        ("to", text("The address that it is declared under now.")),
    ]);
    let doc = "A resource that has another address now.";
    json!({ "type": "array", "items": closed(entry, &["from", "to"], doc) })
}

/// `[[forget]]`.
fn forgotten() -> Json {
    let entry = props([
        ("address", text("The address that it is recorded under.")),
        ("reason", text("Why it is left alone.")),
    ]);
    let doc = "A resource that left the spec and is not to be deleted.";
    json!({ "type": "array", "items": closed(entry, &["address", "reason"], doc) })
}

/// A reference to a declared secret.
fn credential(doc: &str) -> Json {
    json!({ "type": "string", "description": doc, "pattern": r"^\$\{\s*secret\.[^}]+\}$" })
}

fn state_region() -> Json {
    text("The region that it is in, to judge whether a disaster takes it too.")
}

/// `[state]`.
fn state() -> Json {
    let ttl = "How long a writer may be silent before another takes over: `60s`.";
    let state = props([
        ("backend", json!({ "enum": BACKENDS })),
        (
            "dir",
            text("The directory of the state, for backend `file`."),
        ),
        ("ttl", text(ttl)),
        (
            "keep",
            json!({ "type": "integer", "minimum": 1,
                "description": "How many of the newest snapshots are kept: 50." }),
        ),
        (
            "keep_for",
            text("For how long snapshots are kept when `state gc` removes earlier ones: `720h`."),
        ),
        ("digest_key", source("The key of secret digests.")),
        (
            "mirror",
            json!({ "type": "array", "items": mirror(),
                "description": "Further stores that the log is copied to." }),
        ),
        ("encryption", state_encryption()),
        ("s3", state_s3()),
        ("postgres", state_postgres()),
        ("kubernetes", state_kubernetes()),
    ]);
    closed(state, &[], "Where the state is kept.")
}

/// `[observability]`.
fn observability() -> Map<String, Json> {
    let addresses = json!({ "type": "array", "items": { "type": "string" },
        "description": "Resolvers that the names are asked at." });
    props([
        ("owner", text("Who has to act on alerts.")),
        (
            "runbooks",
            text("The address that the runbooks' names are put behind."),
        ),
        ("blackbox", text("`host:port` of the blackbox exporter.")),
        ("resolvers", addresses),
        (
            "zone_header",
            text("The header of responses that names the zone: `X-Zone`."),
        ),
    ])
}

/// One mirror: the kind of store, and what its table takes.
fn mirror() -> Json {
    let mut all = props([
        ("backend", json!({ "enum": BACKENDS })),
        ("dir", text("The directory, for backend `file`.")),
    ]);
    for store in [state_s3(), state_postgres(), state_kubernetes()] {
        if let Some(own) = store["properties"].as_object() {
            all.extend(own.clone());
        }
    }
    closed(all, &["backend"], "A store.")
}

fn state_encryption() -> Json {
    let recipients = json!({ "type": "array", "items": { "type": "string", "pattern": "^age1" },
        "description": "The public age keys of those who can open it." });
    let flag = |doc: &str| json!({ "type": "boolean", "description": doc });
    let encryption = props([
        ("recipients", recipients),
        (
            "identity",
            credential("An age identity file: private keys, by reference."),
        ),
        (
            "passphrase",
            credential("What protects the identity file, by reference."),
        ),
        ("require", flag("Refuse what is in the clear.")),
        (
            "seal",
            flag("`false` writes in the clear again, and opens what is sealed."),
        ),
    ]);
    let doc = "Seals the state, its log and saved plans.";
    closed(encryption, &["identity"], doc)
}

fn state_s3() -> Json {
    let endpoint = json!({ "type": "string", "pattern": "^https://",
        "description": "The address of the service; the one of AWS when absent." });
    let s3 = props([
        ("bucket", text("The bucket; it must exist.")),
        ("region", text("The region of the bucket.")),
        ("endpoint", endpoint),
        ("prefix", text("What all keys begin with.")),
        (
            "access_key",
            credential("The id of the access key, by reference."),
        ),
        ("secret_key", credential("The access key, by reference.")),
    ]);
    let required = ["bucket", "region", "access_key", "secret_key"];
    closed(s3, &required, "Objects in a bucket.")
}

fn state_postgres() -> Json {
    let url = "The address with user and password, by reference.";
    let ca_file = "A file with the authority that signed its certificate.";
    let postgres = props([
        ("url", credential(url)),
        ("region", state_region()),
        ("ca_file", text(ca_file)),
    ]);
    closed(postgres, &["url"], "Rows of a PostgreSQL database.")
}

fn state_kubernetes() -> Json {
    let kubernetes = props([
        (
            "kubeconfig",
            credential("The kubeconfig's text, by reference."),
        ),
        ("context", text("The context; the current one when absent.")),
        ("namespace", text("The namespace; it must exist.")),
        ("region", state_region()),
    ]);
    let doc = "Secrets of a cluster that the spec does not make.";
    closed(kubernetes, &["kubeconfig", "namespace"], doc)
}

/// The tables of a zone file, or of an overlay, in which nothing is required.
fn zone_tables(registry: &Registry) -> Map<String, Json> {
    let settings = json!({
        "type": "object",
        "description": "Settings of the zone, as `${zone.…}`.",
        "properties": {
            "extends": text("The zone that this one starts from."),
            "region": text("The vendor's region."),
            "cidr": text("The network of the zone."),
            "exposed": or_reference(json!({ "type": "boolean" })),
            "observe": or_reference(json!({ "type": "boolean" })),
        },
    });
    let mut out = kinds(registry, false);
    let providers = registry
        .providers()
        .map(|p| (p.name.to_owned(), provider(p)));
    out.insert(
        "providers".to_owned(),
        closed(providers.collect(), &[], "How providers are reached."),
    );
    out.insert("zone".to_owned(), settings);
    out.insert("database".to_owned(), database());
    out.insert("media".to_owned(), media());
    out
}

/// `[media]`. Nothing is required: an overlay may bring the rest.
fn media() -> Json {
    let media = props([
        (
            "mode",
            json!({
                "enum": ["single", "replicated"],
                "description": "One bucket for all zones, or one in each with copies.",
            }),
        ),
        ("endpoint", text("The address of the object storage.")),
        ("bucket", text("The bucket of this zone.")),
        (
            "by",
            text("Who copies, where there is a bucket in each zone."),
        ),
        (
            "max_lag",
            text("The time within which an object has to be in the copies: `15m`."),
        ),
    ]);
    closed(media, &[], "Where the uploads of the zone are.")
}

/// `[database]`. Nothing is required: an overlay may bring the rest.
fn database() -> Json {
    let restore = props([
        (
            "source",
            text(
                "The cluster whose backups are restored: `${pz/digitalocean.database_cluster.main}`.",
            ),
        ),
        (
            "window",
            text("The time of day at which the vendor takes backups: `02:00-04:00 UTC`."),
        ),
        (
            "max_age",
            text("The age from which on the newest backup is too old: `26h`."),
        ),
        ("size", text("The size of the restored cluster.")),
        ("region", text("Its region.")),
        ("name", text("Its name.")),
        (
            "backup",
            text("`latest`, or the timestamp of one backup: `2026-11-20T02:00:00Z`."),
        ),
    ]);
    let mut step = closed(
        props([
            ("name", text("What the step is called.")),
            ("sql", text("The statements that it runs.")),
            ("job", text("The file of the Kubernetes Job that it runs.")),
            (
                "check",
                text(
                    "A query whose first value tells whether the step is needed: true, or any number but 0.",
                ),
            ),
        ]),
        &["name", "check"],
        "A step after a restore.",
    );
    step["oneOf"] = json!([{ "required": ["sql"] }, { "required": ["job"] }]);
    let database = props([
        ("strategy", json!({ "enum": ["replica", "restore"] })),
        ("reason", text("Why.")),
        (
            "date",
            json!({ "description": "When it was decided: `2026-11-20`, in quotes or not." }),
        ),
        (
            "restore",
            closed(
                restore,
                &[],
                "Where a restore takes its data from, and what it makes.",
            ),
        ),
        (
            "post_restore",
            json!({
                "type": "array",
                "description": "What is done after a restore, in order.",
                "items": step,
            }),
        ),
    ]);
    closed(database, &[], "How the zone comes by its data.")
}

fn provider(schema: &ProviderSchema) -> Json {
    let mut attrs = attributes(&schema.config);
    if let Some(link) = &schema.container {
        let doc = format!("The {} that it lives in.", link.kind);
        attrs
            .entry(link.attr.to_owned())
            .or_insert_with(|| text(&doc));
    }
    closed(attrs, &[], schema.doc)
}

fn kinds(registry: &Registry, required: bool) -> Map<String, Json> {
    let tables = registry.providers().map(|p| {
        let kinds = p.kinds.iter().map(|k| {
            let names = json!({
                "type": "object",
                "description": k.doc,
                "additionalProperties": kind(k, required),
            });
            (k.kind.name().to_owned(), names)
        });
        (p.name.to_owned(), closed(kinds.collect(), &[], p.doc))
    });
    tables.collect()
}

/// A zone's resource may get its attributes from the base, so only shared ones must be whole.
fn kind(schema: &KindSchema, whole: bool) -> Json {
    let mut attrs = attributes(&schema.attrs);
    for (name, doc) in form_attributes(schema.form) {
        attrs
            .entry((*name).to_owned())
            .or_insert_with(|| json!({ "description": doc }));
    }
    attrs.insert("zonewright".to_owned(), meta());
    attrs.entry("observe".to_owned()).or_insert_with(|| {
        or_reference(json!({ "type": "boolean", "description": "Read it, never change it." }))
    });
    let required = schema.attrs.iter().filter(|a| whole && a.required);
    let required: Vec<&str> = required.map(|a| a.name).collect();
    closed(attrs, &required, schema.doc)
}

/// What the loader reads of a form, beside the attributes in its schema.
fn form_attributes(form: Form) -> &'static [(&'static str, &'static str)] {
    match form {
        Form::Attributes => &[],
        Form::Manifest => &[
            ("object", "The object itself."),
            ("file", "A YAML file with objects."),
            ("template", "Whether `${…}` in the file means something."),
            ("with", "Values for `${with.…}` in the file."),
        ],
        Form::Chart => &[("values", "The chart's values.")],
        Form::SecretObject => &[
            ("data", "Secret values, each a reference."),
            ("plain", "Values that are no secret."),
        ],
    }
}

fn meta() -> Json {
    let list =
        |doc: &str| json!({ "type": "array", "items": { "type": "string" }, "description": doc });
    let flag = |doc: &str| or_reference(json!({ "type": "boolean", "description": doc }));
    let entries = props([
        ("enabled", flag("Whether it exists at all.")),
        ("after", list("What must be there first.")),
        ("protect", flag("Never delete or replace it.")),
        (
            "keep",
            flag("Leave the object alone when it leaves the spec or the zone is destroyed."),
        ),
        (
            "ignore",
            list("Attributes that are left alone once it exists."),
        ),
        (
            "replace_when",
            list("References to values; it is replaced when one of them changes."),
        ),
        (
            "on_immutable",
            json!({ "enum": ["error", "replace"], "description": "What becomes of an object when a field changes that cannot." }),
        ),
        (
            "yield",
            list("Fields of an object that are given up to whoever else manages them."),
        ),
        (
            "take_from",
            json!({ "anyOf": [text("A tool or a field manager."), { "type": "array", "items": { "type": "string" } }],
                "description": "Whose place is taken: a tool (`helm`, `argocd`, `flux`, `kapp`, `kubectl`) or a field manager." }),
        ),
        (
            "roll",
            flag("Whether pods are rolled when a ConfigMap or Secret changes that they read."),
        ),
        ("timeout", text("How long it may take.")),
        ("unset", list("Inherited attributes to remove.")),
        ("observe", flag("Read it, never change it.")),
    ]);
    closed(entries, &[], "How the resource is handled.")
}

fn attributes(attrs: &[Attr]) -> Map<String, Json> {
    let entries = attrs.iter().map(|attr| {
        let mut schema = of_type(&attr.ty);
        schema["description"] = json!(attr.doc);
        // Editors offer these; others are not refused.
        if let Some(names) = attr.names.filter(|n| !n.known.is_empty()) {
            schema["examples"] = json!(names.known);
        }
        (attr.name.to_owned(), schema)
    });
    entries.collect()
}

fn or_reference(schema: Json) -> Json {
    json!({ "anyOf": [schema, { "type": "string", "pattern": r"^\$\{[^}]+\}$" }] })
}

fn of_type(ty: &Type) -> Json {
    match ty {
        Type::Bool => or_reference(json!({ "type": "boolean" })),
        Type::Int => or_reference(json!({ "type": "integer" })),
        Type::Within(ranges) => {
            let range =
                |r: &(i64, i64)| json!({ "type": "integer", "minimum": r.0, "maximum": r.1 });
            let all: Vec<Json> = ranges.iter().map(range).collect();
            or_reference(json!({ "anyOf": all }))
        }
        Type::OneOf(options) => or_reference(json!({ "enum": options })),
        Type::String => json!({ "anyOf": [{ "type": "string" }, file()] }),
        Type::Cidr | Type::Duration => json!({ "type": "string" }),
        Type::List(inner) => or_reference(json!({ "type": "array", "items": of_type(inner) })),
        Type::Map(inner) => {
            or_reference(json!({ "type": "object", "additionalProperties": of_type(inner) }))
        }
        // Overlays give parts of a table, so nothing in it is required here.
        Type::Object(attrs) => or_reference(json!({
            "type": "object",
            "properties": attributes(attrs),
            "additionalProperties": false,
        })),
        Type::Any => json!({}),
    }
}

fn file() -> Json {
    let entries = props([
        ("file", text("A file of the project.")),
        ("template", json!({ "type": "boolean" })),
        ("with", json!({ "type": "object" })),
    ]);
    closed(entries, &["file"], "The text of a file.")
}
