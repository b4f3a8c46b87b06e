//! Every environment variable that zonewright reads by itself. Those that a spec names as sources of
//! secrets are read in [`crate::secrets`] only.

use std::ffi::OsString;

/// Filter of the log, in the form of `tracing`'s directives.
pub const LOG: &str = "ZONEWRIGHT_LOG";
/// Any value but the empty one turns colours off.
pub const NO_COLOR: &str = "NO_COLOR";
/// Any value but `0` turns colours on, in pipes too; [`NO_COLOR`] wins.
pub const CLICOLOR_FORCE: &str = "CLICOLOR_FORCE";
/// Another address of the DigitalOcean API, for tests and proxies.
pub const DIGITALOCEAN_API_URL: &str = "DIGITALOCEAN_API_URL";
/// Another address of the Cloudflare API, for tests and proxies.
pub const CLOUDFLARE_BASE_URL: &str = "CLOUDFLARE_BASE_URL";
/// The control address of a sandbox that runs already, for `zonewright sandbox …`.
pub const SANDBOX_CONTROL: &str = "ZONEWRIGHT_SANDBOX_CONTROL";
/// The proxy for all requests: `http://host:port`.
pub const HTTPS_PROXY: &str = "HTTPS_PROXY";
/// The helm that renders charts, when it is not the first one in the path.
pub const HELM: &str = "ZONEWRIGHT_HELM";
/// Where programs are.
pub const PATH: &str = "PATH";
/// The columns of the terminal, when it shall not be asked itself.
pub const COLUMNS: &str = "COLUMNS";
/// Set by GitHub's and by Azure's runners, which take some lines of what is printed for commands to them.
pub const RUNNERS: [&str; 2] = ["GITHUB_ACTIONS", "TF_BUILD"];
/// The user's login name, for the holder of the state.
pub const USER: &str = "USER";
/// The host's name, where the system does not tell.
pub const HOSTNAME: &str = "HOSTNAME";

/// The table for `--help`.
pub const HELP: &str = "\
Environment:
  ZONEWRIGHT_LOG              what to log: zonewright=debug,info (default: by -v)
  NO_COLOR, CLICOLOR_FORCE    no colours, colours in pipes too
  HTTPS_PROXY                 the proxy for all requests
  DIGITALOCEAN_API_URL        another address of the DigitalOcean API
  CLOUDFLARE_BASE_URL         another address of the Cloudflare API
  ZONEWRIGHT_HELM             the helm that renders charts (default: in the path)
  ZONEWRIGHT_SANDBOX_CONTROL  the control address of a running sandbox";

/// Whether a runner of jobs reads what is printed.
pub fn has_runner() -> bool {
    RUNNERS.iter().any(|name| var(name).is_some())
}

/// The value of a variable; an empty one counts as not set.
pub fn var(name: &str) -> Option<String> {
    let text = std::env::var(name).ok()?;
    (!text.is_empty()).then_some(text)
}

/// The value as the system has it, for paths.
pub fn var_os(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|v| !v.is_empty())
}
