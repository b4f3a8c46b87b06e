//! Counts, bytes and CPU of generated projects: `cargo bench`, one JSON on the standard output.
//!
//! Requests are counted by the sandbox; CPU is user and system time of the child process, as the
//! kernel accounts it. Wall time is not reported: it says more about the machine than about us.
//! A bound that does not hold ends the bench with a message and exit code 1.
#![expect(clippy::print_stdout, reason = "the report is what it is for")]

use std::fmt::Write as _;

use serde_json::{Value, json};
use zonewright_tests::Env;

#[path = "measure/process.rs"]
mod measure;

use measure::{check, cpu_of, peak_of};

const BINARY: &str = env!("CARGO_BIN_EXE_zonewright-under-test");

fn root_file(zones: &str, shared: &str) -> String {
    format!(
        "[project]\nname = \"bench\"\nzones = [{zones}]\nactive = \"a\"\n\n[secret]\ndo = {{ env = \"DIGITALOCEAN_TOKEN\" }}\n\
         cf = {{ env = \"CLOUDFLARE_API_TOKEN\" }}\n\n[providers.digitalocean]\ntoken = \"${{secret.do}}\"\n\n\
         [providers.cloudflare]\ntoken = \"${{secret.cf}}\"\n\n{shared}"
    )
}

const ZONE: &str = "[zone]\nregion = \"nyc3\"\ncidr = \"10.10.0.0/16\"\n";

fn records(n: usize, content: impl Fn(usize) -> String) -> Env {
    let env = Env::empty(BINARY);
    let mut zone = ZONE.to_owned();
    for i in 0..n {
        let _ = write!(
            zone,
            "\n[cloudflare.dns_record.r{i}]\nzone = \"guajiro.xyz\"\nname = \"r{i}\"\nttl = 60\n{}\n",
            content(i)
        );
    }
    env.write("zonewright.toml", &root_file("\"a\"", ""));
    env.write("zones/a.toml", &zone);
    env
}

fn objects(n: usize) -> Env {
    let env = Env::empty(BINARY);
    let mut yaml = String::new();
    for i in 0..n {
        let _ = write!(
            yaml,
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c{i}\n  namespace: default\ndata:\n  key: value-{i}\n"
        );
    }
    let zone = format!(
        "{ZONE}\n[digitalocean.vpc.main]\nname = \"vpc\"\nregion = \"nyc3\"\nip_range = \"10.10.0.0/16\"\n\n\
         [digitalocean.kubernetes_cluster.main]\nname = \"c\"\nregion = \"nyc3\"\nversion = \"1.34\"\n\
         vpc = \"${{digitalocean.vpc.main.id}}\"\nnode_pool = {{ size = \"s-2vcpu-4gb\", count = 1 }}\n\n\
         [providers.kubernetes]\ncluster = \"${{digitalocean.kubernetes_cluster.main}}\"\n\n\
         [kubernetes.manifest.many]\nfile = \"many.yaml\"\n"
    );
    env.write("zonewright.toml", &root_file("\"a\"", ""));
    env.write("zones/a.toml", &zone);
    env.write("many.yaml", &yaml);
    env
}

/// Applies, then plans once more: requests and CPU of the unchanged plan, bytes of the state.
fn measure(env: &Env) -> Value {
    let apply = cpu_of(|| {
        env.expect(0, &["apply", "--auto-approve", "--parallelism", "32"]);
    });
    env.clear_requests();
    let plan = cpu_of(|| {
        env.expect(0, &["plan", "--detailed-exitcode"]);
    });
    let requests = env.requests().len();
    // One run of a small plan is a few ticks of the clock that CPU is accounted by: their mean is not.
    let runs = (1.0 / plan.max(0.05)).ceil().clamp(3.0, 20.0);
    let plan = cpu_of(|| {
        for _ in 0..runs as u32 {
            env.expect(0, &["plan", "--detailed-exitcode"]);
        }
    }) / runs;
    let state: usize = env
        .state_bytes()
        .iter()
        .filter(|(p, _)| p.ends_with("a.state.json"))
        .map(|(_, b)| b.len())
        .sum();
    json!({ "apply_cpu_s": apply, "plan_cpu_s": plan, "plan_requests": requests, "state_bytes": state })
}

/// 100,000 records in ten zones, planned unchanged.
fn unchanged_100k(failures: &mut Vec<String>) -> Value {
    let env = Env::empty(BINARY);
    let zones: Vec<String> = ('a'..='j').map(String::from).collect();
    let named: Vec<String> = zones.iter().map(|z| format!("\"{z}\"")).collect();
    env.write("zonewright.toml", &root_file(&named.join(", "), ""));
    for (at, zone) in zones.iter().enumerate() {
        let mut text = ZONE.replace("10.10.", &format!("10.{}.", 10 + at));
        for i in 0..10_000 {
            let _ = write!(
                text,
                "\n[cloudflare.dns_record.r{i}]\nzone = \"guajiro.xyz\"\nname = \"{zone}{i}\"\nttl = 60\ntype = \"A\"\ncontent = \"192.0.2.{}\"\n",
                i % 250 + 1
            );
        }
        env.write(&format!("zones/{zone}.toml"), &text);
    }
    env.expect(0, &["apply", "--auto-approve", "--parallelism", "64"]);
    env.clear_requests();
    let mut memory = 0;
    let plan = &["--sandbox", "plan", "--detailed-exitcode"];
    let cpu = cpu_of(|| memory = peak_of(&mut env.bare(plan)));
    check(failures, "CPU seconds of 100,000 unchanged", cpu, 3.0);
    check(
        failures,
        "memory of 100,000 unchanged",
        memory as f64,
        500e6,
    );
    json!({ "plan_cpu_s": cpu, "plan_memory": memory, "plan_requests": env.requests().len() })
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or(f64::MAX)
}

/// A chain of 500 and a fan of 1,000.
fn shapes(report: &mut Value, failures: &mut Vec<String>) {
    let chain = |i: usize| match i {
        0 => "type = \"A\"\ncontent = \"192.0.2.1\"".to_owned(),
        _ => format!(
            "type = \"CNAME\"\ncontent = \"${{cloudflare.dns_record.r{}.hostname}}\"",
            i - 1
        ),
    };
    let fan = |i: usize| match i {
        0 => "type = \"A\"\ncontent = \"192.0.2.1\"".to_owned(),
        _ => "type = \"CNAME\"\ncontent = \"${cloudflare.dns_record.r0.hostname}\"".to_owned(),
    };
    report["chain_500"] = measure(&records(500, chain));
    check(
        failures,
        "bytes of the state of a chain of 500",
        number(&report["chain_500"], "state_bytes"),
        460_000.0,
    );
    report["fan_1000"] = measure(&records(1_000, fan));
}

fn main() {
    let mut failures = Vec::new();
    let sizes: &[usize] = if std::env::var_os("ZONEWRIGHT_BENCH_SMALL").is_some() {
        &[100, 1_000]
    } else {
        &[100, 1_000, 10_000]
    };
    let mut report = json!({ "version": 1, "records": {}, "objects": {} });
    let a = |i: usize| format!("type = \"A\"\ncontent = \"192.0.2.{}\"", i % 250 + 1);
    for &n in sizes {
        let m = measure(&records(n, a));
        let pages = n.div_ceil(5_000) as f64;
        check(
            &mut failures,
            &format!("requests of {n} records"),
            number(&m, "plan_requests"),
            pages + 2.0,
        );
        report["records"][n.to_string()] = m;
        let m = measure(&objects(n));
        let pages = n.div_ceil(500) as f64;
        check(
            &mut failures,
            &format!("requests of {n} objects"),
            number(&m, "plan_requests"),
            pages + 8.0,
        );
        report["objects"][n.to_string()] = m;
    }
    if sizes.contains(&10_000) {
        report["records_100000"] = unchanged_100k(&mut failures);
        for kind in ["records", "objects"] {
            let ratio = number(&report[kind]["10000"], "plan_cpu_s")
                / number(&report[kind]["1000"], "plan_cpu_s");
            report[kind]["cpu_10k_over_1k"] = json!(ratio);
            check(
                &mut failures,
                &format!("CPU of 10k {kind} over 1k"),
                ratio,
                13.0,
            );
        }
    }
    shapes(&mut report, &mut failures);
    let example = Env::example("wordpress-dr", BINARY);
    report["example"] = measure(&example);
    check(
        &mut failures,
        "requests of the example",
        number(&report["example"], "plan_requests"),
        60.0,
    );
    let runs = 20;
    let start = cpu_of(|| {
        for _ in 0..runs {
            example
                .bare(&["--version"])
                .output()
                .expect("the binary runs");
        }
    }) / f64::from(runs);
    report["version_cpu_s"] = json!(start);
    check(&mut failures, "CPU seconds of --version", start, 0.010);
    report["failures"] = json!(failures);
    println!("{}", serde_json::to_string_pretty(&report).expect("JSON"));
    std::process::exit(i32::from(!failures.is_empty()));
}
