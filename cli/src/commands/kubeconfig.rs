//! `zonewright kubeconfig`: the kubeconfig of a zone's cluster, fetched from the vendor. It holds a
//! credential: nothing of ours keeps it.

use zonewright_engine::address::ZoneName;
use zonewright_engine::expr::{Lookup, Reference};
use zonewright_engine::observe::{Inputs, live_value, recorded_live};
use zonewright_engine::plan::{Options, Refresh};
use zonewright_engine::provider::ErrorClass;
use zonewright_engine::secret::{Purpose, Secret};
use zonewright_engine::snapshot::Record;
use zonewright_engine::value::Value;

use crate::args::KubeconfigArgs;
use crate::exit::Exit;
use crate::project::write_private;
use crate::report::Failure;
use crate::stage::Stage;
use crate::{Context, probes};

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: &KubeconfigArgs) -> Result<Exit, Failure> {
    let stage = Stage::open(ctx).await?;
    stage.check_zones(std::slice::from_ref(&args.zone))?;
    let options = Options {
        zones: vec![args.zone.clone()],
        refresh: Refresh::None,
        ..Options::default()
    };
    let inputs = stage.inputs(stage.read()?, options)?;
    let cluster = cluster(&inputs, &args.zone)?;
    let config = fetch(&stage, &inputs, cluster).await?;
    check_identity(ctx, &stage, &inputs, &args.zone).await?;
    let text = config
        .expose(Purpose::UserFile)
        .ok_or_else(|| Failure::error(format!("{} gave no kubeconfig", cluster.address)))?;
    match &args.out {
        Some(path) => {
            write_private(path, text.as_bytes())?;
            ctx.term
                .say(&format!("Wrote {} (mode 0600).", path.display()));
        }
        None => ctx.term.data(text),
    }
    if ctx.global.sandbox.is_some() {
        let serve = ctx.command(&["sandbox".to_owned(), "serve".to_owned()]);
        ctx.term.say(&format!(
            "note: the sandbox ends after a minute without requests; `{serve}` keeps it up"
        ));
    }
    Ok(Exit::DONE)
}

/// Credentials that lead into another zone's cluster are not given out. A cluster that does not answer
/// cannot be asked, and its kubeconfig may be wanted for that very reason.
async fn check_identity(
    ctx: &Context,
    stage: &Stage,
    inputs: &Inputs,
    zone: &ZoneName,
) -> Result<(), Failure> {
    match probes::open_cluster(stage, inputs, zone).await {
        Ok(_) => Ok(()),
        Err(source) if source.class == ErrorClass::WrongCluster => {
            Err(probes::unusable(stage, inputs, zone, source))
        }
        Err(error) => {
            ctx.term.say(&format!(
                "note: which cluster it is was not compared: {error}"
            ));
            Ok(())
        }
    }
}

/// The cluster that the zone's Kubernetes provider lives in, as recorded.
fn cluster<'a>(inputs: &'a Inputs, zone: &ZoneName) -> Result<&'a Record, Failure> {
    let container = inputs
        .config
        .instances
        .values()
        .filter(|i| i.id.zone == *zone && i.id.provider == "kubernetes")
        .find_map(|i| i.container.as_ref())
        .ok_or_else(|| Failure::error(format!("zone {zone} has no Kubernetes provider")))?;
    inputs.state.record(container).ok_or_else(|| {
        Failure::error(format!("{container} is not made yet"))
            .help(format!("run `zonewright apply --zone {zone}` first"))
    })
}

async fn fetch(stage: &Stage, inputs: &Inputs, cluster: &Record) -> Result<Secret, Failure> {
    let id = &cluster.instance;
    let instance = inputs
        .instance(id)
        .ok_or_else(|| Failure::error(format!("{id} is not configured any more")))?;
    let config: Value = instance.config.eval(&|r: &Reference| lookup(inputs, r));
    let session = stage.sessions.open(inputs, id, &config, None).await?;
    let output = "kubeconfig";
    Ok(session
        .ephemeral(cluster.kind(), &cluster.id, output)
        .await?)
}

fn lookup(inputs: &Inputs, reference: &Reference) -> Lookup {
    let found = match reference {
        Reference::Secret(name) => inputs.secrets.get(name).cloned().map(Value::Secret),
        Reference::Resource { address, path } => inputs
            .state
            .record(address)
            .and_then(|r| live_value(&recorded_live(r), path)),
    };
    match found {
        Some(value) => Lookup::Known(value),
        None => Lookup::Later { secret: false },
    }
}
