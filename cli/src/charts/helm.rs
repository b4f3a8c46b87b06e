//! helm as a pure renderer: the chart and the values in, YAML out.
//!
//! It gets an empty environment, directories of its own, no cluster and no network, and runs twice in
//! different zones of time and different seconds: what differs then is no function of its inputs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use zonewright_zones::{ChartSpec, MAX_FILE};

use super::archive::Archive;
use crate::env;
use crate::report::Failure;
use crate::report::code::Code;

/// The largest baseline chart takes half a second of processor time.
const PATIENCE: Duration = Duration::from_secs(120);
/// What is read of its output.
const MAX_OUTPUT: u64 = 4 * MAX_FILE;
/// No proxy listens here: what tried to reach the network would fail at once.
const NO_NETWORK: &str = "http://127.0.0.1:9";
/// 26 hours apart, so that also dates differ.
const CLOCKS: [&str; 2] = ["Etc/GMT+12", "Etc/GMT-14"];

/// The oldest helm that has all options.
const OLDEST: (u64, u64) = (3, 14);

/// A helm that was found.
#[derive(Debug, Clone)]
pub(crate) struct Helm {
    program: PathBuf,
    /// Its version, as it says it: `v4.1.4`.
    pub(crate) version: String,
}

/// What a chart is rendered with.
#[derive(Debug, Clone)]
pub(crate) struct Inputs {
    /// The release's name.
    pub(crate) release: String,
    /// Its namespace.
    pub(crate) namespace: String,
    /// The version of Kubernetes.
    pub(crate) kube_version: Option<String>,
    /// API versions beyond those that helm knows.
    pub(crate) api_versions: Vec<String>,
    /// The values.
    pub(crate) values: serde_json::Value,
}

impl From<&ChartSpec> for Inputs {
    fn from(spec: &ChartSpec) -> Inputs {
        Inputs {
            // A release has a DNS label for a name.
            release: spec.address.name.as_str().replace('_', "-"),
            namespace: spec.release_namespace().to_owned(),
            kube_version: spec.kube_version.clone(),
            api_versions: spec.api_versions.clone(),
            values: spec.values.clone(),
        }
    }
}

fn absent() -> Failure {
    Failure::error("helm is needed for this, and is not there")
        .code(Code::HelmMissing)
        .help(format!(
            "install helm {}.{} or newer (helm.sh/docs/intro/install), or name it in {}; plan, apply and everything \
             else work without it",
            OLDEST.0,
            OLDEST.1,
            env::HELM
        ))
}

impl Helm {
    /// The helm that the environment names, or else the first one in the path.
    pub(crate) async fn find() -> Result<Helm, Failure> {
        let program = match env::var_os(env::HELM) {
            Some(named) => PathBuf::from(named),
            None => in_path().ok_or_else(absent)?,
        };
        let mut command = Command::new(&program);
        let asked = command
            .args(["version", "--template", "{{.Version}}"])
            .env_clear()
            .stdin(Stdio::null())
            .output();
        let output = asked.await.map_err(|e| absent().because(e))?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let parts: Vec<u64> = version
            .trim_start_matches('v')
            .split('.')
            .filter_map(|p| p.parse().ok())
            .collect();
        let fits = matches!(parts[..], [major, minor, ..] if (major, minor) >= OLDEST);
        if !output.status.success() || !fits {
            let message = format!(
                "{} is no helm that can be used: {version:?}",
                program.display()
            );
            return Err(Failure::error(message)
                .code(Code::HelmMissing)
                .help(format!(
                    "helm {}.{} or newer is needed; {} names another one",
                    OLDEST.0,
                    OLDEST.1,
                    env::HELM
                )));
        }
        Ok(Helm { program, version })
    }

    /// Renders a chart twice; hooks are part of both texts.
    ///
    /// # Errors
    /// helm refuses the chart, or takes too long.
    pub(crate) async fn render(
        &self,
        chart: &Archive,
        bytes: &[u8],
        inputs: &Inputs,
    ) -> Result<[String; 2], Failure> {
        let dir = tempfile::tempdir()
            .map_err(|e| Failure::error("no temporary directory can be made").because(e))?;
        let packed = dir.path().join(format!("{}.tgz", chart.name));
        fs::write(&packed, bytes).map_err(|e| Failure::file("write", &packed, e))?;
        let values = dir.path().join("values.json");
        fs::write(&values, inputs.values.to_string())
            .map_err(|e| Failure::file("write", &values, e))?;
        let first = self.run(dir.path(), &packed, inputs, CLOCKS[0]).await?;
        if super::random::asks_the_clock(chart) {
            // What is rendered within one second would not differ.
            tokio::time::sleep(Duration::from_millis(1100)).await;
        }
        let second = self.run(dir.path(), &packed, inputs, CLOCKS[1]).await?;
        Ok([first, second])
    }

    async fn run(
        &self,
        dir: &Path,
        chart: &Path,
        inputs: &Inputs,
        clock: &str,
    ) -> Result<String, Failure> {
        let mut command = Command::new(&self.program);
        command
            .arg("template")
            .arg(&inputs.release)
            .arg(chart)
            .arg("--namespace")
            .arg(&inputs.namespace)
            .arg("--include-crds")
            .arg("--values")
            .arg(dir.join("values.json"))
            .env_clear()
            .env("TZ", clock)
            .env("HOME", dir.join("home"))
            .env("HELM_CACHE_HOME", dir.join("home/cache"))
            .env("HELM_CONFIG_HOME", dir.join("home/config"))
            .env("HELM_DATA_HOME", dir.join("home/data"))
            .env("HELM_PLUGINS", dir.join("home/plugins"))
            .env("KUBECONFIG", dir.join("home/kubeconfig"))
            .env("HTTP_PROXY", NO_NETWORK)
            .env("HTTPS_PROXY", NO_NETWORK)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(version) = &inputs.kube_version {
            command.arg("--kube-version").arg(version);
        }
        for version in &inputs.api_versions {
            command.arg("--api-versions").arg(version);
        }
        let done = tokio::time::timeout(PATIENCE, output(command, chart)).await;
        done.map_err(|_| {
            Failure::error(format!(
                "helm takes longer than {} s over {}",
                PATIENCE.as_secs(),
                name(chart)
            ))
            .code(Code::ChartRender)
            .help("look for a template that counts too far; nothing was written")
        })?
    }
}

fn name(chart: &Path) -> String {
    let name = chart.file_stem().unwrap_or_default();
    format!("the chart `{}`", name.to_string_lossy())
}

async fn output(mut command: Command, chart: &Path) -> Result<String, Failure> {
    let failed = |e| {
        Failure::error("helm cannot be run")
            .code(Code::ChartRender)
            .because(e)
    };
    let mut child = command.spawn().map_err(failed)?;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    if let (Some(stdout), Some(stderr)) = (stdout, stderr) {
        let (mut stdout, mut stderr) = (stdout.take(MAX_OUTPUT), stderr.take(1 << 20));
        let both = tokio::join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut err));
        both.0.and(both.1).map_err(failed)?;
    }
    if out.len() as u64 == MAX_OUTPUT {
        let message = format!("{} renders more than {} MiB", name(chart), MAX_OUTPUT >> 20);
        return Err(Failure::error(message)
            .code(Code::ChartRender)
            .help("no plan takes so much; render less of it by its values"));
    }
    let status = child.wait().await.map_err(failed)?;
    if !status.success() {
        let said = String::from_utf8_lossy(&err);
        let said = said.trim().trim_start_matches("Error: ");
        let last: Vec<&str> = said.lines().filter(|l| !l.trim().is_empty()).collect();
        let shown = last[last.len().saturating_sub(6)..].join("; ");
        return Err(
            Failure::error(format!("helm does not render {}: {shown}", name(chart)))
                .code(Code::ChartRender)
                .help("the message is helm's; correct the values, or the chart"),
        );
    }
    String::from_utf8(out).map_err(|e| {
        Failure::error(format!("{} renders what is not UTF-8", name(chart)))
            .code(Code::ChartRender)
            .because(e)
    })
}

fn in_path() -> Option<PathBuf> {
    let path = env::var_os(env::PATH)?;
    std::env::split_paths(&path)
        .map(|dir| dir.join("helm"))
        .find(|p| p.is_file())
}
