//! The `zonewright` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    zonewright::main()
}
