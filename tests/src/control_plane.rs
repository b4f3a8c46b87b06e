//! A real Kubernetes control plane on loopback: etcd, API server and controller manager, built from their
//! authors' sources by `tests/k8s-control-plane/build`. What a machine with nodes would do besides is done
//! by the stand-in in [`kubelet`].

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

pub mod kubelet;

/// What stands before the point of a P-256 key in a SubjectPublicKeyInfo (RFC 5480).
const P256_PUBLIC_KEY: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

const TOKEN: &str = "control-plane-of-a-test";
/// Users beside it, with the rights that cases give them. What `counted` asks for is written down.
pub const USERS: [&str; 2] = ["reader", "counted"];

/// A running control plane; it ends with the value, or with the process.
pub struct ControlPlane {
    dir: tempfile::TempDir,
    port: u16,
    // Ended in this order: the servers before what they store in.
    _children: Vec<Guarded>,
}

/// A child that ends when this process does, however that happens: the shell around it waits for the
/// end of its standard input. What it leaves is thrown away, so it may end at once.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Where the binaries are, if they were built.
pub fn binaries() -> Option<PathBuf> {
    let script = crate::root().join("tests/k8s-control-plane/build");
    let found = Command::new(script).arg("--find").output().ok()?;
    let path = String::from_utf8(found.stdout).ok()?;
    found.status.success().then(|| PathBuf::from(path.trim()))
}

impl ControlPlane {
    /// Starts one and waits until it serves.
    ///
    /// # Errors
    /// A binary does not start, or the API server is not ready within a minute.
    pub fn start(binaries: &Path) -> io::Result<ControlPlane> {
        let dir = tempfile::tempdir()?;
        let [client, peer, port] = free_ports()?;
        let store = format!("http://127.0.0.1:{client}");
        write_keys(dir.path())?;
        std::fs::write(dir.path().join("kubeconfig"), kubeconfig(port, None, TOKEN))?;
        let etcd = guarded(
            &binaries.join("etcd"),
            &[
                format!("-dir={}", dir.path().join("etcd").display()),
                format!("-client={store}"),
                format!("-peer=http://127.0.0.1:{peer}"),
            ],
            &dir.path().join("etcd.log"),
        )?;
        let server = guarded(
            &binaries.join("kube-apiserver"),
            &server_flags(dir.path(), &store, port),
            &dir.path().join("apiserver.log"),
        )?;
        let mut plane = ControlPlane {
            dir,
            port,
            _children: vec![server, etcd],
        };
        plane.wait_ready()?;
        let manager = guarded(
            &binaries.join("kube-controller-manager"),
            &manager_flags(plane.dir.path()),
            &plane.dir.path().join("manager.log"),
        )?;
        plane._children.insert(0, manager);
        Ok(plane)
    }

    /// A kubeconfig with every right.
    ///
    /// # Errors
    /// The certificate that the server made for itself cannot be read.
    pub fn kubeconfig(&self) -> io::Result<String> {
        self.kubeconfig_of(TOKEN)
    }

    /// A kubeconfig of one of the [`USERS`].
    ///
    /// # Errors
    /// The certificate that the server made for itself cannot be read.
    pub fn kubeconfig_for(&self, user: &str) -> io::Result<String> {
        self.kubeconfig_of(&token_of(user))
    }

    /// What the user `counted` has asked for until now, one line each.
    ///
    /// # Errors
    /// The server's record cannot be read.
    pub fn counted(&self) -> io::Result<Vec<String>> {
        let file = self.dir.path().join("audit.log");
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        Ok(text.lines().map(str::to_owned).collect())
    }

    fn kubeconfig_of(&self, token: &str) -> io::Result<String> {
        let pem = std::fs::read(self.dir.path().join("certs/apiserver.crt"))?;
        Ok(kubeconfig(self.port, Some(&STANDARD.encode(pem)), token))
    }

    fn wait_ready(&self) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let certificate = self.dir.path().join("certs/apiserver.crt");
        while Instant::now() < deadline {
            if certificate.exists() && self.is_ready() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let log = std::fs::read_to_string(self.dir.path().join("apiserver.log"))?;
        let last: Vec<&str> = log.lines().rev().take(5).collect();
        Err(io::Error::other(format!("not ready: {}", last.join("\n"))))
    }

    fn is_ready(&self) -> bool {
        let Ok(text) = self.kubeconfig() else {
            return false;
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.is_ok_and(|r| r.block_on(kubelet::answers(&text)))
    }
}

fn server_flags(dir: &Path, store: &str, port: u16) -> Vec<String> {
    let file = |name: &str| dir.join(name).display().to_string();
    let off = [
        // There is no token controller to make the tokens that pods would mount.
        "ServiceAccount",
        // There is no pod network, so no webhook of a chart could answer.
        "MutatingAdmissionWebhook",
        "ValidatingAdmissionWebhook",
    ];
    vec![
        format!("--etcd-servers={store}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", file("certs")),
        format!("--service-account-key-file={}", file("accounts.pub")),
        format!(
            "--service-account-signing-key-file={}",
            file("accounts.key")
        ),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--token-auth-file={}", file("tokens.csv")),
        format!("--audit-policy-file={}", file("audit.yaml")),
        format!("--audit-log-path={}", file("audit.log")),
        "--authorization-mode=RBAC".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--allow-privileged=true".to_owned(),
        format!("--disable-admission-plugins={}", off.join(",")),
        "--enable-priority-and-fairness=false".to_owned(),
    ]
}

fn manager_flags(dir: &Path) -> Vec<String> {
    let controllers = [
        "namespace-controller",
        "garbage-collector-controller",
        "deployment-controller",
        "replicaset-controller",
        "statefulset-controller",
        "daemonset-controller",
        "job-controller",
        "cronjob-controller",
        "endpoints-controller",
        "endpointslice-controller",
        "serviceaccount-controller",
        "disruption-controller",
        "clusterrole-aggregation-controller",
        "ttl-after-finished-controller",
    ];
    vec![
        format!("--kubeconfig={}", dir.join("kubeconfig").display()),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
        format!("--controllers={}", controllers.join(",")),
    ]
}

/// The key that signs tokens of service accounts, and the tokens that the server accepts.
fn write_keys(dir: &Path) -> io::Result<()> {
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
        .map_err(|_| io::Error::other("no randomness for a key"))?;
    let pair = EcdsaKeyPair::from_pkcs8(
        &ECDSA_P256_SHA256_ASN1_SIGNING,
        made.as_ref(),
        &SystemRandom::new(),
    )
    .map_err(|e| io::Error::other(e.to_string()))?;
    let public = [&P256_PUBLIC_KEY, pair.public_key().as_ref()].concat();
    std::fs::write(dir.join("accounts.pub"), pem("PUBLIC KEY", &public))?;
    std::fs::write(dir.join("accounts.key"), pem("PRIVATE KEY", made.as_ref()))?;
    let admin = format!("{TOKEN},admin,admin,\"system:masters\"\n");
    let others = USERS.map(|user| format!("{},{user},{user}\n", token_of(user)));
    std::fs::write(dir.join("tokens.csv"), admin + &others.concat())?;
    let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\n\
         rules: [{level: Metadata, users: [counted]}, {level: None}]\n";
    std::fs::write(dir.join("audit.yaml"), policy)
}

fn token_of(user: &str) -> String {
    format!("{user}-of-a-test")
}

fn pem(what: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    format!("-----BEGIN {what}-----\n{body}\n-----END {what}-----\n")
}

fn kubeconfig(port: u16, authority: Option<&str>, token: &str) -> String {
    let trust = match authority {
        Some(pem) => format!("certificate-authority-data: {pem}"),
        None => "insecure-skip-tls-verify: true".to_owned(),
    };
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: it\n\
         clusters: [{{name: it, cluster: {{server: 'https://127.0.0.1:{port}', {trust}}}}}]\n\
         users: [{{name: it, user: {{token: {token}}}}}]\n\
         contexts: [{{name: it, context: {{cluster: it, user: it}}}}]\n"
    )
}

fn guarded(binary: &Path, flags: &[String], log: &Path) -> io::Result<Guarded> {
    let log = std::fs::File::create(log)?;
    let child = Command::new("/bin/sh")
        .arg("-c")
        .arg(r#""$@" & child=$!; read -r _; kill -9 "$child""#)
        .arg("sh")
        .arg(binary)
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    Ok(Guarded(child))
}

fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
