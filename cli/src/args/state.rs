//! The commands of `state` and their arguments.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use zonewright_engine::address::{Address, ZoneName};

use super::{Format, FormatArgs, duration};
use crate::report::Failure;
use crate::term::Term;

/// The commands of `state`.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// List everything that is recorded.
    List(FormatArgs),
    /// Show one record.
    Show {
        /// The resource.
        address: Address,
        /// The form of the output.
        #[command(flatten)]
        format: FormatArgs,
    },
    /// List what was done to the state.
    History(FormatArgs),
    /// Give what is recorded another address, with what it contains and what refers to it. Sends no
    /// request.
    Mv(MoveArgs),
    /// Forget what is recorded, with what it contains. Sends no request: what exists stays.
    Rm(RemoveArgs),
    /// Compare two states record by record. Exit code 2 when they differ.
    Diff(DiffArgs),
    /// Print the snapshot of a zone, or write it to a file that only its owner can read.
    Pull(PullArgs),
    /// Make a snapshot file the state of its zone, in new entries of the log: shown as a difference first.
    Push(PushArgs),
    /// Remove earlier snapshots, and the log before them, that a later snapshot makes superfluous. Everything
    /// is read and verified first.
    Gc(GcArgs),
    /// Make a new snapshot that is sealed as `[state.encryption]` says now: after a recipient came or went, to seal
    /// what was in the clear, or the other way round. Sends no request.
    Rekey(RekeyArgs),
    /// Make a key for `[state.encryption]`: the file with the private one, and the public one on the output.
    Keygen(KeygenArgs),
    /// Break the lock of a writer that is certainly dead, for a state in a store. Nothing is removed: the log
    /// gets one more entry, with the reason.
    Unlock(UnlockArgs),
    /// Make the state where `[state]` says, once the store has shown that it can keep one.
    Init,
    /// Look whether the store is fit, every object is whole, and the place is the right one. Exit code
    /// 6 when something is wrong.
    Doctor(FormatArgs),
    /// Move the state to another store. Shows what would be copied; `--yes` copies it.
    Migrate(MigrateArgs),
    /// Show what of a damaged state can be read, and, approved, go on from the newest that is whole. What was
    /// damaged is kept. Exit code 7 when it is damaged and stays so.
    Repair(RepairArgs),
    /// Go on from the newest state that is whole, after damage, loss or a rollback. What is replaced is
    /// kept aside. Sends no request; the next plan finds what exists and is not recorded.
    Restore(RestoreArgs),
}

/// Whether something is done, only shown, or asked about.
#[derive(Debug, Args)]
pub struct ApprovalArgs {
    /// Only show what would be done.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    pub auto_approve: bool,
}

impl ApprovalArgs {
    /// Whether it is approved, with the command or by who is asked.
    pub(crate) fn given(&self, term: Term, question: &str) -> Result<bool, Failure> {
        term.approved(self.auto_approve, question, LOOK_FIRST)
    }
}

/// The way out where nobody can be asked.
pub const LOOK_FIRST: &str = "look at it with --dry-run, then give --auto-approve";

/// How a change of what is recorded is carried out.
#[derive(Debug, Args)]
pub struct EditArgs {
    /// Whether.
    #[command(flatten)]
    pub approval: ApprovalArgs,
    /// How long to wait for somebody else's run to end: `90s`, `5m`.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub lock_timeout: Duration,
}

/// Arguments of `state mv`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright state mv pz/digitalocean.vpc.main pz/digitalocean.vpc.net --dry-run\n  zonewright state mv pz/kubernetes.chart.shop pz/kubernetes.chart.store --auto-approve\n\nThen give it the new name in the spec: the plan is empty."
)]
pub struct MoveArgs {
    /// The address so far. That of a chart or manifest takes its objects along.
    #[arg(value_name = "FROM")]
    pub from: Address,
    /// The new address: of the same zone and kind, with nothing recorded there.
    #[arg(value_name = "TO")]
    pub to: Address,
    /// How.
    #[command(flatten)]
    pub edit: EditArgs,
}

/// Arguments of `state rm`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright state rm pz/digitalocean.vpc.old --dry-run\n  zonewright state rm pz/digitalocean.vpc.old --auto-approve"
)]
pub struct RemoveArgs {
    /// What to forget. A container takes along what it contains, a chart or manifest its objects.
    #[arg(value_name = "ADDRESS", required = true)]
    pub addresses: Vec<Address>,
    /// How.
    #[command(flatten)]
    pub edit: EditArgs,
}

/// Arguments of `state diff`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright state diff 41 current --zone pz\n  zonewright state diff backup.json current --format json\n\nA side is a serial that `state history` lists, a snapshot file, or `current`."
)]
pub struct DiffArgs {
    /// Before: a serial, a snapshot file, or `current`.
    #[arg(value_name = "A")]
    pub before: Side,
    /// After.
    #[arg(value_name = "B")]
    pub after: Side,
    /// Only this zone; needed for serials, which count the changes of one zone.
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<ZoneName>,
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: Format,
}

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// What is recorded now.
    Current,
    /// The snapshot with this serial.
    Serial(u64),
    /// A file that `state pull` wrote, or any other snapshot.
    File(PathBuf),
}

impl FromStr for Side {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Side, Self::Err> {
        Ok(match text.parse() {
            Ok(serial) => Side::Serial(serial),
            Err(_) if text == "current" => Side::Current,
            Err(_) => Side::File(PathBuf::from(text)),
        })
    }
}

/// Arguments of `state pull`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright state pull --zone pz -o pz.json\n  zonewright state pull --zone edge --decrypt\n\nOf a sealed state the snapshot is sealed, too, unless --decrypt is given."
)]
pub struct PullArgs {
    /// The zone.
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<ZoneName>,
    /// Write it to this file (mode 0600) instead.
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// In the clear, although the state is sealed.
    #[arg(long)]
    pub decrypt: bool,
}

/// Arguments of `state push`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright state push pz.json --dry-run\n  zonewright state push pz.json --older \"serial 44 was written by mistake\"\n\nOnly a file of the same lineage, and newer than the state. Its contents become entries of the log: nothing is rewritten, and the serial goes on from that of the state."
)]
pub struct PushArgs {
    /// The snapshot file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Take a file that is not newer, too; why is kept in the log.
    #[arg(long, value_name = "REASON")]
    pub older: Option<String>,
    /// How.
    #[command(flatten)]
    pub edit: EditArgs,
}

/// Arguments of `state repair`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright state repair --dry-run\n  zonewright state repair --zone pz --auto-approve"
)]
pub struct RepairArgs {
    /// Only this zone.
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<ZoneName>,
    /// Whether.
    #[command(flatten)]
    pub approval: ApprovalArgs,
}

/// Arguments of `state gc`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright state gc --dry-run\n  zonewright state gc --zone pz --auto-approve\n\nKept are the newest `[state] keep` snapshots (50) and all that are younger than `keep_for` (720h)."
)]
pub struct GcArgs {
    /// Only this zone.
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<ZoneName>,
    /// Whether.
    #[command(flatten)]
    pub approval: ApprovalArgs,
}

/// Arguments of `state rekey`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright state rekey --dry-run\n  zonewright state rekey --zone pz --auto-approve\n\nIn a store earlier objects stay as they are until `state gc` removes them; `state doctor` counts them. Who was a recipient may have copies: what was in them stays known."
)]
pub struct RekeyArgs {
    /// Only this zone; `edge` for what the zones share. Can be given several times.
    #[arg(long = "zone", value_name = "ZONE")]
    pub zones: Vec<ZoneName>,
    /// How.
    #[command(flatten)]
    pub edit: EditArgs,
}

/// Arguments of `state keygen`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright state keygen -o state.agekey\n  zonewright state keygen -o state.agekey --passphrase-env STATE_PASSPHRASE\n\n`age-keygen` and `age -p -a` make the same files."
)]
pub struct KeygenArgs {
    /// The file for the private key (mode 0600). One that exists is not replaced.
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
    /// Protect the file with the passphrase in this environment variable.
    #[arg(long, value_name = "NAME")]
    pub passphrase_env: Option<String>,
}

/// Arguments of `state unlock`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright state unlock --zone pz --epoch 12 --reason \"runner 7 was deleted\""
)]
pub struct UnlockArgs {
    /// The zone whose state is locked; the other zones that the same writer holds are let go, too.
    #[arg(long, value_name = "ZONE")]
    pub zone: ZoneName,
    /// The writer's number, as the error shows it.
    #[arg(long, value_name = "N")]
    pub epoch: u64,
    /// How it is known that the writer is dead; kept in the log.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// Arguments of `state restore`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright state restore\n  zonewright state restore --zone pz --serial 41\n  zonewright state restore --zone pz --empty --auto-approve"
)]
pub struct RestoreArgs {
    /// Only this zone; `edge` for what the zones share. Can be given several times.
    #[arg(long = "zone", value_name = "ZONE")]
    pub zones: Vec<ZoneName>,
    /// Go on from the earlier snapshot with this serial, as `state history` lists it.
    #[arg(long, value_name = "N", requires = "zones", conflicts_with = "empty")]
    pub serial: Option<u64>,
    /// Begin with nothing recorded: when there is no snapshot left. The next plan adopts what carries
    /// the project's marker.
    #[arg(long)]
    pub empty: bool,
    /// Do not ask.
    #[arg(long)]
    pub auto_approve: bool,
}

/// Arguments of `state migrate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright state migrate new.toml\n  zonewright state migrate new.toml --yes\n\nFILE is `zonewright.toml` as it shall be, with another `[state]`. It is written once everything is copied and read back; what is at the old place stays."
)]
pub struct MigrateArgs {
    /// `zonewright.toml` as it shall be.
    #[arg(value_name = "FILE")]
    pub to: PathBuf,
    /// Copy, instead of only showing what would be.
    #[arg(long)]
    pub yes: bool,
}
