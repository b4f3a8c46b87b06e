//! Looking while an apply runs: it is said, and what is being made is no alarm.

use zonewright_sandbox::fault::Kind;
use zonewright_tests::finish;

use super::example;

#[test]
fn a_look_while_an_apply_runs_says_so_and_raises_no_alarm() {
    let env = example();
    // The cluster is accepted, and its apply waits for the reply.
    env.fault("POST", "/v2/kubernetes/clusters", 1, Kind::HoldAfter);
    let mut child = env.spawn(&["apply", "--auto-approve"]);
    assert!(env.wait_held(&mut child));
    let who = format!("(pid {}, since ", child.id());
    for command in [
        &["plan", "--zone", "pz"][..],
        &["drift"],
        &["state", "list"],
        &["show"],
        &["output"],
    ] {
        let look = env.run(command);
        assert_eq!(look.code, 0, "{command:?} {}", look.text());
        assert!(look.stderr.contains("`apply` by "), "{}", look.text());
        assert!(look.stderr.contains(&who), "{}", look.text());
        assert_eq!(
            look.stderr.matches("is at work in bz, edge, pz").count(),
            1,
            "{}",
            look.text()
        );
        assert!(
            !look.stderr.contains("without releasing"),
            "{}",
            look.text()
        );
    }
    // Killed, it is not at work any more.
    child.kill().unwrap();
    child.wait().unwrap();
    env.clear_faults();
    let after = env.run(&["state", "list"]);
    assert!(
        after.stderr.contains("without releasing"),
        "{}",
        after.text()
    );
    assert!(!after.stderr.contains("at work"), "{}", after.text());
    let drift = env.run(&["drift"]);
    assert!(drift.code != 0 || !drift.stdout.contains("In the hands"));
    env.expect(0, &["apply", "--auto-approve"]);
    let quiet = finish(Ok(env.spawn(&["drift"])));
    assert_eq!((quiet.code, quiet.stderr.as_str()), (0, ""));
}
