//! Support of the suites: a throw-away project, the real binary, and the sandbox's ground truth.
//!
//! Every command is a process of its own with a cleared environment. The sandbox of a project is one
//! server that the first command starts and [`Env`] stops.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use zonewright_sandbox::control::Client;
use zonewright_sandbox::fault::{Fault, Kind};

pub mod control_plane;
pub mod fuzz;
pub mod many;
pub mod served;
pub mod simulation;
pub mod truth;

/// A copy of a project in a directory of its own, with its own sandbox.
pub struct Env {
    dir: tempfile::TempDir,
    binary: PathBuf,
    runtime: tokio::runtime::Runtime,
    extra: Vec<(String, String)>,
}

/// What a command did.
pub struct Output {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// What it wrote to the standard output.
    pub stdout: String,
    /// What it wrote to the error output.
    pub stderr: String,
}

impl Output {
    /// Both outputs, for messages of failing tests.
    pub fn text(&self) -> String {
        format!(
            "exit {}\n--- stdout\n{}\n--- stderr\n{}",
            self.code, self.stdout, self.stderr
        )
    }

    /// The standard output as JSON.
    pub fn json(&self) -> Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(e) => panic!("no JSON: {e}\n{}", self.text()),
        }
    }
}

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Says that a test does not run because something is absent; fails where suites are required, as in CI.
#[expect(
    clippy::print_stderr,
    reason = "who reads the output of a test should know what it did not do"
)]
pub fn skip(absent: &str) {
    let required = std::env::var_os("ZONEWRIGHT_REQUIRE_SUITES").is_some();
    assert!(!required, "{absent}");
    eprintln!("skipped 1 test: {absent}");
}

/// The renderings of real charts beside the checkout, if they are there.
pub fn renderings() -> Option<PathBuf> {
    let dir = root().join("../shared/manifests");
    if dir.is_dir() {
        return Some(dir);
    }
    skip(&format!("no renderings in {}", dir.display()));
    None
}

/// helm, if `tests/tools/helm` fetched it.
pub fn helm() -> Option<PathBuf> {
    let found = Command::new(root().join("tests/tools/helm"))
        .arg("--find")
        .output();
    let found = found.ok().filter(|o| o.status.success());
    let dir = found.and_then(|o| String::from_utf8(o.stdout).ok());
    if let Some(dir) = dir {
        return Some(PathBuf::from(dir.trim()).join("helm"));
    }
    skip("no helm: `tests/tools/helm` fetches it");
    None
}

impl Env {
    /// A copy of `examples/<name>`.
    pub fn example(name: &str, binary: &str) -> Env {
        let env = Env::empty(binary);
        copy(&root().join("examples").join(name), env.path());
        env
    }

    /// A copy of `tests/projects/<name>`.
    pub fn project(name: &str, binary: &str) -> Env {
        let env = Env::empty(binary);
        copy(&root().join("tests/projects").join(name), env.path());
        env
    }

    /// An empty directory.
    pub fn empty(binary: &str) -> Env {
        Env {
            dir: tempfile::tempdir().expect("a temporary directory"),
            binary: binary.into(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            extra: Vec::new(),
        }
    }

    /// The project's directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Sets an environment variable for every later command.
    pub fn set(&mut self, name: &str, value: &str) {
        self.extra.retain(|(n, _)| n != name);
        self.extra.push((name.to_owned(), value.to_owned()));
    }

    /// The command line under test, against the sandbox.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.bare(&["--sandbox"]);
        command.args(args);
        command
    }

    /// The same without `--sandbox`.
    pub fn bare(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path())
            .env("COLUMNS", "100")
            .envs(std::env::var_os("ZONEWRIGHT_BREAK").map(|v| ("ZONEWRIGHT_BREAK", v)))
            .envs(self.extra.iter().map(|(n, v)| (n, v)))
            .current_dir(self.path())
            .args(args)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        finish(
            self.command(args)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn(),
        )
    }

    /// Runs a command that has to end with this code.
    pub fn expect(&self, code: i32, args: &[&str]) -> Output {
        let output = self.run(args);
        assert_eq!(output.code, code, "{args:?}: {}", output.text());
        output
    }

    /// Starts a command.
    pub fn spawn(&self, args: &[&str]) -> Child {
        self.command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts")
    }

    /// Plan and drift must find nothing to do.
    pub fn assert_settled(&self) {
        self.expect(0, &["plan", "--detailed-exitcode"]);
        self.expect(0, &["drift"]);
    }

    /// Replaces text in a file of the project.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.path().join(file);
        let text = std::fs::read_to_string(&path).expect("the file is there");
        assert!(text.contains(from), "{file} does not hold {from:?}");
        std::fs::write(path, text.replacen(from, to, 1)).expect("the file can be written");
    }

    /// Writes a file of the project.
    pub fn write(&self, file: &str, text: &str) {
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder");
        std::fs::write(path, text).expect("the file can be written");
    }

    /// All bytes of the state's files, by name.
    pub fn state_bytes(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut out = Vec::new();
        read_all(&self.path().join(".zonewright/sandbox/state"), &mut out);
        out
    }

    /// The sandbox's server, started when there is none.
    pub fn client(&self) -> Client {
        let dir = self.path().join(".zonewright/sandbox");
        for _ in 0..2 {
            if let Some(ready) = self
                .runtime
                .block_on(zonewright_sandbox::lifecycle::attach(&dir))
            {
                return Client::new(&ready.control_url()).expect("a control URL");
            }
            // Any command that needs the world starts its server.
            self.run(&["sandbox", "requests"]);
        }
        panic!("the sandbox does not start");
    }

    /// Where the sandbox's server listens.
    pub fn origin(&self) -> String {
        let dir = self.path().join(".zonewright/sandbox");
        self.client();
        let ready = self
            .runtime
            .block_on(zonewright_sandbox::lifecycle::attach(&dir));
        format!("http://{}", ready.expect("it runs").address())
    }

    /// The tokens and addresses that the sandbox gives its clients.
    pub fn ready(&self) -> zonewright_sandbox::lifecycle::Ready {
        self.client();
        let dir = self.path().join(".zonewright/sandbox");
        let ready = self
            .runtime
            .block_on(zonewright_sandbox::lifecycle::attach(&dir));
        ready.expect("it runs")
    }

    /// Waits for a future of the control client.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// The ground truth.
    pub fn dump(&self) -> Value {
        let client = self.client();
        self.wait(client.dump()).expect("the dump")
    }

    /// The documents of one table of the ground truth.
    pub fn table(&self, service: &str, table: &str) -> Vec<Value> {
        let dump = self.dump();
        let rows = &dump[service][table];
        rows.as_object()
            .into_iter()
            .flatten()
            .map(|(_, v)| v.clone())
            .collect()
    }

    /// Every request since the log was cleared.
    pub fn requests(&self) -> Vec<Value> {
        let client = self.client();
        let all = self.wait(client.requests()).expect("the requests");
        all.as_array().cloned().unwrap_or_default()
    }

    /// The requests that changed something.
    pub fn mutations(&self) -> Vec<Value> {
        let mut all = self.requests();
        all.retain(|r| r["mutating"] == true);
        all
    }

    /// Empties the log of requests.
    pub fn clear_requests(&self) {
        let client = self.client();
        self.wait(client.clear_requests())
            .expect("the log is cleared");
    }

    /// Arms a fault.
    pub fn fault(&self, method: &str, path: &str, nth: u64, kind: Kind) {
        let client = self.client();
        let fault = Fault {
            service: None,
            method: (!method.is_empty()).then(|| method.to_owned()),
            path: Some(path.to_owned()),
            nth,
            count: 1,
            kind,
        };
        self.wait(client.add_fault(&fault))
            .expect("the fault is armed");
    }

    /// Has every cluster answer 403 with this body to whatever would change something, or tries to.
    pub fn refuse_writes(&self, body: &Value) {
        let client = self.client();
        for method in ["POST", "PUT", "PATCH", "DELETE", "TRY"] {
            let fault = Fault {
                service: Some("kubernetes".to_owned()),
                method: Some(method.to_owned()),
                path: None,
                nth: 1,
                count: 1_000_000,
                kind: Kind::Status {
                    code: 403,
                    body: Some(body.clone()),
                    headers: std::collections::BTreeMap::new(),
                },
            };
            self.wait(client.add_fault(&fault))
                .expect("the fault is armed");
        }
    }

    /// Disarms all faults and releases what is held.
    pub fn clear_faults(&self) {
        let client = self.client();
        self.wait(client.clear_faults())
            .expect("the faults are cleared");
        self.wait(client.release())
            .expect("what was held is released");
    }

    /// Waits until a request is held or the command ended; true when one is held.
    pub fn wait_held(&self, child: &mut Child) -> bool {
        let client = self.client();
        let deadline = Instant::now() + Duration::from_secs(120);
        while Instant::now() < deadline {
            let held = self.wait(client.held()).expect("the held requests");
            if held.as_array().is_some_and(|h| !h.is_empty()) {
                return true;
            }
            if child.try_wait().expect("the child can be asked").is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("neither held nor over");
    }

    /// Sends a request of somebody else's to the sandbox; gives back the status and the body.
    pub fn meddle(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let ready = self.ready();
        let cluster = path.starts_with("/clusters/");
        let url = match cluster {
            true => format!("https://{}{path}", ready.endpoints().clusters),
            false => format!("http://{}{path}", ready.address()),
        };
        self.wait(async {
            let client = trusting(ready.cluster_authority());
            let method = method.parse().expect("a method");
            let mut request = client.request(method, url).bearer_auth(token);
            if let Some(body) = body {
                let kind = if cluster {
                    "application/merge-patch+json"
                } else {
                    "application/json"
                };
                request = request.header("content-type", kind).body(body.to_string());
            }
            let reply = request.send().await.expect("a reply");
            let status = reply.status().as_u16();
            let text = reply.text().await.expect("a body");
            (status, serde_json::from_str(&text).unwrap_or(Value::Null))
        })
    }
}

impl Drop for Env {
    fn drop(&mut self) {
        let _ = self.bare(&["--sandbox", "sandbox", "stop"]).output();
    }
}

/// An HTTP client that trusts one authority and nobody else.
///
/// # Panics
/// The certificate is none.
pub fn trusting(authority: &str) -> reqwest::Client {
    zonewright_providers::install_crypto();
    let certificate = reqwest::Certificate::from_pem(authority.as_bytes());
    let client = reqwest::Client::builder()
        .tls_certs_only([certificate.expect("a certificate")])
        .no_proxy();
    client.build().expect("a client")
}

/// Waits for a started command.
pub fn finish(child: std::io::Result<Child>) -> Output {
    let output = child
        .and_then(Child::wait_with_output)
        .expect("the binary runs");
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from)
        .expect("the example is there")
        .flatten()
    {
        let name = entry.file_name();
        // What a user left behind by trying the example out is not part of it.
        if name == ".zonewright" || name == "state" {
            continue;
        }
        let target = to.join(&name);
        if entry.path().is_dir() {
            std::fs::create_dir_all(&target).expect("a folder");
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a file");
        }
    }
}

fn read_all(dir: &Path, out: &mut Vec<(PathBuf, Vec<u8>)>) {
    let mut entries: Vec<_> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            read_all(&path, out);
        } else if let Ok(bytes) = std::fs::read(&path) {
            out.push((path, bytes));
        }
    }
}
