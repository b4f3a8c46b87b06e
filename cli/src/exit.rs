//! Exit codes. They are an interface: scripts branch on them, so a number never changes its meaning.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exit(u8);

impl Exit {
    /// Done, or nothing to do.
    pub const DONE: Exit = Exit(0);
    /// An error before anything was changed: usage, invalid input, no network; also output that could
    /// not be written.
    pub const ERROR: Exit = Exit(1);
    /// `plan --detailed-exitcode` found changes, `drift` drift, `parity` or `state diff`
    /// differences, `charts diff` other objects, or `observability --check` or `charts lock --check`
    /// a stale file.
    pub const CHANGES: Exit = Exit(2);
    /// Partly applied; the state is saved and the next apply goes on.
    pub const PARTIAL: Exit = Exit(3);
    /// The plan does not fit any more, or has another digest. Nothing was sent.
    pub const STALE: Exit = Exit(4);
    /// Somebody else holds the state.
    pub const LOCKED: Exit = Exit(5);
    /// A rule refused: protection, the zone that serves, missing approval.
    pub const REFUSED: Exit = Exit(6);
    /// The state is damaged, lost or older than what was seen before.
    pub const STATE: Exit = Exit(7);
    /// It is not known whether something was done.
    pub const IN_DOUBT: Exit = Exit(8);
    /// The credentials are wrong or lack a right.
    pub const CREDENTIALS: Exit = Exit(9);
    /// A bug of ours.
    pub const BUG: Exit = Exit(70);
    /// Interrupted; the next apply goes on.
    pub const INTERRUPTED: Exit = Exit(130);

    /// The number.
    pub fn code(self) -> u8 {
        self.0
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.0)
    }
}

/// The table for `--help`.
pub const HELP: &str = "\
Exit codes:
  0    done, or nothing to do
  1    an error before anything was changed (usage errors too), too little could be read to
       plan or to compare, or the output could not be written
  2    changes are planned (plan --detailed-exitcode), or there is drift (drift, also when
       something else could not be read), or zones differ that should not (parity), or
       states or charts differ (state diff, charts diff), or files are not current
       (observability --check, charts lock --check)
  3    partly applied; the state is saved, apply again to go on
  4    the plan is stale or has another digest; nothing was sent
  5    somebody else holds the state
  6    refused: protection, the zone that serves, no approval; a check that is not green
  7    the state is damaged, lost or rolled back
  8    it is not known whether something was done
  9    the credentials are wrong or lack a right
  70   a bug of zonewright
  130  interrupted; apply again to go on";
