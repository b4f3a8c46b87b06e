//! Everything that can be wrong with a state directory, with the file, the place and the remedy.
//!
//! Messages never hold record contents: a record may name what its owner would rather not print.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use zonewright_engine::address::ZoneName;
use zonewright_engine::journal::{Holder, IllegalEntry};

use crate::seal::SealError;
use crate::store::{Store, StoreError};
use crate::vfs::Refusal;

/// What went wrong with the state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another writer has the shard.
    #[error(
        "the state of shard {shard} is locked by {}; wait for it, or give a lock timeout",
        HolderText(holder.as_deref())
    )]
    Locked {
        /// The shard.
        shard: ZoneName,
        /// Who has it, when the lock file says so.
        holder: Option<Box<Holder>>,
        /// The writer's number, where the log is the lock. A lock of files has none: it belongs to a
        /// process and goes with it.
        epoch: Option<u64>,
    },
    /// A file does not hold what was written to it.
    #[error(
        "{} is damaged at byte {offset}: {what}; nothing was changed{}",
        file.display(),
        Remedy(history)
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where the first bad byte may be.
        offset: u64,
        /// What is wrong there.
        what: String,
        /// Earlier snapshots, newest first.
        history: Vec<PathBuf>,
    },
    /// State that existed is gone.
    #[error("state was lost: {} {what}{}", file.display(), Remedy(history))]
    Lost {
        /// The file that should be there.
        file: PathBuf,
        /// What is wrong and how it is known that there was state.
        what: String,
        /// Earlier snapshots, newest first.
        history: Vec<PathBuf>,
    },
    /// The state is older than what this host has seen.
    #[error(
        "the state of shard {shard} was rolled back: {} is at serial {serial} (log {seq}), this host has seen serial \
         {seen_serial} (log {seen_seq}); restore the newer state, or accept the rollback explicitly",
        file.display()
    )]
    RolledBack {
        /// The shard.
        shard: ZoneName,
        /// The snapshot.
        file: PathBuf,
        /// Its serial now.
        serial: u64,
        /// Its log position now.
        seq: u64,
        /// The serial that was seen.
        seen_serial: u64,
        /// The log position that was seen.
        seen_seq: u64,
    },
    /// The state belongs to another world.
    #[error(
        "{} belongs to world {found}, this command runs in world {expected}; use the state directory of that world",
        file.display()
    )]
    World {
        /// The file.
        file: PathBuf,
        /// The world of the command.
        expected: String,
        /// The world of the file.
        found: String,
    },
    /// The state belongs to another project.
    #[error(
        "{} belongs to lineage {found}, expected lineage {expected}; put back the file of this project",
        file.display()
    )]
    Lineage {
        /// The file.
        file: PathBuf,
        /// The project's lineage.
        expected: String,
        /// The file's lineage.
        found: String,
    },
    /// The file was written by a later version.
    #[error(
        "{} has format version {found}, this program reads up to {supported}; use a newer zonewright (the file is untouched)",
        file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: u64,
        /// What is understood here.
        supported: u64,
    },
    /// It cannot be opened with the keys that there are.
    #[error("{} {why}; {}", file.display(), KeyRemedy(why))]
    Sealed {
        /// The file.
        file: PathBuf,
        /// Whom it is sealed for, and whose keys there are. Part of the message, so no source of it.
        why: SealError,
    },
    /// It is in the clear where it must not be: somebody may have put it in the place of what was sealed.
    #[error(
        "{} may not be what was written: {what}; nothing was changed",
        file.display()
    )]
    Unsealed {
        /// The file.
        file: PathBuf,
        /// Why it must not be.
        what: &'static str,
    },
    /// Others could change the file, or it is not what it seems.
    #[error("{0}")]
    Insecure(Refusal),
    /// An entry cannot follow what was there; nothing was written.
    #[error("an entry for shard {shard} was refused before it was written")]
    Illegal {
        /// The shard.
        shard: ZoneName,
        /// Why.
        #[source]
        source: IllegalEntry,
    },
    /// A shard is used that the writer does not hold.
    #[error("shard {shard} was not acquired by this writer")]
    NotHeld {
        /// The shard.
        shard: ZoneName,
    },
    /// An earlier write failed: what is on disk is not known, so nothing more is written.
    #[error(
        "the log of shard {shard} had a failed write and takes no more; look at the disk, then run the command again"
    )]
    Poisoned {
        /// The shard.
        shard: ZoneName,
    },
    /// Another writer took the shard over: what this one would write comes too late.
    #[error(
        "the state of shard {shard} was taken over by {}; what was under way is looked up by the next run",
        HolderText(holder.as_deref())
    )]
    Fenced {
        /// The shard.
        shard: ZoneName,
        /// Who has it now, when the log says so.
        holder: Option<Box<Holder>>,
    },
    /// Somebody declared this writer dead: what it would write comes too late.
    #[error(
        "the lock of shard {shard} was broken by {who} ({reason}); what was under way is looked up by the next run"
    )]
    Broken {
        /// The shard.
        shard: ZoneName,
        /// `user@host`.
        who: String,
        /// Why.
        reason: String,
    },
    /// There is no state where it should be.
    #[error(
        "there is no state in {place}; `zonewright state init` looks at the place and makes one"
    )]
    Uninitialised {
        /// The store.
        place: String,
    },
    /// The store cannot be used, or must not be.
    #[error("the state in {place} cannot be used")]
    Store {
        /// The store.
        place: String,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The kind of store cannot do what is asked.
    #[error("a state in {place} cannot be {what}")]
    Unsupported {
        /// The store.
        place: String,
        /// What was asked, and what to do instead.
        what: String,
    },
    /// The file system refused.
    #[error("cannot {doing} {}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Classes of [`StateError`] that callers tell apart (the command line maps them to exit codes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Somebody else writes.
    Locked,
    /// Contents are wrong.
    Damaged,
    /// Contents are gone.
    Lost,
    /// Contents are older than they were.
    RolledBack,
    /// It is the state of another world or project.
    WorldMismatch,
    /// It was written by a newer version.
    Newer,
    /// There is no key here that opens it.
    Sealed,
    /// Permissions or file types are refused.
    Insecure,
    /// The store's credentials lack a right, or are none.
    Denied,
    /// The store lies, or can do less than is asked of it.
    Unfit,
    /// Anything else that stops a read or a write.
    Io,
}

impl StateError {
    /// Its class.
    pub fn class(&self) -> Class {
        match self {
            StateError::Locked { .. } => Class::Locked,
            StateError::Damaged { .. } | StateError::Unsealed { .. } => Class::Damaged,
            StateError::Sealed { .. } => Class::Sealed,
            StateError::Lost { .. } => Class::Lost,
            StateError::RolledBack { .. } => Class::RolledBack,
            StateError::World { .. } | StateError::Lineage { .. } => Class::WorldMismatch,
            StateError::Newer { .. } => Class::Newer,
            StateError::Insecure(_) => Class::Insecure,
            StateError::Store { source, .. } if source.is_denied() => Class::Denied,
            StateError::Store {
                source: StoreError::Untrusted { .. },
                ..
            }
            | StateError::Unsupported { .. } => Class::Unfit,
            StateError::Fenced { .. } | StateError::Broken { .. } => Class::Locked,
            StateError::Illegal { .. }
            | StateError::Store { .. }
            | StateError::Uninitialised { .. }
            | StateError::NotHeld { .. }
            | StateError::Poisoned { .. }
            | StateError::Io { .. } => Class::Io,
        }
    }

    /// Whether it is about what is recorded, as opposed to how it is reached.
    pub(crate) fn is_about_contents(&self) -> bool {
        matches!(
            self.class(),
            Class::Damaged | Class::Lost | Class::RolledBack
        )
    }

    /// Wraps a failed file effect; refusals of the file layer keep their own variant.
    pub(crate) fn io(file: impl AsRef<Path>, doing: &'static str, source: io::Error) -> StateError {
        match source.get_ref().and_then(|e| e.downcast_ref::<Refusal>()) {
            Some(refusal) => StateError::Insecure(refusal.clone()),
            None => StateError::Io {
                file: file.as_ref().to_owned(),
                doing,
                source,
            },
        }
    }

    /// What could not be opened, or must not be as it is.
    pub(crate) fn sealed(
        file: impl AsRef<Path>,
        offset: u64,
        history: &[PathBuf],
        why: SealError,
    ) -> StateError {
        let file = file.as_ref().to_owned();
        match why {
            SealError::NoKey { .. } | SealError::WrongKey { .. } => {
                StateError::Sealed { file, why }
            }
            SealError::Damaged(what) => StateError::Damaged {
                file,
                offset,
                what: what.to_owned(),
                history: history.to_vec(),
            },
            SealError::Plain(what) => StateError::Unsealed { file, what },
        }
    }

    /// Wraps a failure of a store.
    pub(crate) fn store(store: &dyn Store, source: StoreError) -> StateError {
        StateError::Store {
            place: store.place(),
            source,
        }
    }

    /// As the error of the log port, which carries an `io::Error`.
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            StateError::Io { source, .. } => source,
            StateError::Illegal { .. } => io::Error::new(io::ErrorKind::InvalidInput, self),
            other => io::Error::other(other),
        }
    }
}

struct KeyRemedy<'a>(&'a SealError);

impl fmt::Display for KeyRemedy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SealError::NoKey { .. } => {
                f.write_str("name the key of one of them as `identity` in `[state.encryption]`")
            }
            _ => f.write_str(
                "use the key of one of them, or let who has one add you to `recipients` and run `zonewright state rekey`",
            ),
        }
    }
}

struct HolderText<'a>(Option<&'a Holder>);

impl fmt::Display for HolderText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(h) => write!(
                f,
                "{}@{} (pid {}, `{}`, since {})",
                h.user, h.host, h.pid, h.command, h.since
            ),
            None => f.write_str("another process"),
        }
    }
}

struct Remedy<'a>(&'a [PathBuf]);

impl fmt::Display for Remedy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("; no earlier snapshot was found beside it, restore a backup"),
            [newest, rest @ ..] => {
                write!(f, "; earlier snapshots: {}", newest.display())?;
                for path in rest.iter().take(2) {
                    write!(f, ", {}", path.display())?;
                }
                if rest.len() > 2 {
                    write!(f, " and {} more", rest.len() - 2)?;
                }
                Ok(())
            }
        }
    }
}

/// Something worth telling that does not stop the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The last append was cut short by a crash; it was never acknowledged.
    TornTail {
        /// The journal.
        file: PathBuf,
        /// Where the incomplete record begins.
        offset: u64,
        /// How many bytes of it there are.
        bytes: u64,
    },
    /// A writer has these shards just now: what was read may be in the middle of what it does.
    Running {
        /// The shards.
        shards: Vec<ZoneName>,
        /// Who it is, when the lock files say so.
        holder: Option<Box<Holder>>,
    },
    /// The last writer ended without letting the shard go.
    Unreleased {
        /// The shard.
        shard: ZoneName,
        /// Its number.
        epoch: u64,
        /// Who it was, when the journal still says so.
        holder: Option<Box<Holder>>,
    },
    /// A writer is taken for dead, and its shard was taken over.
    TakenOver {
        /// The shard.
        shard: ZoneName,
        /// Its number.
        epoch: u64,
        /// For how long it was silent, in seconds; absent when its process is known to be gone.
        silent_s: Option<u64>,
        /// Who it was.
        holder: Option<Box<Holder>>,
    },
    /// What came of requests was kept on this host when the store did not answer, and is in the log now.
    Rescued {
        /// The shard.
        shard: ZoneName,
        /// How many outcomes.
        outcomes: usize,
    },
    /// What came of requests was kept on this host and is no part of the state yet.
    RescueWaits {
        /// The shard.
        shard: ZoneName,
        /// The file.
        file: PathBuf,
    },
    /// What was kept on this host does not fit any more: another writer went on.
    RescueUnfit {
        /// The shard.
        shard: ZoneName,
        /// Where it is kept.
        file: PathBuf,
    },
    /// An older state was accepted because the caller said so.
    RollbackAccepted {
        /// The shard.
        shard: ZoneName,
        /// The serial that had been seen.
        seen_serial: u64,
        /// The serial that is now taken as true.
        serial: u64,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::TornTail {
                file,
                offset,
                bytes,
            } => write!(
                f,
                "{} ends in an incomplete record at byte {offset} ({bytes} bytes): a write was cut short before it was acknowledged",
                file.display()
            ),
            Notice::Running { shards, holder } => {
                match holder {
                    Some(h) => write!(
                        f,
                        "`{}` by {} on {} (pid {}, since {})",
                        h.command, h.user, h.host, h.pid, h.since
                    )?,
                    None => f.write_str("another run")?,
                }
                let shards: Vec<&str> = shards.iter().map(ZoneName::as_str).collect();
                write!(
                    f,
                    " is at work in {}: what follows may be in the middle of it",
                    shards.join(", ")
                )
            }
            Notice::Unreleased {
                shard,
                epoch,
                holder,
            } => {
                write!(
                    f,
                    "writer {epoch} of shard {shard} ended without releasing it"
                )?;
                match holder {
                    Some(_) => write!(f, ": {}", HolderText(holder.as_deref())),
                    None => Ok(()),
                }
            }
            Notice::TakenOver {
                shard,
                epoch,
                silent_s,
                holder,
            } => {
                write!(
                    f,
                    "writer {epoch} of shard {shard} ({}) ",
                    HolderText(holder.as_deref())
                )?;
                match silent_s {
                    Some(s) => write!(f, "was silent for {s} s; it was taken for dead"),
                    None => f.write_str("is dead; its process on this host is gone"),
                }
            }
            Notice::Rescued { shard, outcomes } => write!(
                f,
                "{outcomes} outcomes of shard {shard} that the store did not take before are in its log now"
            ),
            Notice::RescueWaits { shard, file } => write!(
                f,
                "{} holds outcomes of shard {shard} that the store did not take; the next apply writes them to the log",
                file.display()
            ),
            Notice::RescueUnfit { shard, file } => write!(
                f,
                "another run of shard {shard} went on after the store failed; what this host had kept is in {}, and what exists is found by its marker",
                file.display()
            ),
            Notice::RollbackAccepted {
                shard,
                seen_serial,
                serial,
            } => write!(
                f,
                "shard {shard} goes on from serial {serial} although serial {seen_serial} was seen"
            ),
        }
    }
}
