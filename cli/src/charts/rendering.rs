//! What helm made of a chart, once it was looked at: the same twice, hooks told apart, images listed.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use zonewright_zones::{Document, Hooks, Pin, images, objects, pin, rendered, without};

use super::archive::Archive;
use super::helm::{Helm, Inputs};
use super::random::{self, Place};
use crate::report::Failure;
use crate::report::code::Code;

/// How many places of one kind an error names.
const NAMED: usize = 8;

/// A rendering that may be vendored.
#[derive(Debug)]
pub(crate) struct Made {
    /// The text, without hooks.
    pub(crate) text: String,
    /// The objects by key.
    pub(crate) objects: BTreeMap<String, Json>,
    /// The hooks that were left out.
    pub(crate) hooks: Vec<Document>,
    /// Templates that ask the cluster, which there is none of here.
    pub(crate) lookups: Vec<String>,
}

/// Values that make a well-known chart do without its hooks.
const WITHOUT_HOOKS: &[(&str, &str)] = &[
    ("cert-manager", "startupapicheck = { enabled = false }"),
    (
        "ingress-nginx",
        "controller = { admissionWebhooks = { certManager = { enabled = true } } }",
    ),
    (
        "kube-prometheus-stack",
        "prometheusOperator = { admissionWebhooks = { certManager = { enabled = true } } }",
    ),
];

impl Made {
    /// Renders a chart.
    ///
    /// # Errors
    /// helm refuses it, it has hooks, or it is another one each time.
    pub(crate) async fn by(
        helm: &Helm,
        chart: &Archive,
        bytes: &[u8],
        inputs: &Inputs,
        hooks: Hooks,
    ) -> Result<Made, Failure> {
        if chart.is_library {
            return Err(Failure::error(format!(
                "`{}` is a library, which renders nothing",
                chart.name
            ))
            .code(Code::ChartRender)
            .help("name the chart that uses it"));
        }
        let texts = helm.render(chart, bytes, inputs).await?;
        Made::of(chart, &texts, hooks)
    }

    fn of(chart: &Archive, texts: &[String; 2], hooks: Hooks) -> Result<Made, Failure> {
        let read = |text: &str| {
            rendered(text).map_err(|why| {
                Failure::error(format!(
                    "`{}` renders what is no list of objects",
                    chart.name
                ))
                .code(Code::ChartRender)
                .help(why)
            })
        };
        let (first, second) = (read(&texts[0])?, read(&texts[1])?);
        let (hooked, kept) = parted(first);
        if hooks == Hooks::Refuse {
            no_hooks(chart, &hooked)?;
        }
        let (other_hooked, other_kept) = parted(second);
        let text = without(&texts[0], &hooked);
        if text != without(&texts[1], &other_hooked) {
            return Err(not_the_same(
                chart,
                &random::places(chart, &kept, &other_kept),
            ));
        }
        let lookups = random::looks_up(chart);
        Ok(Made {
            text,
            objects: objects(&kept),
            hooks: hooked,
            lookups: lookups.into_iter().map(str::to_owned).collect(),
        })
    }

    /// The images that the objects name, with how firmly and by whom.
    pub(crate) fn images(&self) -> BTreeMap<String, (Pin, Vec<String>)> {
        images_of(&self.objects)
    }

    /// What there is to say about it besides its text.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let mut out = Vec::new();
        for hook in &self.hooks {
            let why = match (hook.is_test(), hook.is_of_removal()) {
                (true, _) => "a test",
                (_, true) => "of removals and roll-backs",
                _ => "dropped as the spec says",
            };
            out.push(format!(
                "hook {} ({}) left out: {why}",
                hook.key,
                hook.hooks.join(",")
            ));
        }
        for template in &self.lookups {
            out.push(format!(
                "{template} looks things up in the cluster and finds nothing while it is rendered"
            ));
        }
        out
    }
}

/// The images that objects name, with how firmly and by whom.
pub(crate) fn images_of(objects: &BTreeMap<String, Json>) -> BTreeMap<String, (Pin, Vec<String>)> {
    let mut out: BTreeMap<String, (Pin, Vec<String>)> = BTreeMap::new();
    for (key, object) in objects {
        for image in images(object).into_values() {
            let firm = pin(&image);
            let users = &mut out.entry(image).or_insert((firm, Vec::new())).1;
            if !users.contains(key) {
                users.push(key.clone());
            }
        }
    }
    out
}

/// Images for programs.
pub(crate) fn images_json(images: &BTreeMap<String, (Pin, Vec<String>)>) -> Json {
    let all = images.iter().map(|(image, (firm, users))| {
        json!({ "image": image, "pinned": firm.to_string(), "objects": users })
    });
    all.collect()
}

/// Hooks, and everything else.
fn parted(documents: Vec<Document>) -> (Vec<Document>, Vec<Document>) {
    documents.into_iter().partition(|d| !d.hooks.is_empty())
}

fn no_hooks(chart: &Archive, hooked: &[Document]) -> Result<(), Failure> {
    let asking: Vec<&Document> = hooked.iter().filter(|d| !d.is_test()).collect();
    if asking.is_empty() {
        return Ok(());
    }
    let named = asking.iter().take(NAMED).map(|d| {
        let what = match d.is_of_removal() {
            true => "for removals and roll-backs, which are plans here",
            false => "around an installation or an upgrade",
        };
        Failure::error(format!("{}: {}, {what}", d.key, d.hooks.join(","))).code(Code::ChartHooks)
    });
    let known = WITHOUT_HOOKS.iter().find(|(name, _)| *name == chart.name);
    let help = match known {
        Some((_, values)) => format!("this chart does without: `values = {{ {values} }}`"),
        None => "look for values that make it do without; when the rest works without them, `hooks = \"drop\"` \
                 leaves them out"
            .to_owned(),
    };
    let message = format!("the chart `{}` has {} hooks", chart.name, asking.len());
    Err(Failure::many(message, named.collect()).help(help))
}

fn not_the_same(chart: &Archive, places: &[Place]) -> Failure {
    let named = places.iter().take(NAMED).map(|place| {
        let template = place.template.as_deref().unwrap_or("a template");
        let functions = match place.functions.is_empty() {
            true => "no function that is known for it".to_owned(),
            false => format!("likely by {}", place.functions.join(", ")),
        };
        let path = match place.path.is_empty() {
            true => "is there only once".to_owned(),
            false => format!("differs in `{}`", place.path),
        };
        let message = format!("{} {path}: {template}, {functions}", place.key);
        Failure::error(message).code(Code::ChartRandom)
    });
    let n = places.len();
    let message = format!(
        "the chart `{}` renders differently each time, in {n} places",
        chart.name
    );
    Failure::many(message, named.collect())
        .code(Code::ChartRandom)
        .help("give it these values from outside: an existing Secret, a certificate of cert-manager, a fixed text")
}
