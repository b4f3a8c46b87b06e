//! The state at 1,000, 10,000 and 100,000 resources: `cargo bench -p zonewright-tests --bench state`, one JSON on
//! the standard output.
//!
//! A child of its own loads and saves each size, so that CPU and memory are of that alone. Bytes are those of the
//! files, appends those that a bucket in the sandbox got. A bound that does not hold ends the bench with exit code 1.
#![expect(clippy::print_stdout, reason = "the report is what it is for")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value as Json, json};
use zonewright_engine::address::{Address, ZoneName};
use zonewright_engine::journal::{Entry, Holder};
use zonewright_engine::snapshot::Record;
use zonewright_engine::value::Value;
use zonewright_sandbox::fault::{Fault, Kind};
use zonewright_state::{StateDir, StateOptions, Writer};
use zonewright_tests::Env;

#[path = "measure/process.rs"]
mod measure;

use measure::{check, cpu_of, own_cpu, peak};

const BINARY: &str = env!("CARGO_BIN_EXE_zonewright-under-test");

/// Names the part that a child of the bench is, and the directory that it works on.
const PART: &str = "ZONEWRIGHT_BENCH_PART";

fn zone() -> ZoneName {
    "a".parse().expect("a zone")
}

fn open(dir: &Path) -> StateDir {
    StateDir::open(dir, StateOptions::new("live", "bench")).expect("a state directory")
}

/// A DNS record as an apply records one.
fn record(i: usize, ttl: u64) -> Record {
    let address: Address = format!("a/cloudflare.dns_record.r{i}")
        .parse()
        .expect("an address");
    let id = format!("{i:032x}");
    let inputs = json!({
        "zone": "guajiro.xyz", "name": format!("r{i}"), "type": "A",
        "content": format!("192.0.2.{}", i % 250 + 1), "ttl": ttl,
    });
    let outputs = json!({
        "id": id, "zone_id": "023e105f4ecef8ad9ca31a8372d0c353", "hostname": format!("r{i}.guajiro.xyz"),
    });
    let instance = "edge/provider.cloudflare".parse().expect("an instance");
    Record {
        inputs: Value::from_json(inputs).expect("a value"),
        outputs: Value::from_json(outputs).expect("a value"),
        ..Record::new(address, instance, id)
    }
}

fn writer(dir: &StateDir) -> Writer {
    let holder = Holder {
        user: "bench".to_owned(),
        host: "host".to_owned(),
        pid: 1,
        command: "apply".to_owned(),
        since: "2026-01-01T00:00:00Z".to_owned(),
    };
    dir.acquire(&[zone()], &holder, Duration::ZERO)
        .expect("the lock")
}

fn put(writer: &Writer, record: Record) {
    let record = Box::new(record);
    let entry = Entry::Import { record };
    writer.append_now(&zone(), vec![entry]).expect("an append");
}

fn fill(dir: &StateDir, n: usize) {
    let writer = writer(dir);
    for start in (0..n).step_by(1_000) {
        let entries = (start..n.min(start + 1_000)).map(|i| Entry::Import {
            record: Box::new(record(i, 60)),
        });
        writer
            .append_now(&zone(), entries.collect())
            .expect("an append");
    }
    writer.release().expect("the lock is given back");
}

fn size(dir: &Path, ending: &str) -> u64 {
    let all = std::fs::read_dir(dir).expect("the state directory");
    let named = all
        .flatten()
        .filter(|e| e.file_name().to_string_lossy().ends_with(ending));
    named.map(|e| e.metadata().expect("a file").len()).sum()
}

/// A child's part: what it measured of itself.
fn part(name: &str, dir: &Path) -> Json {
    let dir = open(dir);
    let base = peak("self").expect("its own memory");
    match name {
        "load" => {
            let before = own_cpu();
            let loaded = dir.read(&[zone()]).expect("the state");
            let n = loaded.state.shards[&zone()].records.len();
            json!({ "resources": n, "cpu_s": own_cpu() - before, "memory": peak("self").map(|p| p - base) })
        }
        _ => {
            let writer = writer(&dir);
            put(&writer, record(0, 61));
            let before = own_cpu();
            writer.checkpoint().expect("a snapshot");
            let cpu = own_cpu() - before;
            writer.release().expect("the lock is given back");
            json!({ "cpu_s": cpu, "memory": peak("self").map(|p| p - base) })
        }
    }
}

fn child(name: &str, dir: &Path) -> Json {
    let own = std::env::current_exe().expect("the bench itself");
    let out = Command::new(own)
        .env(PART, name)
        .arg(dir)
        .output()
        .expect("a child");
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    serde_json::from_slice(&out.stdout).expect("JSON")
}

/// Bytes that the journal grows by with each changed resource, one batch each.
fn bytes_of_a_change(dir: &Path, state: &StateDir) -> u64 {
    let writer = writer(state);
    let before = size(dir, ".journal");
    for i in 0..100 {
        put(&writer, record(i, 62));
    }
    let grown = size(dir, ".journal") - before;
    writer.release().expect("the lock is given back");
    grown / 100
}

fn of_size(n: usize, failures: &mut Vec<String>) -> Json {
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path().join("state");
    let state = open(&dir);
    fill(&state, n);
    let bytes = size(&dir, ".state.json");
    let load = child("load", &dir);
    let save = child("save", &dir);
    let change = bytes_of_a_change(&dir, &state);
    let memory = load["memory"].as_f64().expect("bytes") / bytes as f64;
    if n == 100_000 {
        let cpu = load["cpu_s"].as_f64().expect("seconds");
        check(failures, "CPU seconds of loading 100,000", cpu, 1.0);
        let what = "memory of 100,000 loaded over their bytes";
        check(failures, what, memory, 3.0);
    }
    json!({
        "bytes": bytes, "load": load, "memory_over_bytes": memory, "save": save, "bytes_per_change": change,
        "list_cpu_s": list(&dir, n),
    })
}

/// CPU of `state list` over a state of files that holds it all.
fn list(dir: &Path, n: usize) -> f64 {
    let env = Env::empty(BINARY);
    env.write(
        "zonewright.toml",
        "[project]\nname = \"bench\"\nzones = [\"a\"]\nactive = \"a\"\n",
    );
    env.write(
        "zones/a.toml",
        "[zone]\nregion = \"nyc3\"\ncidr = \"10.10.0.0/16\"\n",
    );
    std::fs::rename(dir, env.path().join("state")).expect("the state is moved");
    let mut lines = 0;
    let cpu = cpu_of(|| {
        let out = env
            .bare(&["state", "list"])
            .output()
            .expect("the binary runs");
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        lines = out.stdout.iter().filter(|b| **b == b'\n').count();
    });
    assert_eq!(lines, n, "a line for each resource");
    cpu
}

/// How many objects an apply of `n` independent records puts into the log in a bucket that takes 80 ms for each.
fn appends_over_a_slow_store(n: usize) -> usize {
    let env = Env::empty(BINARY);
    let root = "[project]\nname = \"bench\"\nzones = [\"a\"]\nactive = \"a\"\n\n[secret]\ncf = { env = \"CLOUDFLARE_API_TOKEN\" }\n\
         spaces_access_key = { env = \"SPACES_ACCESS_KEY_ID\" }\nspaces_secret_key = { env = \"SPACES_SECRET_ACCESS_KEY\" }\n\n\
         [providers.cloudflare]\ntoken = \"${secret.cf}\"\n\n[state]\nbackend = \"s3\"\n\n[state.s3]\nbucket = \"wp-state\"\n\
         region = \"fra1\"\nendpoint = \"https://fra1.digitaloceanspaces.com\"\nprefix = \"wp\"\n\
         access_key = \"${secret.spaces_access_key}\"\nsecret_key = \"${secret.spaces_secret_key}\"\n";
    let mut zone = "[zone]\nregion = \"nyc3\"\ncidr = \"10.10.0.0/16\"\n".to_owned();
    for i in 0..n {
        zone.push_str(&format!(
            "\n[cloudflare.dns_record.r{i}]\nzone = \"guajiro.xyz\"\nname = \"r{i}\"\ntype = \"A\"\ncontent = \"192.0.2.{}\"\nttl = 60\n",
            i % 250 + 1
        ));
    }
    env.write("zonewright.toml", root);
    env.write("zones/a.toml", &zone);
    env.run(&["plan"]);
    let client = env.client();
    env.wait(client.add_bucket("wp-state")).expect("a bucket");
    env.expect(0, &["state", "init"]);
    let slow = Fault {
        service: Some("s3".to_owned()),
        method: None,
        path: Some("/_s3/wp-state*".to_owned()),
        nth: 1,
        count: u64::MAX,
        kind: Kind::Delay { ms: 80 },
    };
    env.wait(client.add_fault(&slow))
        .expect("the store is slow");
    env.clear_requests();
    env.expect(0, &["apply", "--auto-approve", "--parallelism", "64"]);
    let dump = env.dump();
    let rows = dump["s3"]["objects/wp-state"].as_object().expect("objects");
    rows.keys().filter(|k| k.contains("/log/")).count()
}

fn main() {
    if let (Ok(name), Some(dir)) = (std::env::var(PART), std::env::args_os().nth(1)) {
        println!("{}", part(&name, Path::new(&dir)));
        return;
    }
    let mut failures = Vec::new();
    let mut report = json!({ "version": 1, "sizes": {} });
    for n in [1_000, 10_000, 100_000] {
        report["sizes"][n.to_string()] = of_size(n, &mut failures);
    }
    let change = |n: &str| {
        report["sizes"][n]["bytes_per_change"]
            .as_f64()
            .expect("bytes")
    };
    let grown = change("100000") / change("1000");
    check(
        &mut failures,
        "bytes of a change in 100,000 over those in 1,000",
        grown,
        1.05,
    );
    let appends = appends_over_a_slow_store(1_000);
    report["appends_of_1000_at_80_ms"] = json!(appends);
    report["failures"] = json!(failures);
    println!("{}", serde_json::to_string_pretty(&report).expect("JSON"));
    std::process::exit(i32::from(!failures.is_empty()));
}
