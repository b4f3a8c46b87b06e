//! `zonewright restore`: what comes before and after a restore. `restore plan` says which backup a restore would take, and what would be made of it. Reads the
//! vendor's lists and changes nothing.

use std::time::Duration;

use zonewright_engine::address::ZoneName;
use zonewright_engine::expr::Reference;
use zonewright_engine::observe::{Inputs, Observations, ObserveError, lookup_seen};
use zonewright_engine::provider::{ErrorClass, ProviderError};
use zonewright_engine::restore::{Blocked, Order, Resolved, order, resolve, zones};

use crate::Context;
use crate::args::restore::choice;
use crate::args::{Format, RestoreCommand, RestorePlanArgs};
use crate::exit::Exit;
use crate::proofs;
use crate::render::restore::{json, text};
use crate::report::Failure;
use crate::report::code::Code;
use crate::stage::Stage;

mod finish;

/// Time for the vendor's lists.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the command.
pub(crate) async fn run(ctx: &Context, command: RestoreCommand) -> Result<Exit, Failure> {
    match command {
        RestoreCommand::Plan(args) => plan(ctx, args).await,
        RestoreCommand::Finish(args) => finish::run(ctx, args).await,
    }
}

async fn plan(ctx: &Context, args: RestorePlanArgs) -> Result<Exit, Failure> {
    let stage = Stage::open(ctx).await?;
    let inputs = inputs(&stage)?;
    let zone = zone(&stage, &inputs, args.zone)?;
    let mut order = order(&inputs, &zone).map_err(blocked)?;
    if let Some(backup) = args.backup {
        order.backup = backup;
    }
    let found = tokio::time::timeout(PATIENCE, look(&stage, &inputs, &order)).await;
    let resolved = found.unwrap_or_else(|_| {
        let message = "the vendor did not list the backups in time";
        Err(ProviderError::new(ErrorClass::Unreachable, message).into())
    })?;
    match args.format {
        Format::Text => ctx.term.prose(&text(&resolved, ctx.term.out_paint())),
        Format::Json => ctx.term.pretty(&json(&resolved)),
    }
    Ok(Exit::DONE)
}

/// What a restore starts from: only the credentials of the cloud are read.
fn inputs(stage: &Stage) -> Result<Inputs, Failure> {
    let state = stage.read()?;
    let decisions = stage
        .config
        .zones
        .values()
        .filter_map(|z| z.database.as_ref());
    let sources = decisions.filter_map(|d| Some(&d.restore.as_ref()?.source));
    let mut ids: Vec<_> = sources
        .filter_map(|source| {
            let recorded = state.record(source).map(|r| &r.instance);
            let declared = stage.config.resources.get(source).map(|r| &r.instance);
            recorded.or(declared).cloned()
        })
        .collect();
    ids.sort();
    ids.dedup();
    stage.inputs_of(state, &ids)
}

/// The zone that is named, or the only one that can be meant.
fn zone(stage: &Stage, inputs: &Inputs, named: Option<ZoneName>) -> Result<ZoneName, Failure> {
    if let Some(zone) = named {
        stage.check_zones(std::slice::from_ref(&zone))?;
        return Ok(zone);
    }
    match &zones(inputs)[..] {
        [zone] => Ok(zone.clone()),
        [] => {
            let message = "no zone gets its data by a restore";
            Err(Failure::error(message)
                .code(Code::NothingRestored)
                .help("`[database] strategy = \"restore\"` is for zones that get a backup"))
        }
        several => {
            let names: Vec<&str> = several.iter().map(ZoneName::as_str).collect();
            let message = format!("{} zones are restored", several.len());
            Err(Failure::error(message).help(format!("say which: --zone {}", names.join("|"))))
        }
    }
}

async fn look(stage: &Stage, inputs: &Inputs, order: &Order) -> Result<Resolved, Failure> {
    let choice = choice(&order.backup)
        .ok_or_else(|| Failure::error(format!("`{}` is no timestamp of a backup", order.backup)))?;
    let unrecorded = || {
        blocked(Blocked::Unrecorded {
            source_cluster: order.source.clone(),
        })
    };
    let instance = inputs.instance_of(&order.source).ok_or_else(unrecorded)?;
    let nothing = Observations::default();
    let scope = |r: &Reference| lookup_seen(inputs, &nothing, r);
    let found = inputs.instance(&instance).ok_or_else(unrecorded)?;
    let lists = stage.world.lists(&found.config.eval(&scope))?;
    let asked = async {
        let clusters = lists.databases().await?;
        // One that is gone has none; the list of clusters says which of the two it is.
        let backups = match order.known.find(&clusters) {
            Some(cluster) => lists.backups(&cluster.id).await?,
            None => None,
        };
        let backups = backups.unwrap_or_default();
        Ok((clusters, backups))
    };
    let (clusters, backups) = asked
        .await
        .map_err(|source| stage.unusable(ObserveError { instance, source }))?;
    resolve(order, &choice, (&clusters, &backups), proofs::now()).map_err(blocked)
}

/// What the spec lacks is an error; what is not there refuses.
fn blocked(error: Blocked) -> Failure {
    let exit = if error.is_of_the_spec() {
        Exit::ERROR
    } else {
        Exit::REFUSED
    };
    Failure::new(exit, error.to_string())
        .code(Code::from(&error))
        .help(error.help())
}
