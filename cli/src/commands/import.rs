//! `zonewright import`: takes something that exists under management. What the spec does not have is written
//! into it as it is live, so that the next plan is empty.

use std::collections::BTreeMap;

use zonewright_engine::absorb::own_file;
use zonewright_engine::address::{Address, InstanceId, ZoneName};
use zonewright_engine::config::Config;
use zonewright_engine::import::{Said, described, import};
use zonewright_engine::observe::Inputs;
use zonewright_engine::plan::Options;
use zonewright_engine::provider::{Live, Observed};
use zonewright_engine::schema::{KindSchema, Type};
use zonewright_engine::snapshot::{Record, State};
use zonewright_engine::value::Value;
use zonewright_state::Writer;
use zonewright_zones::{Written, add_resource, suggest};

use crate::Context;
use crate::args::ImportArgs;
use crate::exit::Exit;
use crate::project::Edit;
use crate::report::Failure;
use crate::stage::Stage;
use crate::taking::{self, Approval, Taking};

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: &ImportArgs) -> Result<Exit, Failure> {
    let stage = Stage::open(ctx).await?;
    let options = Options {
        zones: vec![args.address.zone.clone()],
        ..Options::default()
    };
    stage.check_zones(&options.zones)?;
    let import = Import {
        ctx,
        stage: &stage,
        args,
        options: &options,
    };
    let work = async |writer: &Writer, state| import.under_lock(writer, state).await;
    let timeout = args.edit.lock_timeout;
    let exit = stage.locked(&options, "import", timeout, work).await?;
    if exit == Exit::DONE && !args.edit.approval.dry_run {
        ctx.term.say(&format!(
            "{} is managed from now on; `{}` shows what differs from the spec.",
            args.address,
            ctx.command(&["plan".to_owned()])
        ));
    }
    Ok(exit)
}

struct Import<'a> {
    ctx: &'a Context,
    stage: &'a Stage,
    args: &'a ImportArgs,
    options: &'a Options,
}

impl Import<'_> {
    async fn under_lock(&self, writer: &Writer, mut state: State) -> Result<Exit, Failure> {
        let address = &self.args.address;
        if !self.stage.config.resources.contains_key(address) {
            return self.declared(writer, state).await;
        }
        if let Some((key, _)) = self.args.set.first() {
            let message = format!("{address} is in the spec: `{key}` is said there");
            return Err(Failure::error(message).help("leave --set out"));
        }
        let (inputs, seen) = self.stage.look(state.clone(), self.options.clone()).await?;
        let record = import(&inputs, &seen, address, &self.args.id)
            .map_err(|e| Failure::error(e.to_string()))?;
        if let Some(Observed::Foreign(live) | Observed::Present(live)) = seen.seen.get(address) {
            self.check_mark(&inputs, live)?;
        }
        if self.args.absorb {
            state.assume(record);
            let about = std::slice::from_ref(address);
            let options = self.options.clone();
            let planned = self.stage.plan_about(state.clone(), options, about).await?;
            let absorbed = taking::wanted(&planned, about)?;
            let edits = taking::edits(self.stage.project(), &absorbed)?;
            return self.taken(edits, None).run(writer, state).await;
        }
        if self.args.edit.approval.dry_run {
            self.ctx
                .term
                .say(&format!("{address} would be managed from then on."));
            return Ok(Exit::DONE);
        }
        self.stage.record_identities(writer)?;
        taking::put_down(writer, record)?;
        Ok(Exit::DONE)
    }

    fn taken<'a>(&'a self, edits: Vec<Edit>, import: Option<&'a str>) -> Taking<'a> {
        let approval = &self.args.edit.approval;
        Taking {
            ctx: self.ctx,
            stage: self.stage,
            options: self.options,
            addresses: vec![self.args.address.clone()],
            taken: Vec::new(),
            edits,
            import,
            approval: Approval {
                dry_run: approval.dry_run,
                auto_approve: approval.auto_approve,
            },
        }
    }

    /// What the spec does not have is read by its id, and written into it.
    async fn declared(&self, writer: &Writer, state: State) -> Result<Exit, Failure> {
        let ImportArgs { address, id, .. } = self.args;
        let schema = self.kind()?;
        let said = self.said(&state, schema).await?;
        let missing = schema.attrs.iter().find(|a| {
            let is_said = said.iter().any(|(key, _)| key == a.name);
            a.required && !is_said
        });
        if let Some(attr) = missing {
            let message = format!("the vendor does not tell `{}` of {address}", attr.name);
            let help = format!(
                "give it with --set {}=VALUE, as the spec shall say it",
                attr.name
            );
            return Err(Failure::error(message).help(help));
        }
        let edit = self
            .stage
            .project()
            .edit(own_file(address), |text| add_resource(text, address, &said))?;
        self.taken(vec![edit], Some(id)).run(writer, state).await
    }

    /// What carries the mark of another project, or of another resource, is managed there.
    fn check_mark(&self, inputs: &Inputs, live: &Live) -> Result<(), Failure> {
        let address = &self.args.address;
        let own = inputs.marker(address).stem();
        let others = live.mark.text().filter(|mark| !mark.starts_with(&own));
        let Some(mark) = others.filter(|_| !self.args.marked) else {
            return Ok(());
        };
        let message = format!(
            "what has the id {} carries the mark {mark} of another project or address",
            self.args.id
        );
        Err(Failure::error(message).help("give --marked once it is not managed there any more"))
    }

    fn kind(&self) -> Result<&KindSchema, Failure> {
        let address = &self.args.address;
        let registry = &self.stage.registry;
        let Some(schema) = registry.kind(&address.kind) else {
            let kinds: Vec<String> = registry.kinds().map(|k| k.kind.to_string()).collect();
            return Err(unknown(
                format!("there is no kind `{}`", address.kind),
                &address.kind.to_string(),
                kinds.iter().map(String::as_str),
            ));
        };
        if schema.is_object() {
            let message = format!("{address} is not in the spec");
            return Err(Failure::error(message).help(
                "save the object with `kubectl get -o yaml`, declare the file as a kubernetes.manifest, then `zonewright adopt`",
            ));
        }
        Ok(schema)
    }

    /// All that the spec shall say: what is live, and instead of it what is set.
    async fn said(
        &self,
        state: &State,
        schema: &KindSchema,
    ) -> Result<Vec<(String, Written)>, Failure> {
        let ImportArgs { address, id, .. } = self.args;
        let other = |(key, _): &&(String, String)| schema.attr(key).is_none();
        if let Some((key, _)) = self.args.set.iter().find(other) {
            return Err(unknown(
                format!("`{}` has no attribute `{key}`", address.kind),
                key,
                schema.attrs.iter().map(|a| a.name),
            ));
        }
        let instance = instance_for(&self.stage.config, address).ok_or_else(|| {
            let provider = address.kind.provider();
            Failure::error(format!(
                "no `[providers.{provider}]` is there for {address}"
            ))
        })?;
        let plain = self.args.set.iter().filter(|(_, v)| !v.contains("${"));
        let known = plain.map(|(k, v)| (k.clone(), Value::text(v.clone())));
        let mut stubbed = state.clone();
        // All that is known is its id and, perhaps, what it is in.
        stubbed.assume(Record {
            inputs: Value::Map(known.collect()),
            ..Record::new(address.clone(), instance, id)
        });
        let (inputs, seen) = self.stage.look(stubbed, self.options.clone()).await?;
        let live = match seen.seen.get(address) {
            Some(Observed::Present(live)) if live.id == *id => live,
            Some(Observed::Unreadable(error)) => {
                let message = format!("{address} could not be read: {}", error.message);
                return Err(Failure::error(message));
            }
            _ => {
                let message = format!("nothing at the vendor has the id {id}");
                let help = format!(
                    "look at the id again; where it lies in something, name that: {}",
                    schema
                        .identity
                        .iter()
                        .map(|k| format!("--set {k}=…"))
                        .collect::<Vec<_>>()
                        .join(" ")
                );
                return Err(Failure::error(message).help(help));
            }
        };
        self.check_mark(&inputs, live)?;
        let mut said: BTreeMap<String, Written> = BTreeMap::new();
        for (key, value) in described(&inputs, address, live) {
            let written = match value {
                Said::Plain(value) => Written::Plain(value.to_json()),
                Said::IdOf(other) => Written::Text(format!("${{{}.id}}", within(&other, address))),
            };
            said.insert(key.to_owned(), written);
        }
        let set = self.args.set.iter();
        said.extend(set.map(|(k, v)| (k.clone(), set_to(schema, k, v))));
        // In the order of the schema, which is that of the documentation.
        let ordered = schema.attrs.iter();
        Ok(ordered.filter_map(|a| said.remove_entry(a.name)).collect())
    }
}

/// An error about a name that does not exist, with the nearest one that does.
fn unknown<'n>(message: String, name: &str, names: impl Iterator<Item = &'n str>) -> Failure {
    let failure = Failure::error(message);
    match suggest::help(name, names) {
        Some(help) => failure.help(help),
        None => failure,
    }
}

/// What an attribute is set to: text where the kind wants text, else a value as TOML writes it.
fn set_to(schema: &KindSchema, key: &str, value: &str) -> Written {
    let texts = [Type::String, Type::Cidr, Type::Duration];
    let is_text = schema
        .attr(key)
        .is_some_and(|a| texts.contains(&a.ty) || matches!(a.ty, Type::OneOf(_)));
    match is_text || value.contains("${") {
        true => Written::Text(value.to_owned()),
        false => Written::Toml(value.to_owned()),
    }
}

/// The provider that manages a kind in a zone: the zone's own, else the one of the root file.
fn instance_for(config: &Config, address: &Address) -> Option<InstanceId> {
    let of = |zone: &ZoneName| InstanceId {
        zone: zone.clone(),
        provider: address.kind.provider().into(),
    };
    let mut both = [of(&address.zone), of(&ZoneName::edge())].into_iter();
    both.find(|i| config.instances.contains_key(i))
}

/// A reference to a resource as the file of another one says it.
fn within(other: &Address, from: &Address) -> String {
    match other.zone == from.zone {
        true => format!("{}.{}", other.kind, other.name),
        false => other.to_string(),
    }
}
