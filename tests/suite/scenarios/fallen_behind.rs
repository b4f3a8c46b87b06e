//! A secondary name server that still has an old answer: half of all users go where it says.

use std::collections::BTreeMap;

use zonewright_sandbox::control::Switches;
use zonewright_tests::Env;

use super::applied;

/// From now on the second server of the zone says this of these names.
fn stale(env: &Env, answers: &[(&str, &str)]) {
    let own = |(name, old): &(&str, &str)| ((*name).to_owned(), (*old).to_owned());
    let mut switches = Switches::default();
    switches.stale_answers = answers.iter().map(own).collect::<BTreeMap<_, _>>();
    env.wait(env.client().set_switches(&switches)).unwrap();
}

fn verify(env: &Env, code: i32) -> String {
    let only = ["--only", "dns-zone", "--only", "dns-active"];
    env.expect(code, &[&["verify", "--zone", "bz"], &only[..]].concat())
        .stdout
}

/// BZ-25: it is said which server answered what, for the names that differ.
#[test]
fn bz_25_a_secondary_that_has_fallen_behind_is_named() {
    let env = applied();
    let endpoints = env.ready().endpoints();
    let (first, second) = (endpoints.dns, endpoints.secondary);
    let good = verify(&env, 0);
    for server in [first, second] {
        let says = format!("wp-active.guajiro.xyz CNAME is wp-pz.guajiro.xyz at {server}");
        assert!(good.contains(&says), "{good}");
    }
    stale(&env, &[("wp-active.guajiro.xyz", "wp-bz.guajiro.xyz")]);
    let bad = verify(&env, 6);
    let (zone, active) = bad.split_once("dns-active").unwrap();
    assert!(zone.contains("pass    dns-zone"), "{bad}");
    let said = format!(
        "wp-active.guajiro.xyz CNAME is wp-bz.guajiro.xyz at {second} instead of wp-pz.guajiro.xyz; \
         wp-active.guajiro.xyz CNAME is wp-pz.guajiro.xyz at {first}"
    );
    assert!(active.contains(&said), "{bad}");
    stale(&env, &[("wp-bz.guajiro.xyz", "203.0.113.77")]);
    let bad = verify(&env, 6);
    let said = format!(
        "wp-bz.guajiro.xyz A is 203.0.113.77 at {second} instead of 192.0.2.1; \
         wp-bz.guajiro.xyz A is 192.0.2.1 at {first}"
    );
    assert!(
        bad.contains(&said) && bad.contains("pass    dns-active"),
        "{bad}"
    );
    stale(&env, &[]);
    verify(&env, 0);
    env.assert_settled();
}
