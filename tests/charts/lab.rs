//! A small project of two zones, helm, and charts that tests write.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use zonewright_tests::{Env, Output, finish};

const BINARY: &str = env!("CARGO_BIN_EXE_zonewright-under-test");

const ROOT: &str = r#"[project]
name = "lab"
zones = ["pz", "bz"]
active = "pz"

[secret]
token = { env = "DIGITALOCEAN_TOKEN" }

[providers.digitalocean]
token = "${secret.token}"
"#;

const PZ: &str = r#"[zone]
region = "nyc3"
cidr = "10.10.0.0/16"
replicas = 2

[digitalocean.vpc.main]
name = "vpc-${zone.name}"
region = "${zone.region}"
ip_range = "${zone.cidr}"

[digitalocean.kubernetes_cluster.main]
name = "k-${zone.name}"
region = "${zone.region}"
version = "1.34"
vpc = "${digitalocean.vpc.main.id}"
node_pool = { size = "s-2vcpu-4gb", min = 1, max = 2 }

[providers.kubernetes]
cluster = "${digitalocean.kubernetes_cluster.main}"

[kubernetes.manifest.app]
object = { apiVersion = "v1", kind = "Namespace", metadata = { name = "app" } }

"#;

const BZ: &str = "[zone]\nextends = \"pz\"\nregion = \"sfo3\"\ncidr = \"10.20.0.0/16\"\n";

/// A template of one ConfigMap.
pub(crate) const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  zone: {{ .Values.zone | quote }}\n  version: {{ .Chart.Version | quote }}\n";

/// A project with charts.
pub(crate) struct Lab {
    pub(crate) env: Env,
    helm: PathBuf,
}

impl Lab {
    /// A project whose pz has these tables; `None`, and said so, where there is no helm.
    pub(crate) fn new(tables: &str) -> Option<Lab> {
        let helm = zonewright_tests::helm()?;
        let mut env = Env::empty(BINARY);
        env.write("zonewright.toml", ROOT);
        env.write("zones/pz.toml", &format!("{PZ}{tables}"));
        env.write("zones/bz.toml", BZ);
        env.set("ZONEWRIGHT_HELM", &helm.display().to_string());
        Some(Lab { env, helm })
    }

    /// A copy of the example.
    pub(crate) fn example() -> Option<Lab> {
        let helm = zonewright_tests::helm()?;
        let mut env = Env::example("wordpress-dr", BINARY);
        env.set("ZONEWRIGHT_HELM", &helm.display().to_string());
        Some(Lab { env, helm })
    }

    /// A declaration of the chart `web`.
    pub(crate) fn web(chart: &str) -> String {
        format!(
            "[kubernetes.chart.web]\nchart = \"{chart}\"\nnamespace = \"app\"\nvalues = {{ zone = \"${{zone.name}}\" }}\n"
        )
    }

    /// Runs a command of `charts` to its end; it works on no sandbox.
    pub(crate) fn charts(&self, code: i32, args: &[&str]) -> Output {
        let mut all = vec!["charts"];
        all.extend(args);
        let mut command = self.env.bare(&all);
        let output = finish(
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn(),
        );
        assert_eq!(output.code, code, "{all:?}: {}", output.text());
        output
    }

    /// Writes a chart below the project.
    pub(crate) fn chart(&self, dir: &str, name: &str, version: &str, templates: &[(&str, &str)]) {
        let metadata = format!("apiVersion: v2\nname: {name}\nversion: {version}\n");
        self.env.write(&format!("{dir}/Chart.yaml"), &metadata);
        for (file, text) in templates {
            self.env.write(&format!("{dir}/templates/{file}"), text);
        }
    }

    /// The archive that helm packs of a chart.
    pub(crate) fn packed(&self, dir: &str) -> Vec<u8> {
        let out = tempfile::tempdir().unwrap();
        let text = self.helm(&["package", dir, "-d", &out.path().display().to_string()]);
        let entry = std::fs::read_dir(out.path()).unwrap().next();
        std::fs::read(entry.expect(&text).unwrap().path()).unwrap()
    }

    /// Runs helm itself in the project.
    pub(crate) fn helm(&self, args: &[&str]) -> String {
        let output = Command::new(&self.helm)
            .args(args)
            .env_clear()
            .env("HOME", self.env.path().join(".helm"))
            .current_dir(self.env.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "helm {args:?}: {text}{err}");
        text
    }

    /// A file of the project.
    pub(crate) fn read(&self, path: &str) -> String {
        let full = self.env.path().join(path);
        std::fs::read_to_string(full).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// Whether the project has a file.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.env.path().join(path).exists()
    }

    /// Every file that `charts lock` may write, with its bytes.
    pub(crate) fn vendored(&self) -> Vec<(String, Vec<u8>)> {
        let mut out = Vec::new();
        all(&self.env.path().join("charts"), &mut out);
        all(&self.env.path().join("charts.lock"), &mut out);
        out
    }
}

fn all(path: &Path, out: &mut Vec<(String, Vec<u8>)>) {
    if let Ok(bytes) = std::fs::read(path) {
        out.push((path.display().to_string(), bytes));
        return;
    }
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .collect();
    entries.sort();
    entries.iter().for_each(|e| all(e, out));
}
