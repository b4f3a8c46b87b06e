//! Everything that planning, applying and looking for drift start from: the spec, the state, the
//! providers and the secrets of one project in one world.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zonewright_engine::address::{Address, InstanceId, ZoneName};
use zonewright_engine::config::Config;
use zonewright_engine::cost::{ByMode, PriceLists};
use zonewright_engine::journal::Holder;
use zonewright_engine::observe::{
    Inputs, Observations, ObserveError, OnWait, Sessions, observe, try_all,
};
use zonewright_engine::plan::build::{PlanError, plan, plan_about};
use zonewright_engine::plan::{Options, Plan, Refresh, moves};
use zonewright_engine::provider::{ErrorClass, Observed, ProviderError};
use zonewright_engine::schema::Registry;
use zonewright_engine::secret::{DigestKey, Secret};
use zonewright_engine::snapshot::State;
use zonewright_engine::unread::{Blind, blind, unread};
use zonewright_state::{Loaded, OsRng, StateHome, Writer, digest_key};
use zonewright_zones::{ChartSpec, Facts};

use crate::project::{Edit, Project};
use crate::report::Failure;
use crate::secrets::{self, Sources};
use crate::term::Term;
use crate::world::World;
use crate::{Context, env, home, modes, place, proven, sealed, world, writable};

/// How long a vendor may take to tell prices.
const PRICE_PATIENCE: Duration = Duration::from_secs(5);

/// A project in a world, ready for requests.
#[derive(Debug)]
pub(crate) struct Stage {
    ctx: Context,
    project: Project,
    pub(crate) world: World,
    pub(crate) config: Config,
    pub(crate) registry: Registry,
    pub(crate) sessions: Sessions,
    pub(crate) home: StateHome,
    /// Where a change of the state is written on this host.
    written: Vec<PathBuf>,
    key: Option<Arc<DigestKey>>,
}

/// A plan and what it was made from.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) inputs: Inputs,
    pub(crate) seen: Observations,
    pub(crate) plan: Plan,
    /// Why it is no plan to approve.
    pub(crate) blind: Option<Blind>,
    pub(crate) prices: PriceLists,
}

impl Stage {
    /// Reads the spec and opens the world.
    pub(crate) async fn open(ctx: &Context) -> Result<Stage, Failure> {
        Stage::of(ctx, Project::find(ctx)?).await
    }

    /// The same for a project that is at hand.
    pub(crate) async fn of(ctx: &Context, project: Project) -> Result<Stage, Failure> {
        let registry = world::registry()?;
        let (config, facts) = project.config(ctx, &registry)?;
        let world = World::open(ctx, &project).await?;
        let home = home::open(&project, &world, &facts.state, ctx.term)?;
        let written = home::written(&project, &world, &facts.state);
        let key = key(&project, &world, &facts)?;
        let sessions = Sessions::new(world.providers()?).telling(waiting(ctx.term));
        Ok(Stage {
            ctx: ctx.clone(),
            project,
            world,
            config,
            registry,
            sessions,
            home,
            written,
            key,
        })
    }

    /// A plan as it is saved.
    pub(crate) fn saved(&self, plan: &Plan) -> Vec<u8> {
        sealed::plan(self.home.seal(), &plan.base.lineage, &plan.bytes())
    }

    /// Writes an edit of the spec.
    pub(crate) fn write(&self, edit: &Edit) -> Result<(), Failure> {
        self.project.write(edit)
    }

    /// The project.
    pub(crate) fn project(&self) -> &Project {
        &self.project
    }

    /// The declared charts.
    pub(crate) fn charts(&self) -> Vec<ChartSpec> {
        let sandbox = self.ctx.global.sandbox.is_some();
        self.project.load(&self.registry, sandbox).charts
    }

    /// The name of the world.
    pub(crate) fn world_name(&self) -> String {
        self.world.name().unwrap_or_default()
    }

    /// Every shard: those of the spec, and those that have files.
    pub(crate) fn shards(&self) -> Result<Vec<ZoneName>, Failure> {
        let mut out: BTreeSet<ZoneName> = self.home.shards()?;
        out.extend(self.config.zones.keys().cloned());
        out.insert(ZoneName::edge());
        Ok(out.into_iter().collect())
    }

    /// Zones that are named must exist.
    pub(crate) fn check_zones(&self, zones: &[ZoneName]) -> Result<(), Failure> {
        let shards = self.shards()?;
        for zone in zones {
            if !shards.contains(zone) {
                return Err(Failure::no_zone(zone, &shards));
            }
        }
        Ok(())
    }

    /// Reads the whole state, without a lock.
    pub(crate) fn read(&self) -> Result<State, Failure> {
        self.read_others(&State::default())
    }

    /// Reads the shards that are not at hand.
    pub(crate) fn read_others(&self, held: &State) -> Result<State, Failure> {
        let loaded = self.load(held)?;
        for notice in &loaded.notices {
            self.ctx.term.say(&format!("note: {notice}"));
        }
        Ok(loaded.state)
    }

    /// Reads the shards that are not at hand, and says nothing.
    pub(crate) fn load(&self, held: &State) -> Result<Loaded, Failure> {
        let mut shards = self.shards()?;
        shards.retain(|s| !held.shards.contains_key(s));
        let loaded = self.home.read(&shards)?;
        place::refuse_own(&self.home.place(), &loaded.state)?;
        Ok(loaded)
    }

    /// Takes the shards of a selection for writing; `edge` is always among them.
    pub(crate) fn acquire(
        &self,
        options: &Options,
        command: &str,
        timeout: Duration,
    ) -> Result<Writer, Failure> {
        for dir in &self.written {
            writable::check(dir)?;
        }
        let mut shards = self.shards()?;
        shards.retain(|s| options.selects(s) || s.is_edge());
        proven::check(&self.home, &self.private()?)?;
        let writer = self.home.acquire(&shards, &holder(command), timeout)?;
        for notice in writer.notices() {
            self.ctx.term.say(&format!("note: {notice}"));
        }
        Ok(writer)
    }

    /// The held shards as they are under the lock, the others as they were read.
    pub(crate) fn whole_state(&self, writer: &Writer) -> Result<State, Failure> {
        let held = writer.state();
        let mut state = self.read_others(&held)?;
        state.shards.extend(held.shards);
        Ok(state)
    }

    /// Works under the lock of a selection, with the whole state. Of two failures the work's is told: what
    /// was durable then still is.
    pub(crate) async fn locked<T>(
        &self,
        options: &Options,
        command: &str,
        timeout: Duration,
        work: impl AsyncFnOnce(&Writer, State) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let writer = self.acquire(options, command, timeout)?;
        let done = match self.whole_state(&writer) {
            Ok(state) => work(&writer, state).await,
            Err(failure) => Err(failure),
        };
        let released = writer.release();
        let done = done?;
        released?;
        Ok(done)
    }

    /// Records into which clusters the open sessions lead, where that is new.
    pub(crate) fn record_identities(&self, writer: &Writer) -> Result<(), Failure> {
        for (shard, entry) in self.sessions.new_identities(&writer.state()) {
            writer.append_now(&shard, vec![entry])?;
        }
        Ok(())
    }

    /// Looks at the world.
    pub(crate) async fn look(
        &self,
        state: State,
        options: Options,
    ) -> Result<(Inputs, Observations), Failure> {
        self.see(self.inputs(state, options)?).await
    }

    async fn see(&self, inputs: Inputs) -> Result<(Inputs, Observations), Failure> {
        let seen = observe(&inputs, &self.sessions)
            .await
            .map_err(|e| self.unusable(e))?;
        if let Some(refused) = refused(&inputs, &seen) {
            return Err(self.unusable(refused));
        }
        Ok((inputs, seen))
    }

    /// Looks at the world and plans.
    pub(crate) async fn plan(&self, state: State, options: Options) -> Result<Planned, Failure> {
        self.planned(state, options, plan).await
    }

    /// The same to be read, and not applied: what else exists without being managed is left out of account.
    pub(crate) async fn plan_about(
        &self,
        state: State,
        options: Options,
        addresses: &[Address],
    ) -> Result<Planned, Failure> {
        let about = |inputs: &Inputs, seen: &Observations| plan_about(inputs, seen, addresses);
        self.planned(state, options, about).await
    }

    async fn planned(
        &self,
        state: State,
        options: Options,
        plan: impl FnOnce(&Inputs, &Observations) -> Result<Plan, Vec<PlanError>>,
    ) -> Result<Planned, Failure> {
        let mut inputs = self.inputs(state, options)?;
        let mut moves = moves::settle(&mut inputs.state, &self.config.moved)?;
        moves.retain(|m| inputs.options.selects(&m.from.zone));
        inputs.moves = moves;
        let (inputs, mut seen) = self.see(inputs).await?;
        try_all(&inputs, &mut seen, &self.sessions).await;
        let plan = plan(&inputs, &seen)?;
        let blind = blind(&plan, &unread(&plan, &inputs, &seen));
        let prices = self.prices(&plan).await;
        Ok(Planned {
            inputs,
            seen,
            plan,
            blind,
            prices,
        })
    }

    /// What the selected zones cost by mode.
    pub(crate) fn by_mode(&self, options: &Options) -> ByMode {
        modes::by_mode(
            &self.project,
            &self.config,
            &self.registry,
            self.ctx.global.sandbox.is_some(),
            |zone| options.selects(zone),
        )
    }

    /// Prices for what bills in a plan: what the vendors tell today, the dated tables for the rest. A
    /// vendor that does not answer soon is not waited for; a plan that looks at nothing asks nobody.
    async fn prices(&self, plan: &Plan) -> PriceLists {
        let mut lists = PriceLists::tables(&self.registry);
        if plan.options.refresh != Refresh::All {
            return lists;
        }
        let lines = plan
            .bills
            .values()
            .flat_map(|b| b.now.iter().chain(&b.then));
        let sellers: BTreeSet<&str> = lines.map(|l| l.seller.as_str()).collect();
        for seller in sellers {
            let mut ids = self.config.instances.keys();
            let open = ids.find_map(|id| self.sessions.get(id).filter(|_| id.provider == seller));
            let Some(session) = open else { continue };
            match tokio::time::timeout(PRICE_PATIENCE, session.quotes()).await {
                Ok(Ok(quotes)) => lists.quote(seller, &format!("{seller}'s API"), &quotes),
                Ok(Err(error)) => tracing::info!(seller, %error, "no prices"),
                Err(_) => tracing::info!(seller, "no prices in time"),
            }
        }
        lists
    }

    /// What planning starts from, the secrets of the selection included.
    pub(crate) fn inputs(&self, state: State, options: Options) -> Result<Inputs, Failure> {
        let secrets = self.sources(&state, &options).resolve()?;
        Ok(self.inputs_with(state, options, secrets))
    }

    /// What checks start from: only the credentials of these instances are read.
    pub(crate) fn inputs_of(
        &self,
        state: State,
        instances: &[InstanceId],
    ) -> Result<Inputs, Failure> {
        let options = Options::default();
        let secrets = self.sources(&state, &options).of_instances(instances)?;
        Ok(self.inputs_with(state, options, secrets))
    }

    /// The directory of what this host alone keeps.
    pub(crate) fn private(&self) -> Result<PathBuf, Failure> {
        if matches!(self.world, World::Live) {
            self.project.private_if_writable()?;
        }
        Ok(self.world.private(&self.project))
    }

    /// Says something beside the output.
    pub(crate) fn note(&self, text: &str) {
        self.ctx.term.say(&format!("note: {text}"));
    }

    fn sources<'a>(&'a self, state: &'a State, options: &'a Options) -> Sources<'a> {
        Sources {
            config: &self.config,
            state,
            options,
            root: self.project.root(),
            ready: self.world.ready(),
            key: self.key.clone(),
        }
    }

    fn inputs_with(
        &self,
        state: State,
        options: Options,
        secrets: BTreeMap<String, Secret>,
    ) -> Inputs {
        Inputs {
            lineage: state.planning_lineage(),
            config: self.config.clone(),
            state,
            world: self.world_name(),
            registry: self.registry.clone(),
            secrets,
            digest_key: self.key.clone(),
            moves: Vec::new(),
            options,
        }
    }

    /// An instance that cannot be used, with where its credentials come from.
    pub(crate) fn unusable(&self, error: ObserveError) -> Failure {
        let sources = secrets::sources_of(&self.config, &error.instance);
        let astray = error.source.class == ErrorClass::WrongCluster;
        let failure = Failure::from(error);
        if sources.is_empty() || astray {
            return failure;
        }
        let mut help = format!("check {}", sources.join(", "));
        if self.world.ready().is_some() {
            help.push_str("; when it is not set, the sandbox takes its own");
        }
        failure.help(help)
    }
}

/// Says who keeps a plan waiting.
fn waiting(term: Term) -> OnWait {
    Box::new(move |id| term.say(&format!("waiting for {} of {}", id.provider, id.zone)))
}

/// Credentials that were refused for single reads are as wrong as those refused at once, and those that
/// may read nothing of all that was looked for are no better: a plan that calls everything unreadable
/// would only hide it.
fn refused(inputs: &Inputs, seen: &Observations) -> Option<ObserveError> {
    let mut reads: BTreeMap<InstanceId, Vec<Option<&ProviderError>>> = BTreeMap::new();
    for (address, observed) in &seen.seen {
        let Some(instance) = inputs.instance_of(address) else {
            continue;
        };
        let error = match observed {
            Observed::Unreadable(error) => Some(error),
            _ => None,
        };
        reads.entry(instance).or_default().push(error);
    }
    reads.into_iter().find_map(|(instance, reads)| {
        let is = |class: ErrorClass| move |e: &&ProviderError| e.class == class;
        let errors = || reads.iter().copied().flatten();
        let denied = errors().filter(is(ErrorClass::Denied)).count() == reads.len();
        let wrong = errors().find(is(ErrorClass::Unauthorized));
        let source = wrong.or_else(|| errors().next().filter(|_| denied))?;
        Some(ObserveError {
            instance,
            source: source.clone(),
        })
    })
}

/// Where none can be made, secrets are compared by where they come from.
fn key(project: &Project, world: &World, facts: &Facts) -> Result<Option<Arc<DigestKey>>, Failure> {
    let dir = match (&facts.state.digest_key, world) {
        (Some(source), World::Live) => {
            let key = secrets::digest_key(source, project.root())?;
            return Ok(Some(Arc::new(key)));
        }
        (_, World::Live) => project.private_if_writable()?,
        (_, World::Sandbox { dir, .. }) => dir.clone(),
    };
    let path = dir.join("digest.key");
    let key = match writable::probe(&dir) {
        Err(error) if writable::is_read_only(&error) => digest_key::load(&path)?,
        _ => Some(digest_key::load_or_create(&path, &mut OsRng)?),
    };
    Ok(key.map(Arc::new))
}

/// Who we are, for those who find the state taken.
pub(crate) fn holder(command: &str) -> Holder {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().into_owned();
    Holder {
        user: env::var(env::USER).unwrap_or_else(|| rustix::process::getuid().as_raw().to_string()),
        host,
        pid: std::process::id(),
        command: command.to_owned(),
        since: jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string(),
    }
}
