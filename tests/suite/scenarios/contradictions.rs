//! What holds contradictions apart by construction: there is one meaning, and nothing to set.

use super::example;

fn generated(file: &str) -> String {
    let env = example();
    env.expect(0, &["observability", file]).stdout
}

/// X7: a redirect is followed, and only 200 is success.
#[test]
fn x7_only_200_counts_as_served() {
    let modules = generated("blackbox.yml");
    let after = modules.split("valid_status_codes:").nth(1).unwrap();
    let codes: Vec<&str> = after
        .split(|c: char| !c.is_ascii_digit())
        .filter(|word| word.len() == 3)
        .collect();
    assert_eq!(codes, ["200"], "{modules}");
    assert_eq!(modules.matches("valid_status_codes").count(), 1);
}

/// X7, X8: the figures come with what they count, and with where the RPO follows from.
#[test]
fn x7_x8_plans_say_what_the_objectives_count() {
    let env = example();
    let plan = env.expect(0, &["plan", "-v"]).stdout;
    for text in [
        "RTO: from the declaration of a disaster until the shared name answers 200 from this zone",
        "RPO: the age of the newest data that survives",
        "by replication",
    ] {
        assert!(plan.contains(text), "{text}: {plan}");
    }
    // There is nothing to define them otherwise.
    env.edit(
        "zonewright.toml",
        "rto = \"30m\"",
        "rto = \"30m\"\nrto_ends = \"301\"",
    );
    let refused = env.expect(1, &["validate"]);
    assert!(refused.text().contains("`rto_ends`"), "{}", refused.text());
}

/// X10: the lag that calls somebody is the lag that `verify` refuses, and no threshold can be set.
#[test]
fn x10_thresholds_are_no_settings() {
    let rules = generated("rules.yml");
    let limit = zonewright_engine::check::LAG_LIMIT.as_secs();
    assert!(
        rules.contains(&format!("dr:replication_lag_seconds > {limit}")),
        "{rules}"
    );
    for key in ["alert_error_ratio = 0.05", "abort_error_ratio = 0.02"] {
        let env = example();
        let owner = "owner = \"platform-team\"";
        env.edit("zonewright.toml", owner, &format!("{owner}\n{key}"));
        let refused = env.expect(1, &["validate"]);
        let name = key.split(' ').next().unwrap();
        assert!(refused.text().contains(name), "{}", refused.text());
    }
}
