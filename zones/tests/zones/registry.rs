//! A registry of the kinds that the cases use; small, so that the cases do not change with the
//! providers.

use std::time::Duration;

use zonewright_engine::schema::{
    Attr, Check, ContainerLink, Containment, Form, KindSchema, Misfit, Names, ObjectRules, Output,
    Part, ProviderSchema, Registry, Type, Typical, VendorFacts,
};
use zonewright_engine::value::Value;

fn kind(name: &str, attrs: Vec<Attr>, outputs: Vec<Output>) -> KindSchema {
    KindSchema {
        kind: name.parse().unwrap(),
        part: part(name),
        doc: "A kind of the tests.",
        form: Form::Attributes,
        attrs,
        outputs,
        contained_in: Containment::None,
        marked: true,
        kept_when_off: false,
        protect: false,
        typical: Typical::secs(1, 1, 1),
        identity: &["name"],
        checks: &[],
    }
}

fn part(kind: &str) -> Option<Part> {
    match kind {
        "digitalocean.vpc" => Some(Part::Network),
        "digitalocean.kubernetes_cluster" => Some(Part::Cluster),
        "digitalocean.database_cluster" => Some(Part::Writer),
        "digitalocean.database_replica" => Some(Part::Replica),
        "digitalocean.database" => Some(Part::Database),
        "digitalocean.database_user" => Some(Part::DatabaseUser),
        "digitalocean.database_firewall" => Some(Part::DatabaseFirewall),
        "cloudflare.dns_record" => Some(Part::DnsRecord),
        _ => None,
    }
}

static REGION: Names = Names {
    what: "region",
    fits: |text| text.len() == 4 && text.is_ascii(),
    example: "sfo3",
    known: &["nyc3", "sfo3", "fra1"],
    rank: |_| None,
};

/// The number in the name is what a size has.
static SIZE: Names = Names {
    what: "size of databases",
    fits: |text| !text.contains(' '),
    example: "db-2",
    known: &[],
    rank: |text| Some(vec![text.strip_prefix("db-")?.parse().ok()?]),
};

fn text(name: &'static str) -> Attr {
    Attr::required(name, Type::String, "Some text.")
}

fn maybe(name: &'static str, ty: Type) -> Attr {
    Attr::optional(name, ty, "Something optional.")
}

fn out(name: &'static str) -> Output {
    Output::plain(name, Type::String, "Something that comes out.")
}

fn pool() -> Type {
    Type::Object(vec![
        text("size"),
        Attr::required("min", Type::Int, "Fewest nodes."),
        Attr::required("max", Type::Int, "Most nodes."),
    ])
}

fn replica() -> Vec<Attr> {
    vec![
        text("name"),
        text("source"),
        text("region").named(&REGION),
        text("size").named(&SIZE),
    ]
}

fn firewall() -> Vec<Attr> {
    let rules = Type::List(Box::new(Type::Map(Box::new(Type::String))));
    let texts = || Type::List(Box::new(Type::String));
    vec![
        text("cluster"),
        maybe("rules", rules),
        maybe("clusters", texts()),
        maybe("addresses", texts()),
    ]
}

const CHECKS: &[Check] = &[Check {
    attr: "node_pool",
    refused: |attrs| {
        let pool = &attrs["node_pool"];
        let above = pool["min"].as_i64()? > pool["max"].as_i64()?;
        above.then_some("`min` is above `max`")
    },
}];

fn digitalocean() -> ProviderSchema {
    let pool = pool();
    let tags = || maybe("tags", Type::List(Box::new(Type::String)));
    let vpc = vec![
        text("name"),
        text("region").replaces(),
        maybe("ip_range", Type::Cidr).replaces(),
    ];
    let cluster = vec![
        text("name"),
        text("region"),
        text("version"),
        maybe("vpc", Type::String),
        Attr::required("node_pool", pool, "The nodes."),
        maybe("ha", Type::Bool),
        tags(),
    ];
    let database = vec![
        text("name"),
        Attr::required("engine", Type::OneOf(&["mysql", "pg"]), "The engine."),
        text("version"),
        text("region").named(&REGION),
        text("size").named(&SIZE),
        Attr::required("nodes", Type::Int, "How many nodes."),
        maybe("vpc", Type::String),
        maybe("maintenance", Type::Duration),
        tags(),
    ];
    let outputs = || {
        let port = Output::plain("port", Type::Int, "The port.");
        vec![
            out("id"),
            out("host"),
            port,
            Output::secret("ca", "Its authority."),
        ]
    };
    let mut kinds = vec![
        kind("digitalocean.vpc", vpc, vec![out("id"), out("urn")]),
        kind(
            "digitalocean.kubernetes_cluster",
            cluster,
            vec![
                out("id"),
                out("endpoint"),
                Output::ephemeral("credentials", "Opens a session."),
            ],
        ),
        kind("digitalocean.database_cluster", database, outputs()),
        kind("digitalocean.database_replica", replica(), outputs()),
        kind(
            "digitalocean.database",
            vec![text("name"), text("cluster")],
            vec![out("id")],
        ),
        kind(
            "digitalocean.database_user",
            vec![text("name"), text("cluster")],
            vec![out("id"), Output::secret("password", "Its password.")],
        ),
        kind(
            "digitalocean.database_firewall",
            firewall(),
            vec![out("id")],
        ),
    ];
    kinds[1].checks = CHECKS;
    kinds[2].protect = true;
    ProviderSchema {
        name: "digitalocean",
        doc: "DigitalOcean.",
        config: vec![text("token").secret()],
        container: None,
        kinds,
        objects: None,
        facts: VendorFacts::default(),
    }
}

fn cloudflare() -> ProviderSchema {
    let record = vec![
        text("zone").replaces(),
        text("name").replaces(),
        Attr::required(
            "type",
            Type::OneOf(&["A", "AAAA", "CNAME", "TXT"]),
            "The type.",
        ),
        text("content"),
        maybe("ttl", Type::Within(&[(1, 1), (30, 86_400)])),
        maybe("proxied", Type::Bool),
    ];
    ProviderSchema {
        name: "cloudflare",
        doc: "Cloudflare.",
        config: vec![text("token").secret()],
        container: None,
        kinds: vec![kind(
            "cloudflare.dns_record",
            record,
            vec![out("id"), out("hostname")],
        )],
        objects: None,
        facts: VendorFacts::default(),
    }
}

/// One figure of a workload has a type here.
fn objects() -> ObjectRules {
    ObjectRules {
        canonical: Value::clone,
        takes: |_, _| false,
        deadline: |_| None,
        tool: |_| None,
        implied: |_| Vec::new(),
        immutable: &[],
        evict_first: |_| false,
        exposes: |_| None,
        needs: |_| Vec::new(),
        typical: |_| Duration::ZERO,
        list_key: |_| None,
        misfits: |object| {
            let text = object["spec"]["replicas"].is_string();
            let misfit = || Misfit {
                path: vec!["spec".to_owned(), "replicas".to_owned()],
                wanted: "a whole number",
                found: "text",
            };
            text.then(misfit).into_iter().collect()
        },
        zero_is_unset: &[],
        brings: |_| None,
        replaced_freely: |_| false,
        never_replaced: |_| None,
        reads_at_start: |_| Vec::new(),
        stands_on: |_| Vec::new(),
    }
}

fn kubernetes() -> ProviderSchema {
    let any = |name| maybe(name, Type::Any);
    let mut manifest = kind(
        "kubernetes.manifest",
        vec![
            any("object"),
            maybe("file", Type::String),
            maybe("template", Type::Bool),
            maybe("with", Type::Map(Box::new(Type::Any))),
            maybe("namespace", Type::String),
        ],
        vec![],
    );
    manifest.form = Form::Manifest;
    let attrs = vec![
        text("chart"),
        maybe("repository", Type::String),
        maybe("version", Type::String),
        maybe("namespace", Type::String),
        maybe("kube_version", Type::String),
        maybe("api_versions", Type::List(Box::new(Type::String))),
        maybe("hooks", Type::OneOf(&["refuse", "drop"])),
        any("values"),
    ];
    let mut chart = kind("kubernetes.chart", attrs, vec![]);
    chart.form = Form::Chart;
    let texts = || Type::Map(Box::new(Type::String));
    let attrs = vec![
        text("namespace"),
        maybe("name", Type::String),
        maybe("type", Type::String),
        maybe("data", texts()).secret(),
        maybe("plain", texts()),
    ];
    let mut secret = kind("kubernetes.secret", attrs, vec![]);
    secret.form = Form::SecretObject;
    ProviderSchema {
        name: "kubernetes",
        doc: "Kubernetes.",
        config: vec![
            maybe("cluster", Type::String),
            maybe("kubeconfig", Type::String).secret(),
            maybe("context", Type::String),
        ],
        container: Some(ContainerLink {
            attr: "cluster",
            kind: "digitalocean.kubernetes_cluster".parse().unwrap(),
            output: "credentials",
            instead: "kubeconfig",
        }),
        kinds: vec![manifest, chart, secret],
        objects: Some(objects()),
        facts: VendorFacts::default(),
    }
}

/// The registry of the tests.
pub(crate) fn registry() -> Registry {
    Registry::new([digitalocean(), cloudflare(), kubernetes()])
}
