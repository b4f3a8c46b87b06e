//! One writer at a time: who is kept out, and who is told of whom.

use std::time::Duration;

use zonewright_state::restore::Source;
use zonewright_state::{Class, Notice};

mod entries;
use entries::{Project, holder, shard};

#[test]
fn nobody_restores_what_a_writer_holds() {
    let project = Project::used();
    let writer = project.writer();
    let error = project
        .open()
        .restore(&shard(), Source::Empty, &holder("state restore"))
        .expect_err("it is held");
    assert_eq!(error.class(), Class::Locked);
    writer.release().expect("it is released");
}

#[test]
fn one_writer_at_a_time_and_the_error_says_who() {
    let project = Project::new();
    let first = project.writer();
    let again = project
        .open()
        .acquire(&[shard()], &holder("plan"), Duration::from_millis(120));
    let error = again.expect_err("it is held");
    assert_eq!(error.class(), Class::Locked);
    let text = error.to_string();
    assert!(
        text.contains("ada@ci-1 (pid 42, `apply`, since 2026-11-23T10:00:00Z)"),
        "{text}"
    );
    let edge = "edge".parse().expect("a name");
    let both = project
        .open()
        .acquire(&[shard(), edge], &holder("x"), Duration::ZERO);
    assert!(both.is_err(), "all or none");
    let edge = ["edge".parse().expect("a name")];
    let other = project.open().acquire(&edge, &holder("x"), Duration::ZERO);
    assert!(other.is_ok(), "another shard is free: {other:?}");
    let waiting = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let dir = project.open();
            dir.acquire(&[shard()], &holder("y"), Duration::from_secs(20))
        });
        std::thread::sleep(Duration::from_millis(30));
        first.release().expect("it is released");
        waiter.join().expect("no panic")
    });
    let epochs = waiting.expect("it got the lock").epochs();
    assert_eq!(epochs[&shard()], 2, "epochs rise");
}

#[test]
fn a_writer_that_died_is_told() {
    let project = Project::used();
    let notices = project.read().expect("it reads").notices;
    assert!(
        matches!(notices[..], [Notice::Unreleased { epoch: 1, .. }]),
        "{notices:?}"
    );
    project.writer().release().expect("it is released");
    assert_eq!(project.read().expect("it reads").notices, []);
}

#[test]
fn a_writer_at_work_is_told_from_one_that_died() {
    let project = Project::used();
    let writer = project.writer();
    let notices = project.read().expect("it reads").notices;
    let [Notice::Running { shards, holder }] = &notices[..] else {
        panic!("{notices:?}");
    };
    assert_eq!(shards, &[shard()]);
    assert_eq!(holder.as_ref().map(|h| h.pid), Some(42));
    let words = notices[0].to_string();
    assert!(
        words.contains("`apply` by ada on ci-1 (pid 42, since 2026-11-23T10:00:00Z) is at work"),
        "{words}"
    );
    // Asking who is there keeps nobody out.
    drop(writer);
    assert!(matches!(
        project.read().expect("it reads").notices[..],
        [Notice::Unreleased { .. }]
    ));
    std::thread::scope(|scope| {
        scope.spawn(|| (0..200).for_each(|_| drop(project.read().expect("it reads"))));
        for _ in 0..20 {
            project.writer().release().expect("it is released");
        }
    });
}
