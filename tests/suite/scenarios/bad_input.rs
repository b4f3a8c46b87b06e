//! Bad input that concerns the state, plans, the disk, the clock, the terminal and signals: what each comes to, and
//! that nothing is lost. `docs/bad-input.md` is the table.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use zonewright_sandbox::fault::Kind;
use zonewright_tests::{Env, Output, finish, skip};

use super::BINARY;

const APPLY: &[&str] = &["--profile", "instant", "apply", "--auto-approve"];

/// One of each kind, its sandbox awake.
fn project() -> Env {
    let env = Env::project("one-of-each", BINARY);
    env.run(&["--profile", "instant", "sandbox", "requests"]);
    env
}

fn applied() -> Env {
    let env = project();
    env.expect(0, APPLY);
    env
}

fn state(env: &Env) -> PathBuf {
    env.path().join(".zonewright/sandbox/state")
}

fn mkfifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// A command, changed a little before it runs.
fn like(env: &Env, args: &[&str], change: impl FnOnce(&mut Command)) -> Output {
    let mut command = env.command(args);
    change(&mut command);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command.spawn())
}

/// The same command with something said to a shell before it.
fn in_shell(env: &Env, before: &str, args: &[&str]) -> Command {
    let command = env.command(args);
    let mut shell = Command::new("/bin/bash");
    shell
        .env_clear()
        .envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .current_dir(env.path())
        .args(["-c", &format!("{before}; exec \"$0\" \"$@\"")])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    shell
}

/// Junk behind a snapshot, and a key in it twice: which of the two holds nobody can say.
#[test]
fn a_snapshot_with_junk_behind_it_or_a_key_twice_is_damaged() {
    let env = applied();
    let file = state(&env).join("pz.state.json");
    let good = std::fs::read_to_string(&file).unwrap();
    let twice = good.replacen("\"serial\": ", "\"serial\": 1,\n  \"serial\": ", 1);
    for (bad, at) in [
        (format!("{good}junk"), good.len()),
        (twice, good.find("\"serial\"").unwrap()),
    ] {
        std::fs::write(&file, bad).unwrap();
        env.clear_requests();
        for command in [&["plan"][..], APPLY] {
            let damaged = env.expect(7, command);
            let byte = damaged.stderr.split("damaged at byte ").nth(1).unwrap();
            let byte: usize = byte.split(':').next().unwrap().parse().unwrap();
            assert!(byte.abs_diff(at) < 40, "{at}: {}", damaged.text());
            assert!(
                damaged.stderr.contains("state restore"),
                "{}",
                damaged.text()
            );
        }
        assert!(env.mutations().is_empty());
    }
    std::fs::write(&file, good).unwrap();
    env.assert_settled();
}

#[test]
fn a_state_that_is_no_file_or_anybody_s_is_refused_before_any_request() {
    let env = applied();
    let dir = state(&env);
    let (file, aside) = (dir.join("pz.state.json"), dir.join("aside"));
    let refused = |words: &str| {
        env.clear_requests();
        for command in [&["plan"][..], APPLY] {
            let output = env.expect(1, command);
            let told: Vec<&str> = output.stderr.split_whitespace().collect();
            assert!(told.join(" ").contains(words), "{words}: {}", output.text());
        }
        assert!(env.mutations().is_empty());
    };
    std::fs::rename(&file, &aside).unwrap();
    mkfifo(&file);
    refused("is not a regular file");
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("aside", &file).unwrap();
    refused("is a symbolic link");
    std::fs::remove_file(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    mode(&file, 0o666);
    refused("pz.state.json can be written by others (mode 0666); run `chmod go-w");
    mode(&file, 0o600);
    mode(&dir, 0o777);
    refused("state can be written by others (mode 0777); run `chmod go-w");
    mode(&dir, 0o700);
    env.assert_settled();
}

#[test]
fn one_thing_is_never_under_two_addresses() {
    let env = applied();
    let networks = env.table("digitalocean", "vpcs");
    let network = networks.iter().find(|v| v["name"] == "vpc-one-pz").unwrap();
    let second = "[digitalocean.vpc.second]\nname = \"vpc-one-${zone.name}\"\nregion = \"${zone.region}\"\nip_range = \"${zone.cidr}\"\n";
    let spec = std::fs::read_to_string(env.path().join("zones/pz.toml")).unwrap();
    env.write("zones/pz.toml", &format!("{spec}\n{second}"));
    env.clear_requests();
    let id = network["id"].as_str().unwrap();
    let import = ["import", "pz/digitalocean.vpc.second", id];
    for command in [&["plan"][..], &import, APPLY] {
        let refused = env.expect(1, command);
        assert!(
            refused.stderr.contains("pz/digitalocean.vpc.second"),
            "{}",
            refused.text()
        );
        let has = match command[0] {
            "import" => "pz/digitalocean.vpc.main",
            _ => id,
        };
        assert!(refused.stderr.contains(has), "{}", refused.text());
    }
    assert!(env.mutations().is_empty());
    env.write("zones/pz.toml", &spec);
    env.assert_settled();
}

#[test]
fn a_plan_that_the_disk_does_not_take_leaves_nothing_behind() {
    let env = project();
    let files = || std::fs::read_dir(env.path()).unwrap().count();
    let before = files();
    let full = finish(in_shell(&env, "trap '' XFSZ; ulimit -f 1", &["plan", "-o", "p"]).spawn());
    assert_eq!(full.code, 1, "{}", full.text());
    assert!(full.stderr.contains("cannot write"), "{}", full.text());
    assert_eq!(files(), before, "neither a plan nor a half of one");
    // A device of that name is still one afterwards.
    let device = env.expect(1, &["plan", "-o", "/dev/null"]);
    assert!(
        device.stderr.contains("no regular file"),
        "{}",
        device.text()
    );
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn what_is_no_file_is_no_plan_and_nobody_waits_for_it() {
    let env = project();
    mkfifo(&env.path().join("pipe"));
    let huge = std::fs::File::create(env.path().join("huge")).unwrap();
    huge.set_len(20 << 30).unwrap();
    env.write("nested", &"[".repeat(1 << 20));
    for (name, code, words) in [
        ("pipe", 1, "is no regular file"),
        ("zones", 1, "is no regular file"),
        ("/dev/zero", 1, "is no regular file"),
        ("huge", 1, "has 21474836480 bytes"),
        ("nested", 4, "is no plan as it was saved"),
    ] {
        for command in ["apply", "show"] {
            let refused = env.expect(code, &[command, name]);
            assert!(refused.stderr.contains(words), "{}", refused.text());
        }
    }
    assert!(env.mutations().is_empty());
}

/// The machine's clock decides nothing about who holds the state, and nothing about what is sent.
#[test]
fn a_clock_that_is_wrong_or_stands_still_changes_nothing() {
    let library = ["x86_64", "aarch64"]
        .map(|machine| format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketimeMT.so.1"));
    let Some(library) = library.iter().find(|l| Path::new(l).exists()) else {
        return skip("no libfaketime (Debian package faketime)");
    };
    let env = project();
    for clock in ["-1h", "+10y", "2031-01-01 00:00:00"] {
        let applied = like(&env, APPLY, |command| {
            command
                .env("LD_PRELOAD", library)
                .env("FAKETIME", clock)
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        });
        assert_eq!(applied.code, 0, "{clock}: {}", applied.text());
        env.assert_settled();
        env.expect(0, &["destroy", "--zone", "bz", "--auto-approve"]);
    }
    // The clock that was meant is the one that was seen.
    env.fault("POST", "/v2/vpcs", 1, Kind::HoldBefore);
    let mut held = env.command(APPLY);
    held.env("LD_PRELOAD", library)
        .env("FAKETIME", "2031-01-01 00:00:00")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut held = held.spawn().unwrap();
    assert!(env.wait_held(&mut held));
    let second = env.expect(5, APPLY);
    let told: Vec<&str> = second.stderr.split_whitespace().collect();
    assert!(
        told.join(" ").contains("since 2031-01-01T"),
        "{}",
        second.text()
    );
    env.clear_faults();
    assert_eq!(finish(Ok(held)).code, 0);
    env.assert_settled();
}

/// What a vendor says is shown, and is no command to the runner of a job that reads along.
#[test]
fn nobody_speaks_to_the_runner_of_a_job_through_us() {
    let mut env = project();
    let said = "no\n::add-mask::x\r##[error]y\n  ::set-output name=z::1\n##vso[task.complete]";
    let refuse = |code| Kind::Status {
        code,
        body: Some(json!({"id": "invalid", "message": said})),
        headers: Default::default(),
    };
    env.edit(
        "manifests/app.yaml",
        "kind: ConfigMap",
        "kind: ConfigMap # ::debug::",
    );
    env.set("GITHUB_ACTIONS", "true");
    for (command, method, code) in [
        (&["-v", "plan"][..], "GET", 422),
        (&["plan", "--format", "json"][..], "GET", 403),
        (APPLY, "POST", 422),
    ] {
        for nth in 1..=4 {
            env.fault(method, "/v2/*", nth, refuse(code));
        }
        let output = env.run(command);
        assert_ne!(output.code, 0, "{}", output.text());
        let shown = output.text();
        assert!(
            shown.contains("add-mask"),
            "it is shown all the same: {shown}"
        );
        for line in shown.split(['\n', '\r']) {
            let obeyed = line.trim_start().starts_with("::")
                || line.contains("##[")
                || line.contains("##vso[");
            assert!(!obeyed, "{line:?} in {shown}");
        }
        env.clear_faults();
    }
    env.expect(0, APPLY);
    env.assert_settled();
}

fn hang_up(env: &Env, before: &str) -> Output {
    env.fault("POST", "/v2/databases", 1, Kind::HoldAfter);
    let mut child = in_shell(env, before, APPLY).spawn().unwrap();
    assert!(env.wait_held(&mut child));
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-HUP", &id])
            .status()
            .unwrap()
            .success()
    );
    std::thread::sleep(Duration::from_millis(50));
    env.clear_faults();
    finish(Ok(child))
}

#[test]
fn a_terminal_that_goes_away_is_an_interruption() {
    let env = project();
    let output = hang_up(&env, ":");
    assert_eq!(output.code, 130, "{}", output.text());
    assert!(output.stderr.contains("To go on: "), "{}", output.text());
    let listed = env.expect(0, &["state", "list"]);
    assert!(
        !listed.stderr.contains("without releasing"),
        "{}",
        listed.text()
    );
    env.expect(0, APPLY);
    env.assert_settled();
    // Who started it with `nohup` wants it to be outlived.
    env.expect(0, &["destroy", "--zone", "bz", "--auto-approve"]);
    let env = project();
    let output = hang_up(&env, "trap '' HUP");
    assert_eq!(output.code, 0, "{}", output.text());
    env.assert_settled();
}

#[test]
fn an_apply_whose_readers_go_away_is_not_cut_off() {
    let env = project();
    env.fault("POST", "/v2/databases", 1, Kind::HoldAfter);
    let mut child = env.spawn(APPLY);
    assert!(env.wait_held(&mut child));
    drop((child.stdout.take(), child.stderr.take()));
    env.clear_faults();
    assert_eq!(finish(Ok(child)).code, 0);
    env.assert_settled();
}

#[test]
fn arguments_and_paths_are_bytes_and_many() {
    let env = Env::project("one-of-each", BINARY);
    let odd = |name: &str| OsString::from_vec([name.as_bytes(), b"-\xff\xfe"].concat());
    let many = like(&env, &["plan"], |command| {
        command.args((0..100_000).map(|n| n.to_string()));
    });
    assert_eq!(many.code, 1, "{}", many.text());
    assert!(many.stderr.len() < 4096, "{} bytes", many.stderr.len());
    for (option, code) in [("--zone", 1), ("--no-such", 1)] {
        let refused = like(&env, &["plan", option], |command| {
            command.arg(odd("x"));
        });
        assert_eq!(refused.code, code, "{}", refused.text());
    }
    // A project may be called anything, and so may a plan.
    let inner = env.path().join(odd("project"));
    std::fs::create_dir(&inner).unwrap();
    for name in ["zonewright.toml", "zones", "manifests"] {
        std::fs::rename(env.path().join(name), inner.join(name)).unwrap();
    }
    let run = |code: i32, args: &[&OsStr]| {
        let done = like(&env, &[], |command| {
            command.args(["--profile", "instant"]).arg("-C").arg(&inner);
            command
                .args(args)
                .env("ODD", odd("value"))
                .env("COLUMNS", odd("80"));
        });
        assert_eq!(done.code, code, "{args:?}: {}", done.text());
    };
    let plan = env.path().join(odd("plan"));
    run(0, &["plan".as_ref(), "-o".as_ref(), plan.as_os_str()]);
    run(0, &["apply".as_ref(), plan.as_os_str()]);
    run(0, &["plan".as_ref(), "--detailed-exitcode".as_ref()]);
    run(0, &["sandbox".as_ref(), "stop".as_ref()]);
}

/// A terminal of so many columns; with none and with too many the output is still whole and plain.
#[test]
fn any_terminal_gets_sane_output() {
    if !Path::new("/usr/bin/script").exists() {
        return skip("no script (Debian package bsdutils)");
    }
    let env = applied();
    let on = |terminal: &str, columns: &str, name: &str, value: &str| {
        let line = format!("{BINARY} --sandbox plan");
        let mut command = Command::new("/usr/bin/script");
        command.args(["-qec", &line, "/dev/null"]);
        command.env_clear().envs(
            env.command(&[])
                .get_envs()
                .filter_map(|(k, v)| Some((k, v?))),
        );
        command
            .env("TERM", terminal)
            .env("COLUMNS", columns)
            .env(name, value);
        command.current_dir(env.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let shown = finish(command.spawn());
        assert_eq!(shown.code, 0, "{}", shown.text());
        assert!(shown.stdout.contains("No changes"), "{}", shown.text());
        shown.stdout
    };
    for columns in ["0", "1", "10000", "-5", "99999999999999999999", "wide"] {
        let plain = on("dumb", columns, "X", "");
        assert!(!plain.contains('\u{1b}'), "{columns}: {plain:?}");
    }
    assert!(on("xterm", "80", "X", "").contains('\u{1b}'));
    assert!(!on("xterm", "80", "NO_COLOR", "1").contains('\u{1b}'));
}

/// No home, no place for temporary files, an umask that forbids nothing.
#[test]
fn a_bare_environment_will_do_and_files_are_private_all_the_same() {
    let env = project();
    let bare = |args: &[&str]| {
        let done = finish(
            in_shell(
                &env,
                "umask 000; unset HOME PATH; export TMPDIR=/nowhere",
                args,
            )
            .spawn(),
        );
        assert_eq!(done.code, 0, "{}", done.text());
    };
    bare(APPLY);
    bare(&["plan", "-o", "p"]);
    let mut files = env
        .state_bytes()
        .into_iter()
        .map(|(path, _)| path)
        .collect::<Vec<_>>();
    assert!(files.len() > 8, "{files:?}");
    files.extend(
        [
            "p",
            ".zonewright/sandbox/digest.key",
            ".zonewright/sandbox/seen.json",
        ]
        .map(|f| env.path().join(f)),
    );
    for file in files {
        let mode = std::fs::metadata(&file).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
    env.assert_settled();
}

/// A token of spaces is none: it is named, and nothing is sent.
#[test]
fn a_blank_token_is_named_and_not_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut env = Env::project("one-of-each", BINARY);
    let url = format!("http://{}", listener.local_addr().unwrap());
    env.set("DIGITALOCEAN_API_URL", &url);
    env.set("CLOUDFLARE_BASE_URL", &url);
    env.set("CLOUDFLARE_API_TOKEN", "a-token-that-is-long-enough");
    env.set("SALT", "a-salt-that-is-long-enough");
    for (token, why) in [
        (None, "is not set"),
        (Some(""), "is empty"),
        (Some("          "), "is empty"),
    ] {
        if let Some(token) = token {
            env.set("DIGITALOCEAN_TOKEN", token);
        }
        let refused = finish(
            env.bare(&["plan"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn(),
        );
        assert_eq!(refused.code, 1, "{}", refused.text());
        let words = format!("DIGITALOCEAN_TOKEN {why}");
        assert!(refused.stderr.contains(&words), "{}", refused.text());
    }
    assert!(listener.accept().is_err(), "somebody was asked");
}
