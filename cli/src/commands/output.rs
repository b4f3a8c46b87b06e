//! `zonewright output`: what resources put out, as recorded. Secrets stay references.

use serde_json::{Map, Value as Json};
use zonewright_engine::address::{Address, AttrPath};
use zonewright_engine::expr::Reference;
use zonewright_engine::observe::{live_value, recorded_live};
use zonewright_engine::snapshot::{Record, State};
use zonewright_engine::value::Value;

use super::state::Recorded;
use crate::Context;
use crate::args::{Format, OutputArgs};
use crate::exit::Exit;
use crate::render::text::escape;
use crate::render::value;
use crate::report::Failure;

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: &OutputArgs) -> Result<Exit, Failure> {
    let state = Recorded::open(ctx).await?.state;
    let Some(what) = &args.what else {
        everything(ctx, &state, args.format);
        return Ok(Exit::DONE);
    };
    let (address, path) = target(what)?;
    let record = state.record(&address).ok_or_else(|| {
        Failure::error(format!("{address} is not recorded"))
            .help("`zonewright state list` shows what is")
    })?;
    if path.is_empty() && !what.ends_with(".id") {
        one(ctx, record, args.format);
        return Ok(Exit::DONE);
    }
    let found = live_value(&recorded_live(record), &path)
        .ok_or_else(|| Failure::error(format!("{address} has no `{path}`")))?;
    match (args.format, &found) {
        (Format::Json, _) => ctx.term.pretty(&found.to_json()),
        // As it is, for scripts: `$(zonewright output …)`.
        (Format::Text, Value::String(text)) => ctx.term.data(&format!("{text}\n")),
        (Format::Text, _) => ctx.term.data(&format!("{}\n", value::value(&found))),
    }
    Ok(Exit::DONE)
}

fn target(what: &str) -> Result<(Address, AttrPath), Failure> {
    let reference: Reference = what
        .parse()
        .map_err(|e| Failure::error(format!("`{what}` is no address")).because(e))?;
    match reference {
        Reference::Resource { address, path } => Ok((address, path)),
        Reference::Secret(_) => Err(Failure::error("secrets are never printed")),
    }
}

fn entries(record: &Record) -> Vec<(String, Value)> {
    let mut out = vec![("id".to_owned(), Value::text(record.id.clone()))];
    if let Value::Map(map) = &record.outputs {
        let others = map.iter().filter(|(k, _)| *k != "id");
        out.extend(others.map(|(k, v)| (k.to_string(), v.clone())));
    }
    out
}

fn as_json(record: &Record) -> Json {
    let map: Map<String, Json> = entries(record)
        .into_iter()
        .map(|(k, v)| (k, v.to_json()))
        .collect();
    Json::Object(map)
}

fn one(ctx: &Context, record: &Record, format: Format) {
    match format {
        Format::Json => ctx.term.pretty(&as_json(record)),
        Format::Text => {
            for (key, found) in entries(record) {
                let line = format!("{} = {}\n", escape(&key), value::value(&found));
                ctx.term.data(&line);
            }
        }
    }
}

fn everything(ctx: &Context, state: &State, format: Format) {
    match format {
        Format::Json => {
            let all: Map<String, Json> = state
                .records()
                .map(|r| (r.address.to_string(), as_json(r)))
                .collect();
            ctx.term.pretty(&Json::Object(all));
        }
        Format::Text => {
            for record in state.records() {
                for (key, found) in entries(record) {
                    let name = format!("{}.{key}", record.address);
                    let line = format!("{} = {}\n", escape(&name), value::value(&found));
                    ctx.term.data(&line);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_resource_or_one_attribute_of_it() {
        let (address, path) = target("bz/digitalocean.vpc.main.ip_range").unwrap();
        assert_eq!(address.to_string(), "bz/digitalocean.vpc.main");
        assert_eq!(path.to_string(), "ip_range");
        assert!(target("secret.token").is_err());
        assert!(target("nonsense").is_err());
    }
}
