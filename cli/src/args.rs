//! The command line. The doc comments are the manual.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use zonewright_engine::address::{Address, ZoneName};
use zonewright_engine::canon::Digest;

use crate::{env, exit};

mod adopt;
mod bucket;
mod charts;
mod check;
mod cost;
mod database;
mod init;
mod observability;
mod posture;
pub(crate) mod restore;
mod runbook;
mod state;

pub use adopt::{AdoptArgs, ImportArgs, OrphansArgs};
pub use bucket::BucketArgs;
pub use charts::{ChartsCommand, ChartsDiffArgs, ChartsLockArgs, ChartsRenderArgs};
pub use check::{ReadinessArgs, ReadinessFormat, SmokeArgs, VerifyArgs};
pub use cost::CostArgs;
pub use database::{Backups, Certificate, DatabaseArgs, Replication};
pub use init::{InitArgs, Template};
pub use observability::{MetricsArgs, ObservabilityArgs};
pub use posture::PostureArgs;
pub use restore::{RestoreCommand, RestoreFinishArgs, RestorePlanArgs};
pub use runbook::{RunbookArgs, RunbookFormat};
pub use state::{
    ApprovalArgs, DiffArgs, EditArgs, GcArgs, KeygenArgs, LOOK_FIRST, MigrateArgs, MoveArgs,
    PullArgs, PushArgs, RekeyArgs, RemoveArgs, RepairArgs, RestoreArgs, Side, StateCommand,
    UnlockArgs,
};

/// Plans and applies platforms that live in two zones.
///
/// A project is a directory with `zonewright.toml` and one file per zone. `plan` shows what would
/// change, `apply` changes it. With `--sandbox` everything runs against emulators of the vendors on
/// this machine, without an account.
#[derive(Debug, Parser)]
#[command(
    name = "zonewright",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "Examples:\n  zonewright init\n  zonewright --sandbox plan\n  zonewright --sandbox apply --auto-approve\n  zonewright plan --zone bz -o bz.plan && zonewright apply bz.plan\n\nThe exit codes and variables are listed by --help.",
    after_long_help = format!("{}\n\n{}", exit::HELP, env::HELP)
)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The project's directory. Without it, the nearest one upwards that has `zonewright.toml`.
    #[arg(short = 'C', long = "directory", value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,
    /// Work on emulators of the vendors instead of the real ones. Without DIR, on those of the
    /// project (`.zonewright/sandbox`). The state is kept in there, too.
    #[arg(long, value_name = "DIR", global = true, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub sandbox: Option<String>,
    /// How fast a sandbox that is started works: `instant`, `fast` (minutes become milliseconds) or
    /// `realistic`.
    #[arg(long, value_name = "P", global = true)]
    pub profile: Option<Profile>,
    /// When to use colours.
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto")]
    pub color: Color,
    /// Say more: whole lists in plans, and the log on the error output (`-vv` debug, `-vvv` trace).
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// The form of the log.
    #[arg(long, value_name = "FORM", global = true, default_value = "text")]
    pub log_format: Format,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How fast a sandbox works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Nothing takes time.
    Instant,
    /// Minutes become tens of milliseconds.
    Fast,
    /// As long as the vendors take.
    Realistic,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented project of two zones to start from.
    Init(InitArgs),
    /// Check the spec without looking at anything outside.
    Validate(FormatArgs),
    /// Put the spec files into their usual form.
    Fmt(FmtArgs),
    /// Print the JSON Schema of spec files, for editors.
    Schema(SchemaArgs),
    /// Explain a diagnostic code such as `ZW1502`.
    Explain(ExplainArgs),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
    /// Show what would change. Sends no request that changes anything and takes no lock.
    Plan(PlanArgs),
    /// Make the world what the spec says.
    Apply(ApplyArgs),
    /// Show what was changed outside of zonewright. Takes no lock and writes nothing.
    Drift(DriftArgs),
    /// Compare two zones, in the spec and live: what should mirror and does not.
    Parity(ParityArgs),
    /// Prove that a zone is what a backup zone has to be: every line is asked live, with evidence.
    Verify(VerifyArgs),
    /// Say whether a zone may be counted on: the verdict, and how old each proof is. For cron.
    Readiness(ReadinessArgs),
    /// Show that the application works inside a zone, without exposing it.
    Smoke(SmokeArgs),
    /// Print what is known of the zones for Prometheus, or serve it. What is not known has no series.
    Metrics(MetricsArgs),
    /// Write what watches the zones from outside: alerts, probes, a dashboard, the heartbeat's writer.
    Observability(ObservabilityArgs),
    /// Vendor charts and what helm makes of them, so that plans need neither helm nor a chart server.
    #[command(subcommand)]
    Charts(ChartsCommand),
    /// Take something that exists, and that the spec describes, under management. Changes only the
    /// state; the next plan shows what differs from the spec.
    Import(ImportArgs),
    /// Take everything that exists and that the spec describes under management. Changes only the state.
    Adopt(AdoptArgs),
    /// Show what carries our mark and is in no record. Takes no lock and changes nothing.
    Orphans(OrphansArgs),
    /// Remove everything of one zone. The zone that serves is refused.
    Destroy(DestroyArgs),
    /// Make a standby zone `off`, `cold` or `warm`: edits its file, then plans and applies the zone.
    Posture(PostureArgs),
    /// Say what each zone costs a month, by posture and as the one that serves, from the spec alone.
    Cost(CostArgs),
    /// Work out what a restore would do, and do what comes after it.
    #[command(subcommand)]
    Restore(RestoreCommand),
    /// Write the runbook of a switch to another zone, from the spec alone: nobody is asked.
    Runbook(RunbookArgs),
    /// Show a saved plan, a recorded resource, or all of them.
    Show(ShowArgs),
    /// Print what resources put out, as recorded.
    Output(OutputArgs),
    /// Print how the resources of the spec depend on each other.
    Graph(GraphArgs),
    /// Look at the state, or make a damaged one usable again.
    #[command(subcommand)]
    State(StateCommand),
    /// Write the kubeconfig of a zone's cluster.
    Kubeconfig(KubeconfigArgs),
    /// Run and control the emulators.
    #[command(subcommand)]
    Sandbox(SandboxCommand),
}

impl Command {
    /// Whether the command talks to programs.
    pub fn is_json(&self) -> bool {
        let format = match self {
            Command::Validate(args) => args.format,
            Command::Plan(args) => args.format,
            Command::Apply(args) => args.run.format,
            Command::Destroy(args) => args.run.format,
            Command::Posture(args) => args.run.format,
            Command::Drift(args) => args.format,
            Command::Parity(args) if args.format == ReportFormat::Json => Format::Json,
            Command::Verify(args) if args.format == ReportFormat::Json => Format::Json,
            Command::Smoke(args) if args.format == ReportFormat::Json => Format::Json,
            Command::Readiness(args) if args.format == ReadinessFormat::Json => Format::Json,
            Command::Cost(args) if args.format == ReportFormat::Json => Format::Json,
            Command::Restore(RestoreCommand::Plan(args)) => args.format,
            Command::Restore(RestoreCommand::Finish(args)) => args.format,
            Command::Observability(args) => args.format,
            Command::Charts(command) => command.format(),
            Command::Orphans(args) => args.format,
            Command::Runbook(args) if args.format == RunbookFormat::Json => Format::Json,
            Command::Show(args) => args.format,
            Command::Output(args) => args.format,
            Command::State(
                StateCommand::List(args) | StateCommand::History(args) | StateCommand::Doctor(args),
            ) => args.format,
            Command::State(StateCommand::Show { format, .. }) => format.format,
            Command::State(StateCommand::Diff(args)) => args.format,
            Command::Sandbox(SandboxCommand::Requests(args)) => args.format,
            Command::Graph(args) if args.format == GraphFormat::Json => Format::Json,
            _ => Format::Text,
        };
        format == Format::Json
    }
}

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Print the reference of all kinds as Markdown instead.
    #[arg(long)]
    pub reference: bool,
}

/// An output form.
#[derive(Debug, Clone, Args)]
pub struct FormatArgs {
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: Format,
}

/// Arguments of `fmt`.
#[derive(Debug, Args)]
pub struct FmtArgs {
    /// Write nothing; exit with 1 when a file would change.
    #[arg(long)]
    pub check: bool,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The code.
    pub code: String,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: clap_complete::Shell,
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright plan\n  zonewright plan --zone bz -o bz.plan\n  zonewright plan --detailed-exitcode --format json | jq .summary"
)]
pub struct PlanArgs {
    /// Only this zone; `edge` for what the zones share. Can be given several times.
    #[arg(long = "zone", value_name = "ZONE")]
    pub zones: Vec<ZoneName>,
    /// Plan to remove everything that is selected.
    #[arg(long)]
    pub destroy: bool,
    /// Replace this resource although nothing demands it. Can be given several times.
    #[arg(long, value_name = "ADDRESS")]
    pub replace: Vec<Address>,
    /// How much of the live world to look at: all of it, what the spec changed, or nothing.
    #[arg(long, value_name = "WHAT", default_value = "all")]
    pub refresh: RefreshArg,
    /// Save the plan to a file, for `apply FILE`.
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Exit with 2 when there is something to do.
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: Format,
}

/// How much of the live world to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RefreshArg {
    /// All of it.
    All,
    /// What the spec changed and what depends on it.
    Changed,
    /// Nothing: the state is believed.
    None,
}

/// How a run goes.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Do not ask.
    #[arg(long)]
    pub auto_approve: bool,
    /// Apply although the plan has a danger with this code. Can be given several times.
    #[arg(long, value_name = "ZW30…")]
    pub accept: Vec<String>,
    /// Requests under way at once.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = parallelism)]
    pub parallelism: usize,
    /// How long to wait for somebody else's run to end: `90s`, `5m`.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub lock_timeout: Duration,
    /// The form of the output; JSON is one event a line.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: Format,
}

/// Arguments of `apply`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright apply\n  zonewright apply bz.plan\n  zonewright apply --zone bz --auto-approve --expect sha256:… --format json"
)]
pub struct ApplyArgs {
    /// A plan that `plan -o` saved. It is applied exactly, or not at all.
    #[arg(value_name = "FILE", conflicts_with = "zones")]
    pub file: Option<PathBuf>,
    /// Only this zone; `edge` for what the zones share. Can be given several times.
    #[arg(long = "zone", value_name = "ZONE")]
    pub zones: Vec<ZoneName>,
    /// Apply only a plan with this digest.
    #[arg(long, value_name = "sha256:…")]
    pub expect: Option<Digest>,
    /// How the run goes.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Arguments of `drift`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright drift\n  zonewright drift --zone pz --format json\n  zonewright drift --absorb pz/digitalocean.vpc.main"
)]
pub struct DriftArgs {
    /// Take the outside change of this resource into the spec instead of undoing it: shows an edit of the
    /// spec and writes it. Can be given several times.
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["zones", "format"])]
    pub absorb: Vec<Address>,
    /// With --absorb: do not ask.
    #[arg(long, requires = "absorb")]
    pub auto_approve: bool,
    /// With --absorb: how long to wait for somebody else's run to end: `90s`, `5m`.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub lock_timeout: Duration,
    /// Only this zone; `edge` for what the zones share. Can be given several times.
    #[arg(long = "zone", value_name = "ZONE")]
    pub zones: Vec<ZoneName>,
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: Format,
}

/// Arguments of `parity`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright parity pz bz\n  zonewright parity pz bz --format markdown >parity.md\n\nDifferences that are meant to be are declared in zonewright.toml:\n  [parity]\n  allow = [{ path = \"kubernetes.secret.db stringData.HOST\", reason = \"the replica's address\" }]\n\nExits with 2 when something differs that should not."
)]
pub struct ParityArgs {
    /// One zone, usually the one that serves.
    #[arg(value_name = "ZONE")]
    pub left: ZoneName,
    /// The other.
    #[arg(value_name = "ZONE")]
    pub right: ZoneName,
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: ReportFormat,
}

/// A form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For a change request.
    Markdown,
}

/// Arguments of `destroy`.
#[derive(Debug, Args)]
pub struct DestroyArgs {
    /// The zone.
    #[arg(long, value_name = "ZONE")]
    pub zone: ZoneName,
    /// How the run goes.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Arguments of `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A saved plan, or the address of a resource.
    #[arg(value_name = "FILE|ADDRESS")]
    pub what: Option<String>,
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: Format,
}

/// Arguments of `output`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright output\n  zonewright output bz/digitalocean.vpc.main.id"
)]
pub struct OutputArgs {
    /// A resource, or one attribute of it.
    #[arg(value_name = "ADDRESS[.ATTR]")]
    pub what: Option<String>,
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: Format,
}

/// Arguments of `graph`.
#[derive(Debug, Args)]
pub struct GraphArgs {
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "dot")]
    pub format: GraphFormat,
}

/// A form of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// For Graphviz.
    Dot,
    /// For Markdown.
    Mermaid,
    /// For programs.
    Json,
}

/// Arguments of `kubeconfig`.
#[derive(Debug, Args)]
pub struct KubeconfigArgs {
    /// The zone.
    #[arg(long, value_name = "ZONE")]
    pub zone: ZoneName,
    /// Where to write it (mode 0600); without it, to the standard output.
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// The commands of `sandbox`.
#[derive(Debug, Subcommand)]
pub enum SandboxCommand {
    /// Serve the emulators until stopped. Prints NAME=value lines once ready.
    #[command(
        after_help = "Example:\n  zonewright sandbox serve --dir /tmp/world --listen 127.0.0.1:4010"
    )]
    Serve(ServeArgs),
    /// Stop the running emulators. What they hold is kept.
    Stop(WorldArgs),
    /// Forget everything that the emulators hold.
    Reset(WorldArgs),
    /// Let requests fail.
    #[command(subcommand)]
    Fault(FaultCommand),
    /// Change how a database behaves, or list the databases.
    #[command(
        after_help = "Example:\n  zonewright sandbox database wp-bz-mysql --replication frozen"
    )]
    Database(DatabaseArgs),
    /// Print what bills at this moment, as JSON.
    Cost(WorldArgs),
    /// Make a bucket of the object storage, if it is not there; have it copied into another.
    Bucket(BucketArgs),
    /// Print everything that the emulators hold, as JSON.
    Dump(WorldArgs),
    /// List the requests that the emulators got.
    Requests(RequestsArgs),
}

/// Which sandbox.
#[derive(Debug, Clone, Args)]
pub struct WorldArgs {
    /// The directory of the emulators; by default that of the project.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Arguments of `sandbox serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Which one.
    #[command(flatten)]
    pub world: WorldArgs,
    /// The loopback address to listen on.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Stop after so many seconds without a request.
    #[arg(long, value_name = "SECS")]
    pub idle_exit: Option<u64>,
}

/// The commands of `sandbox fault`.
#[derive(Debug, Subcommand)]
pub enum FaultCommand {
    /// Add a fault.
    #[command(
        after_help = "Examples:\n  zonewright sandbox fault add status:503 --service digitalocean --method POST --path '/v2/vpcs' --nth 2\n  zonewright sandbox fault add drop-after --method POST"
    )]
    Add(FaultArgs),
    /// List the faults, and the requests that are held.
    List(WorldArgs),
    /// Remove all faults.
    Clear(WorldArgs),
    /// Let go of the requests that are held.
    Release(WorldArgs),
}

/// Arguments of `sandbox fault add`.
#[derive(Debug, Args)]
pub struct FaultArgs {
    /// What happens: `status:CODE`, `status-after:CODE`, `drop-before`, `drop-after`, `delay:MS`,
    /// `hold-before` or `hold-after`. Before or after says whether the request is carried out.
    #[arg(value_parser = crate::commands::sandbox::fault_kind)]
    pub kind: zonewright_sandbox::fault::Kind,
    /// Only requests to this service: `digitalocean`, `cloudflare` or `kubernetes`.
    #[arg(long)]
    pub service: Option<String>,
    /// Only requests with this method.
    #[arg(long)]
    pub method: Option<String>,
    /// Only requests to this path; `*` stands for any text.
    #[arg(long)]
    pub path: Option<String>,
    /// From this match on, counted from one.
    #[arg(long, default_value_t = 1)]
    pub nth: u64,
    /// So many matches in a row.
    #[arg(long, default_value_t = 1)]
    pub count: u64,
    /// Which sandbox.
    #[command(flatten)]
    pub world: WorldArgs,
}

/// Arguments of `sandbox requests`.
#[derive(Debug, Args)]
pub struct RequestsArgs {
    /// Which one.
    #[command(flatten)]
    pub world: WorldArgs,
    /// Forget them instead.
    #[arg(long)]
    pub clear: bool,
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: Format,
}

/// A text that is no argument.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadArgument(pub String);

fn parallelism(text: &str) -> Result<usize, BadArgument> {
    match text.parse() {
        Ok(n) if (1..=256).contains(&n) => Ok(n),
        _ => Err(BadArgument("expected a number from 1 to 256".to_owned())),
    }
}

/// `90s`, `5m`, `1h 30m`, and plain `0`.
fn duration(text: &str) -> Result<Duration, BadArgument> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let parsed: Option<jiff::SignedDuration> = text.parse().ok();
    parsed
        .and_then(|d| Duration::try_from(d).ok())
        .ok_or_else(|| BadArgument("expected a duration such as `90s` or `5m`".to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sandbox_takes_its_directory_only_after_an_equals_sign() {
        let cli = Cli::try_parse_from(["zonewright", "--sandbox", "plan"]).unwrap();
        assert_eq!(cli.global.sandbox.as_deref(), Some(""));
        let cli = Cli::try_parse_from(["zonewright", "plan", "--sandbox=w"]).unwrap();
        assert_eq!(cli.global.sandbox.as_deref(), Some("w"));
        let cli = Cli::try_parse_from(["zonewright", "plan"]).unwrap();
        assert_eq!(cli.global.sandbox, None);
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert!(duration("-5m").is_err());
        assert!(duration("soon").is_err());
    }

    #[test]
    fn parallelism_is_never_zero() {
        assert_eq!(parallelism("1"), Ok(1));
        assert!(parallelism("0").is_err());
        assert!(parallelism("1000").is_err());
    }

    #[test]
    fn a_saved_plan_and_zones_exclude_each_other() {
        let both = ["zonewright", "apply", "x.plan", "--zone", "bz"];
        assert!(Cli::try_parse_from(both).is_err());
    }
}
