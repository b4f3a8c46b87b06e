//! The same entry point as the `zonewright` binary, built together with the suites.

fn main() -> std::process::ExitCode {
    zonewright::main()
}
