//! `zonewright orphans`: what carries our mark and is in no record. Takes no lock and changes nothing.

use zonewright_engine::address::InstanceId;
use zonewright_engine::cost::PriceLists;
use zonewright_engine::orphans::{Case, orphans, search};
use zonewright_engine::plan::Options;
use zonewright_engine::provider::{ErrorClass, ProviderError};

use crate::Context;
use crate::args::{Format, OrphansArgs};
use crate::exit::Exit;
use crate::render;
use crate::report::Failure;
use crate::stage::Stage;

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: OrphansArgs) -> Result<Exit, Failure> {
    let stage = Stage::open(ctx).await?;
    let (inputs, seen) = stage.look(stage.read()?, Options::default()).await?;
    let search = search(&inputs);
    let mut found = Vec::new();
    let mut unasked: Vec<(InstanceId, ProviderError)> = seen
        .unopened
        .iter()
        .map(|(id, error)| (id.clone(), error.clone()))
        .collect();
    for id in inputs.config.instances.keys() {
        let Some(session) = stage.sessions.get(id) else {
            // A cluster that is gone holds nothing; one that was not opened may.
            if !seen.absent.contains(id) && !seen.unopened.contains_key(id) {
                let why = "nothing of the spec or the state leads there";
                unasked.push((id.clone(), ProviderError::new(ErrorClass::Unreachable, why)));
            }
            continue;
        };
        match session.owned(&search).await {
            Ok(owned) => found.extend(owned),
            Err(error) => unasked.push((id.clone(), error)),
        }
    }
    let orphans = orphans(&inputs, found);
    let prices = PriceLists::tables(&inputs.registry);
    match args.format {
        Format::Json => ctx
            .term
            .pretty(&render::orphans::json(&orphans, &unasked, &prices)),
        Format::Text => ctx
            .term
            .prose(&render::orphans::text(&orphans, &unasked, &prices)),
    }
    Ok(if orphans.iter().any(|o| o.case != Case::Adoptable) {
        Exit::IN_DOUBT
    } else if unasked.is_empty() {
        Exit::DONE
    } else {
        Exit::ERROR
    })
}
