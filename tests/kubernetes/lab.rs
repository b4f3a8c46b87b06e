//! A project with one zone in one of the two targets, and a hand that changes things behind its back.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use http::Request;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use zonewright_tests::control_plane::{self, ControlPlane, kubelet, kubelet::Kubelet};
use zonewright_tests::many::note;
use zonewright_tests::{Env, Output, finish, skip};

const BINARY: &str = env!("CARGO_BIN_EXE_zonewright-under-test");

/// Where a case runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The Kubernetes that the sandbox emulates.
    Sandbox,
    /// A real API server.
    Real,
}

/// A project in a cluster.
pub(crate) struct Lab {
    target: Target,
    env: Env,
    runtime: Runtime,
    client: kube::Client,
    name: String,
}

struct Shared {
    plane: ControlPlane,
    _kubelet: Kubelet,
}

/// One control plane serves all cases of the process; each has namespaces and names of its own.
fn shared() -> Option<&'static Shared> {
    static SHARED: OnceLock<Option<Result<Shared, String>>> = OnceLock::new();
    let started = SHARED.get_or_init(|| Some(start(&control_plane::binaries()?)));
    let shared = started.as_ref()?.as_ref();
    Some(shared.unwrap_or_else(|why| panic!("the control plane does not start: {why}")))
}

fn start(binaries: &Path) -> Result<Shared, String> {
    let plane = ControlPlane::start(binaries).map_err(|e| e.to_string())?;
    let config = plane.kubeconfig().map_err(|e| e.to_string())?;
    Ok(Shared {
        plane,
        _kubelet: Kubelet::start(config),
    })
}

impl Lab {
    /// Runs a case in a fresh project, and writes down how it ends.
    pub(crate) fn with(target: Target, name: &str, case: fn(&Lab)) {
        let lab = || match target {
            Target::Sandbox => Some(Lab::sandbox()),
            Target::Real => Some(Lab::real(&shared()?.plane)),
        };
        let Some(lab) = lab() else {
            return skip("there is no control plane; run tests/k8s-control-plane/build once");
        };
        let ended = catch_unwind(AssertUnwindSafe(|| case(&lab)));
        lab.note(name, if ended.is_ok() { "ok" } else { "fails" });
        if let Err(why) = ended {
            resume_unwind(why);
        }
    }

    /// Writes a result into the table of `docs/kubernetes.md`, in the column of the target.
    pub(crate) fn note(&self, what: &str, result: &str) {
        let column = match self.target {
            Target::Sandbox => 1,
            Target::Real => 2,
        };
        note(&what.replace('_', " "), column, result);
    }

    fn sandbox() -> Lab {
        let env = Env::empty(BINARY);
        env.write(
            "zonewright.toml",
            "[project]\nname = \"lab\"\nzones = [\"pz\"]\nactive = \"pz\"\n\
             [secret]\ntoken = { env = \"DIGITALOCEAN_TOKEN\" }\n\
             [providers.digitalocean]\ntoken = \"${secret.token}\"\n",
        );
        let zone = "[zone]\nregion = \"nyc3\"\n\
             [digitalocean.kubernetes_cluster.main]\nname = \"lab\"\nregion = \"nyc3\"\nversion = \"1.34\"\n\
             node_pool = { size = \"s-2vcpu-4gb\", min = 1, max = 1 }\n\
             [providers.kubernetes]\ncluster = \"${digitalocean.kubernetes_cluster.main}\"\n";
        env.write("zones/pz.toml", zone);
        env.expect(0, &["apply", "--auto-approve"]);
        let config = env.expect(0, &["kubeconfig", "--zone", "pz"]).stdout;
        Lab::new(Target::Sandbox, env, zone, &config)
    }

    fn real(plane: &ControlPlane) -> Lab {
        let env = Env::empty(BINARY);
        let config = plane.kubeconfig().unwrap();
        env.write("kubeconfig", &config);
        env.write(
            "zonewright.toml",
            "[project]\nname = \"lab\"\nzones = [\"pz\"]\nactive = \"pz\"\n\
             [secret]\nkubeconfig = { file = \"kubeconfig\" }\n",
        );
        let zone = "[zone]\nregion = \"nyc3\"\n\
             [providers.kubernetes]\nkubeconfig = \"${secret.kubeconfig}\"\n";
        Lab::new(Target::Real, env, zone, &config)
    }

    fn new(target: Target, env: Env, zone: &str, config: &str) -> Lab {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        env.write("zone.head", zone);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let client = runtime.block_on(kubelet::client(config)).unwrap();
        Lab {
            target,
            env,
            runtime,
            client,
            name: format!("lab{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// A name that no other case of the process uses, for namespaces and what belongs to none.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The declarations of the zone, beside the cluster.
    pub(crate) fn declare(&self, tables: &str) {
        let head = std::fs::read_to_string(self.env.path().join("zone.head")).unwrap();
        self.env.write("zones/pz.toml", &format!("{head}{tables}"));
    }

    /// Declares the objects of a YAML file; `NAME` stands for the name of the case.
    pub(crate) fn manifest(&self, yaml: &str) {
        self.env
            .write("manifests/lab.yaml", &yaml.replace("NAME", &self.name));
        self.declare("[kubernetes.manifest.lab]\nfile = \"manifests/lab.yaml\"\n");
    }

    /// Appends tables to the root file.
    pub(crate) fn root(&self, tables: &str) {
        let head = std::fs::read_to_string(self.env.path().join("zonewright.toml")).unwrap();
        self.env
            .write("zonewright.toml", &format!("{head}{tables}"));
    }

    /// Takes the digest key away, as on a machine that never had it.
    pub(crate) fn forget_digest_key(&self) {
        let mut removed = 0;
        let mut dirs = vec![self.env.path().to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
                match entry.file_type().unwrap().is_dir() {
                    true => dirs.push(entry.path()),
                    false if entry.file_name() == "digest.key" => {
                        std::fs::remove_file(entry.path()).unwrap();
                        removed += 1;
                    }
                    false => {}
                }
            }
        }
        assert_eq!(removed, 1, "there is one key");
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, file: &str, text: &str) {
        self.env.write(file, text);
    }

    /// Takes the right to write away, or gives it back.
    pub(crate) fn read_only(&self, on: bool) {
        match self.target {
            Target::Sandbox if on => {
                let body = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden",
                    "message": "forbidden: User \"reader\" cannot patch resource", "code": 403 });
                self.env.refuse_writes(&body);
            }
            Target::Sandbox => self.env.clear_faults(),
            Target::Real => {
                let plane = &shared().unwrap().plane;
                if on {
                    return self.act_as(plane, "reader");
                }
                self.env.write("kubeconfig", &plane.kubeconfig().unwrap());
            }
        }
    }

    /// How many requests into the cluster a command makes that ends well.
    pub(crate) fn counted(&self, args: &[&str]) -> usize {
        if self.target == Target::Sandbox {
            self.env.clear_requests();
            self.expect(0, args);
            let all = self.env.requests();
            return all.iter().filter(|r| r["service"] == "kubernetes").count();
        }
        let plane = &shared().unwrap().plane;
        self.act_as(plane, "counted");
        let before = plane.counted().unwrap().len();
        self.expect(0, args);
        let after = plane.counted().unwrap().len();
        self.env.write("kubeconfig", &plane.kubeconfig().unwrap());
        after - before
    }

    /// Has the project use the credentials of somebody who may only look.
    fn act_as(&self, plane: &ControlPlane, user: &str) {
        let root = "/apis/rbac.authorization.k8s.io/v1";
        let name = format!("{}-{user}", self.name);
        let own = |kind: &str| {
            json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
                "metadata": { "name": name } })
        };
        let mut role = own("ClusterRole");
        role["rules"] =
            json!([{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"] }]);
        self.post(&format!("{root}/clusterroles"), &role);
        let mut binding = own("ClusterRoleBinding");
        binding["roleRef"] =
            json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name });
        binding["subjects"] =
            json!([{ "kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io" }]);
        self.post(&format!("{root}/clusterrolebindings"), &binding);
        self.env
            .write("kubeconfig", &plane.kubeconfig_for(user).unwrap());
    }

    /// Runs a command.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let mut command = match self.target {
            Target::Sandbox => self.env.command(args),
            Target::Real => self.env.bare(args),
        };
        finish(
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn(),
        )
    }

    /// Runs a command that has to end with this code.
    pub(crate) fn expect(&self, code: i32, args: &[&str]) -> Output {
        let output = self.run(args);
        assert_eq!(output.code, code, "{args:?}: {}", output.text());
        output
    }

    /// Applies, and finds nothing to do afterwards.
    pub(crate) fn converge(&self) {
        self.expect(0, &["apply", "--auto-approve"]);
        self.assert_settled();
    }

    /// Neither a plan nor drift, twice.
    pub(crate) fn assert_settled(&self) {
        for _ in 0..2 {
            self.expect(0, &["plan", "--detailed-exitcode"]);
            self.expect(0, &["drift"]);
        }
    }

    /// Reads something; `None` when it is not there.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        let request = Request::get(path).body(Vec::new()).unwrap();
        self.send(request).ok()
    }

    /// Changes something as somebody else, by a JSON merge patch.
    pub(crate) fn patch(&self, path: &str, body: &Value) -> Value {
        let request = Request::patch(path)
            .header("content-type", "application/merge-patch+json")
            .body(body.to_string().into_bytes())
            .unwrap();
        self.send(request).unwrap()
    }

    /// Applies something as another field manager, who takes what he wants.
    pub(crate) fn apply(&self, path: &str, manager: &str, body: &Value) -> Value {
        let request = Request::patch(format!("{path}?fieldManager={manager}&force=true"))
            .header("content-type", "application/apply-patch+yaml")
            .body(body.to_string().into_bytes())
            .unwrap();
        self.send(request).unwrap()
    }

    /// Makes something as somebody else.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .body(body.to_string().into_bytes())
            .unwrap();
        self.send(request).unwrap()
    }

    /// Deletes something as somebody else.
    pub(crate) fn delete(&self, path: &str) {
        let request = Request::delete(path).body(Vec::new()).unwrap();
        self.send(request).unwrap();
    }

    fn send(&self, request: Request<Vec<u8>>) -> Result<Value, kube::Error> {
        self.runtime.block_on(self.client.request(request))
    }
}
