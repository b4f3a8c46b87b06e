//! `zonewright charts diff`: which objects two versions of a chart make differently.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use zonewright_engine::diff::diff;
use zonewright_engine::plan::AttrChange;
use zonewright_engine::schema::Registry;
use zonewright_engine::value::Value;
use zonewright_zones::{ChartSpec, DiskFiles, Files, Hooks, objects, rendered};

use super::render::vendored;
use crate::Context;
use crate::args::{ChartsDiffArgs, Format};
use crate::charts::helm::{Helm, Inputs};
use crate::charts::rendering::Made;
use crate::charts::vendored::{Ask, Chart, at, obtain};
use crate::charts::wanted::Charts;
use crate::exit::Exit;
use crate::render::charts::{self as show, ObjectChange};
use crate::report::Failure;
use crate::report::code::Code;
use crate::world;

type Objects = BTreeMap<String, Json>;

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: &ChartsDiffArgs) -> Result<Exit, Failure> {
    let registry = world::registry()?;
    let charts = Charts::read(ctx, &registry)?;
    let sides = Sides {
        args,
        charts: &charts,
        files: DiskFiles::new(charts.project.root()),
    };
    let old = sides.objects(&args.old).await?;
    let new = match &args.new {
        Some(new) => sides.objects(new).await?,
        None => sides.fresh(&args.old).await?,
    };
    let changes = compare(&registry, &old, &new)?;
    match args.format {
        Format::Json => ctx.term.pretty(&show::diff_json(&changes)),
        Format::Text => {
            ctx.term
                .data(&show::diff_text(&changes, ctx.term.out_paint()));
            ctx.term.data(&show::diff_summary(&changes));
        }
    }
    Ok(match changes.is_empty() {
        true => Exit::DONE,
        false => Exit::CHANGES,
    })
}

/// How the words of the command line become objects.
struct Sides<'s> {
    args: &'s ChartsDiffArgs,
    charts: &'s Charts,
    files: DiskFiles,
}

impl Sides<'_> {
    async fn objects(&self, side: &str) -> Result<Objects, Failure> {
        if side.ends_with(".yaml") || side.ends_with(".yml") {
            return self.read(side);
        }
        if side.starts_with("./") || side.ends_with(".tgz") || side.ends_with(".tar.gz") {
            let chart = at(&self.files, side)?;
            return self.rendered(&chart, self.as_declared(&chart)?).await;
        }
        if let Some((name, version)) = side.split_once('@') {
            let spec = ChartSpec {
                version: Some(version.to_owned()),
                ..self.declared(name)?.clone()
            };
            let lock = self.charts.today.lock.as_ref();
            let found = obtain(&self.files, &spec, lock, Ask::Missing).await?;
            let chart = found.ok_or_else(|| Failure::error(format!("`{side}` cannot be had")))?;
            return self.rendered(&chart, Some(&spec)).await;
        }
        self.locked(self.declared(side)?)
    }

    /// What `lock` would make of it now.
    async fn fresh(&self, name: &str) -> Result<Objects, Failure> {
        let spec = self.declared(name)?;
        let lock = self.charts.today.lock.as_ref();
        let found = obtain(&self.files, spec, lock, Ask::Missing).await?;
        match found {
            Some(chart) => self.rendered(&chart, Some(spec)).await,
            None => {
                let chart = vendored(self.charts, spec).await?;
                self.rendered(&chart, Some(spec)).await
            }
        }
    }

    fn declared(&self, name: &str) -> Result<&ChartSpec, Failure> {
        self.charts.today(name, self.args.zone.as_ref())
    }

    /// The declaration by which an archive is rendered: the one that is named, or the one of that chart.
    fn as_declared(&self, chart: &Chart) -> Result<Option<&ChartSpec>, Failure> {
        if let Some(name) = &self.args.chart {
            return self.declared(name).map(Some);
        }
        let lock = self.charts.today.lock.as_ref();
        let locked = lock.and_then(|l| l.charts.iter().find(|c| c.chart == chart.archive.name));
        Ok(locked.and_then(|c| self.declared(&c.name).ok()))
    }

    async fn rendered(&self, chart: &Chart, spec: Option<&ChartSpec>) -> Result<Objects, Failure> {
        let inputs = match spec {
            Some(spec) => Inputs::from(spec),
            None => Inputs {
                release: chart.archive.name.clone(),
                namespace: "default".to_owned(),
                kube_version: None,
                api_versions: Vec::new(),
                values: Json::Object(serde_json::Map::new()),
            },
        };
        // Objects are compared, and hooks are none here.
        let hooks = Hooks::Drop;
        let helm = Helm::find().await?;
        let made = Made::by(&helm, &chart.archive, &chart.bytes, &inputs, hooks).await?;
        Ok(made.objects)
    }

    /// What is vendored for it: whether it still fits the spec does not matter here.
    fn locked(&self, spec: &ChartSpec) -> Result<Objects, Failure> {
        let lock = self.charts.today.lock.as_ref();
        let all = lock.into_iter().flat_map(|l| &l.charts);
        let mut of_zone = all
            .filter(|c| c.name == spec.address.name.as_str())
            .flat_map(|c| &c.renderings)
            .filter(|r| r.zone == spec.address.zone);
        let exact = lock.and_then(|l| {
            let (chart, rendering) = l.find(spec).ok()?;
            l.charts.get(chart)?.renderings.get(rendering)
        });
        let Some(found) = exact.or_else(|| of_zone.next()) else {
            let name = &spec.address.name;
            return Err(Failure::error(format!("the chart `{name}` is not locked"))
                .code(Code::NoChart)
                .help(format!("`zonewright charts lock {name}` locks it")));
        };
        self.read(&found.file)
    }

    fn read(&self, path: &str) -> Result<Objects, Failure> {
        let refused = |why: String| {
            Failure::error(format!("`{path}` is no rendering: {why}"))
                .code(Code::ChartRender)
                .help("paths are relative to the directory of zonewright.toml")
        };
        let bytes = self.files.read(path).map_err(|e| refused(e.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|e| refused(e.to_string()))?;
        let mut documents = rendered(&text).map_err(refused)?;
        documents.retain(|d| d.hooks.is_empty());
        Ok(objects(&documents))
    }
}

/// The objects that differ, each as a plan would show it.
fn compare(
    registry: &Registry,
    old: &Objects,
    new: &Objects,
) -> Result<BTreeMap<String, ObjectChange>, Failure> {
    let provider = registry.provider("kubernetes");
    let kind = provider.and_then(|p| p.kinds.iter().find(|k| k.is_object()));
    let (Some(provider), Some(kind)) = (provider, kind) else {
        return Err(Failure::error("no provider knows Kubernetes objects"));
    };
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut out = BTreeMap::new();
    for key in keys {
        let change = match (old.get(key), new.get(key)) {
            (None, _) => ObjectChange::Added,
            (_, None) => ObjectChange::Removed,
            (Some(old), Some(new)) => {
                let secret = new["kind"] == "Secret";
                let old = Value::from_plain_json(old.clone());
                let new = Value::from_plain_json(new.clone());
                let found = diff(kind, provider.objects.as_ref(), &new, &old, Some(&old));
                if found.is_empty() {
                    continue;
                }
                let attrs = found.into_iter().map(|d| AttrChange {
                    path: d.path,
                    before: d.before.map(|v| veiled(v, secret)),
                    after: d.after.map(|v| veiled(v, secret)),
                    replaces: d.replaces,
                    declared: None,
                });
                ObjectChange::Changed(attrs.collect())
            }
        };
        out.insert(key.clone(), change);
    }
    Ok(out)
}

/// What stands in a Secret is shown nowhere, wherever it came from.
fn veiled(value: Value, secret: bool) -> Value {
    match secret {
        true => Value::text("(not shown)"),
        false => value,
    }
}
