//! The properties of [`zonewright_tests::fuzz`], with the committed inputs and seeded changes of them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use zonewright_state::frame::{Next, next};
use zonewright_tests::Env;
use zonewright_tests::fuzz::mutate::{Chance, change};
use zonewright_tests::fuzz::state::sealed;
use zonewright_tests::fuzz::{TARGETS, Target, corpus};

fn inputs(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = corpus(target.name);
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut all: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    all.sort();
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap();
        (path, bytes)
    };
    all.into_iter().map(read).collect()
}

/// Replays the inputs of one target; the panic of a failing one is preceded by its name.
fn replay(name: &str) {
    let target = TARGETS.iter().find(|t| t.name == name).unwrap();
    let inputs = inputs(target);
    assert!(inputs.len() > 1, "{name} has too few inputs");
    let holds = |label: &str, bytes: &[u8]| {
        let held = std::panic::catch_unwind(|| (target.holds)(bytes));
        assert!(
            held.is_ok(),
            "{name} fails for {label}: {}",
            bytes.escape_ascii()
        );
    };
    for (path, bytes) in &inputs {
        holds(&path.display().to_string(), bytes);
    }
    for (n, (path, bytes)) in inputs.iter().enumerate() {
        let mut chance = Chance::new(n as u64 + 1);
        for round in 0..target.changes {
            let (_, other) = &inputs[chance.below(inputs.len())];
            let changed = change(bytes, other, &mut chance);
            holds(&format!("change {round} of {}", path.display()), &changed);
        }
    }
}

macro_rules! targets {
    ($($name:ident)+) => {
        $(#[test] fn $name() { replay(stringify!($name)); })+

        /// Every property has a test here, a program for libFuzzer and a folder of inputs, and no more.
        #[test]
        fn every_target_is_replayed_and_fuzzed() {
            let known: BTreeSet<&str> = TARGETS.iter().map(|t| t.name).collect();
            assert_eq!(known, BTreeSet::from([$(stringify!($name)),+]));
            let listed = |dir: &str| -> BTreeSet<String> {
                let dir = zonewright_tests::root().join("tests/fuzz").join(dir);
                let names = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
                names.map(|p| p.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
            };
            let known: BTreeSet<String> = known.into_iter().map(str::to_owned).collect();
            assert_eq!(listed("corpus"), known);
            assert_eq!(listed("fuzz_targets"), known);
        }
    };
}

targets! { snapshot journal record fold envelope plan spec layout reference digitalocean cloudflare terminal markdown }

fn write(target: &str, name: &str, bytes: &[u8]) {
    std::fs::create_dir_all(corpus(target)).unwrap();
    std::fs::write(corpus(target).join(name), bytes).unwrap();
}

/// A journal, whole and torn, and its records, in the clear and sealed.
fn write_journal(name: &str, bytes: &[u8]) {
    write("journal", name, bytes);
    write(
        "journal",
        &format!("{name}-torn"),
        &bytes[..bytes.len() - 9],
    );
    let (mut at, mut n) = (0, 0);
    while let Next::Frame { payload, end } = next(bytes, at) {
        write("record", &format!("{name}-{n}"), payload);
        write("envelope", &format!("{name}-{n}"), &sealed(payload));
        (at, n) = (end, n + 1);
    }
}

/// What the emulators say to questions.
fn write_replies(env: &Env, target: &str, variable: &str, paths: &[&str]) {
    let ready = env.ready();
    let token = ready.env().into_iter().find(|(n, _)| *n == variable);
    let token = token.unwrap().1;
    for path in paths {
        let (_, body) = env.meddle("GET", path, &token, None);
        let name = path.rsplit('/').next().unwrap();
        write(target, name, body.to_string().as_bytes());
    }
}

/// Makes the inputs anew, from what the program writes and the emulators say; those with a telling name stay.
#[test]
#[ignore = "writes the inputs"]
fn write_the_inputs() {
    let env = Env::project("one-of-each", super::scenarios::BINARY);
    env.expect(0, &["--profile", "instant", "apply", "--auto-approve"]);
    let file = |path: &str| std::fs::read(env.path().join(path)).unwrap();
    let state = |name: &str| file(&format!(".zonewright/sandbox/state/{name}"));
    let first = |name: &str| {
        let dir = zonewright_tests::root().join("state/tests/formats/v1");
        std::fs::read(dir.join(name)).unwrap()
    };
    write("snapshot", "first", &first("pz.state.json"));
    write("snapshot", "edge", &state("edge.state.json"));
    write("snapshot", "bz", &state("bz.state.json"));
    write_journal("first", &first("pz.journal"));
    write_journal("edge", &state("edge.journal"));
    env.expect(0, &["plan", "-o", "p", "--zone", "edge"]);
    write("plan", "edge", &file("p"));
    env.expect(0, &["plan", "-o", "p", "--zone", "bz", "--destroy"]);
    write("plan", "bz", &file("p"));
    for name in ["zones/bz.toml", "zones/pz.toml", "zonewright.toml"] {
        let short = name.rsplit('/').next().unwrap();
        write("spec", short, &file(name));
        write("layout", short, &file(name));
    }
    write("spec", "app.yaml", &file("manifests/app.yaml"));
    let lists = [
        "/v2/vpcs",
        "/v2/databases",
        "/v2/kubernetes/clusters",
        "/v2/nowhere",
    ];
    write_replies(&env, "digitalocean", "DIGITALOCEAN_TOKEN", &lists);
    let zone = super::scenarios::record_documents(&env)[0]["zone_id"].clone();
    let records = format!("/client/v4/zones/{}/dns_records", zone.as_str().unwrap());
    let lists = ["/client/v4/zones", &records, "/client/v4/nowhere"];
    write_replies(&env, "cloudflare", "CLOUDFLARE_API_TOKEN", &lists);
}
