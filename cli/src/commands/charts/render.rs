//! `zonewright charts render`: what helm makes of a vendored chart with the spec as it is.

use serde_json::json;
use zonewright_engine::canon::Digest;
use zonewright_zones::{ChartSpec, DiskFiles};

use crate::Context;
use crate::args::{ChartsRenderArgs, Format};
use crate::charts::helm::{Helm, Inputs};
use crate::charts::rendering::{Made, images_json};
use crate::charts::vendored::{Ask, Chart, obtain};
use crate::charts::wanted::Charts;
use crate::exit::Exit;
use crate::render::charts as show;
use crate::report::Failure;
use crate::report::code::Code;
use crate::world;

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: &ChartsRenderArgs) -> Result<Exit, Failure> {
    let charts = Charts::read(ctx, &world::registry()?)?;
    let spec = charts.today(&args.name, args.zone.as_ref())?;
    let chart = vendored(&charts, spec).await?;
    let helm = Helm::find().await?;
    let made = Made::by(
        &helm,
        &chart.archive,
        &chart.bytes,
        &Inputs::from(spec),
        spec.hooks,
    )
    .await?;
    for remark in made.remarks() {
        ctx.term.say(&format!("note: {remark}"));
    }
    let images = made.images();
    match (args.format, args.images) {
        (Format::Text, true) => ctx
            .term
            .data(&show::images_text(&images, ctx.term.out_paint())),
        (Format::Text, false) => ctx.term.data(&made.text),
        (Format::Json, _) => ctx.term.pretty(&json!({
            "format_version": 1,
            "name": args.name,
            "zone": spec.address.zone,
            "chart": chart.archive.name,
            "version": chart.archive.version,
            "helm": helm.version,
            "digest": Digest::of(made.text.as_bytes()),
            "objects": made.objects,
            "images": images_json(&images),
            "notes": made.remarks(),
        })),
    }
    Ok(Exit::DONE)
}

/// The chart of a spec, without asking anybody.
pub(super) async fn vendored(charts: &Charts, spec: &ChartSpec) -> Result<Chart, Failure> {
    let files = DiskFiles::new(charts.project.root());
    let found = obtain(&files, spec, charts.today.lock.as_ref(), Ask::Never).await?;
    found.ok_or_else(|| {
        let name = &spec.address.name;
        Failure::error(format!(
            "the chart `{name}` is not vendored as the spec has it"
        ))
        .code(Code::ChartSource)
        .help(format!("`zonewright charts lock {name}` gets it"))
    })
}
