//! A project that cannot be written: who only looks needs to write nothing, who would change something is told
//! before the first request.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use zonewright_tests::{Env, Output, finish, skip};

use super::{BINARY, example};

/// Somebody whom modes hold: whoever runs the test, or nobody instead of root.
struct Somebody {
    root: bool,
    binary: PathBuf,
}

const NOBODY: u32 = 65534;

impl Somebody {
    /// Gives the project to him; without the means to become him the test is skipped, and that is said.
    fn of(env: &Env) -> Option<Somebody> {
        let root = rustix::process::geteuid().is_root();
        if !root {
            return Some(Somebody {
                root,
                binary: BINARY.into(),
            });
        }
        if !Path::new("/usr/bin/setpriv").exists() {
            skip("no setpriv, and root may write everything");
            return None;
        }
        // Where the build is need not be open to him.
        let binary = env.path().join("zonewright");
        std::fs::copy(BINARY, &binary).unwrap();
        each(env.path(), &|path, _| {
            std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        });
        Some(Somebody { root, binary })
    }

    fn run(&self, env: &Env, world: &[&str], args: &[&str]) -> Output {
        let mut command = env.bare(&[]);
        if self.root {
            let like = command;
            command = Command::new("/usr/bin/setpriv");
            let id = NOBODY.to_string();
            command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
            command
                .arg(&self.binary)
                .current_dir(env.path())
                .env_clear();
            let given = like.get_envs().filter_map(|(n, v)| Some((n, v?)));
            command.envs(given);
        }
        command.args(world).args(args);
        command.stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::piped());
        finish(command.spawn())
    }
}

/// Everything under a directory and itself; whether it is a directory is told, too.
fn each(path: &Path, act: &dyn Fn(&Path, bool)) {
    let directory = path.is_dir();
    if directory {
        for entry in std::fs::read_dir(path).unwrap().flatten() {
            each(&entry.path(), act);
        }
    }
    act(path, directory);
}

/// Takes the right to write away, or gives it back.
fn let_write(path: &Path, on: bool) {
    each(path, &|path, _| {
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        let mode = if on { mode | 0o200 } else { mode & !0o222 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    });
}

#[test]
fn who_only_looks_needs_to_write_nothing() {
    let env = example();
    let Some(somebody) = Somebody::of(&env) else {
        return;
    };
    let run = |args: &[&str]| somebody.run(&env, &["--sandbox"], args);
    let expect = |code: i32, args: &[&str]| {
        let output = run(args);
        assert_eq!(output.code, code, "{args:?}: {}", output.text());
        output
    };
    expect(0, &["apply", "--auto-approve"]);
    expect(0, &["verify", "--zone", "bz"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(elsewhere.path(), open).unwrap();
    let saved = elsewhere.path().join("all.plan").display().to_string();

    let_write(env.path(), false);
    env.clear_requests();
    expect(0, &["plan", "--detailed-exitcode"]);
    expect(0, &["plan", "-o", &saved]);
    expect(0, &["show", &saved]);
    expect(0, &["show"]);
    expect(0, &["drift"]);
    expect(0, &["cost"]);
    expect(0, &["readiness"]);
    let verify = expect(0, &["verify", "--zone", "bz", "--only", "namespaces"]);
    let unkept = "what was proven is not kept: cannot write ";
    assert!(verify.stderr.contains(unkept), "{}", verify.text());
    assert!(env.mutations().is_empty(), "{:?}", env.mutations());
    env.clear_requests();
    for command in [
        &["apply", "--auto-approve"][..],
        &["apply", &saved],
        &["destroy", "--zone", "bz", "--auto-approve"],
    ] {
        let refused = run(command);
        assert_eq!(refused.code, 1, "{command:?}: {}", refused.text());
        let said = "cannot write to ";
        assert!(refused.stderr.contains(said), "{}", refused.text());
        assert!(
            refused.stderr.contains("nothing was sent"),
            "{}",
            refused.text()
        );
    }
    assert_eq!(env.requests(), Vec::<serde_json::Value>::new());

    let_write(env.path(), true);
    expect(0, &["apply", "--auto-approve"]);
    expect(0, &["plan", "--detailed-exitcode"]);
    expect(0, &["drift"]);
    expect(0, &["sandbox", "stop"]);
}

/// The same in the live world, where what this host keeps is in the project itself, and was never made.
#[test]
fn a_project_that_was_never_applied_can_be_planned_without_writing() {
    let mut env = Env::empty(BINARY);
    let root = "[project]\nname = \"p\"\nactive = \"a\"\nzones = [\"a\"]\n\n[secret]\ntoken = { env = \"DIGITALOCEAN_TOKEN\" }\n\n[providers.digitalocean]\ntoken = \"${secret.token}\"\n";
    env.write("project/zonewright.toml", root);
    let zone = "[zone]\nregion = \"nyc3\"\n\n[digitalocean.vpc.main]\nname = \"v\"\nregion = \"${zone.region}\"\nip_range = \"10.30.0.0/16\"\n";
    env.write("project/zones/a.toml", zone);
    // The sandbox of an example stands in for the vendors.
    let vendors = example();
    for (name, value) in vendors.ready().env() {
        if !name.starts_with("ZONEWRIGHT_") {
            env.set(name, &value);
        }
    }
    let Some(somebody) = Somebody::of(&env) else {
        return;
    };
    let project = env.path().join("project");
    let_write(&project, false);
    let at = ["-C", "project"];
    let plan = somebody.run(
        &env,
        &at,
        &["plan", "--detailed-exitcode", "--format", "json"],
    );
    assert_eq!(plan.code, 2, "{}", plan.text());
    assert_eq!(plan.json()["summary"]["create"], json!(1));
    vendors.clear_requests();
    let refused = somebody.run(&env, &at, &["apply", "--auto-approve"]);
    assert_eq!(refused.code, 1, "{}", refused.text());
    let said = "cannot write to ";
    assert!(refused.stderr.contains(said), "{}", refused.text());
    assert!(vendors.requests().is_empty(), "{:?}", vendors.requests());
    let_write(&project, true);
    let applied = somebody.run(&env, &at, &["apply", "--auto-approve"]);
    assert_eq!(applied.code, 0, "{}", applied.text());
    let plan = somebody.run(&env, &at, &["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, 0, "{}", plan.text());
}
