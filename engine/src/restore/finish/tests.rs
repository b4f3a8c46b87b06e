use crate::config::PostRestoreRun;

use super::*;

fn steps() -> Vec<PostRestore> {
    let step = |name: &str| PostRestore {
        name: name.to_owned(),
        run: PostRestoreRun::Sql(format!("do {name}")),
        check: format!("is {name} needed"),
    };
    ["a", "b", "c"].map(step).to_vec()
}

/// Answers acts in their order, each as `ask a` or `run a`; what was asked, and how it stands.
fn play(mut finish: Finish, answers: &[(&str, Heard)]) -> (Reach, String) {
    for (wanted, heard) in answers {
        let act = finish.act().map(|act| match act {
            Act::Ask(step) => format!("ask {}", step.name),
            Act::Run(step) => format!("run {}", step.name),
        });
        assert_eq!(act.as_deref(), Some(*wanted));
        finish.hear(heard.clone());
    }
    assert_eq!(finish.act(), None);
    let stands: Vec<String> = finish
        .rows()
        .iter()
        .map(|r| match &r.why {
            Some(why) => format!("{:?} ({why})", r.standing),
            None => format!("{:?}", r.standing),
        })
        .collect();
    (finish.reach(), stands.join(", "))
}

fn says(number: f64) -> Heard {
    Heard::Value(Cell::Number(number))
}

fn failed() -> Heard {
    Heard::Failed("no such table".to_owned())
}

fn lost() -> Heard {
    Heard::Lost("the line went dead".to_owned())
}

#[test]
fn what_is_needed_is_done_and_asked_for_again() {
    let found = play(
        Finish::run(&steps()),
        &[
            ("ask a", says(3.0)),
            ("run a", Heard::Ran),
            ("ask a", says(0.0)),
            ("ask b", says(0.0)),
            ("ask c", says(1.0)),
            ("run c", Heard::Ran),
            ("ask c", says(0.0)),
        ],
    );
    assert_eq!(found, (Reach::Whole, "Done, NotNeeded, Done".to_owned()));
    let again = [
        ("ask a", says(0.0)),
        ("ask b", says(0.0)),
        ("ask c", says(0.0)),
    ];
    let found = play(Finish::run(&steps()), &again);
    assert_eq!(
        found,
        (Reach::Whole, "NotNeeded, NotNeeded, NotNeeded".to_owned())
    );
    assert_eq!(play(Finish::run(&[]), &[]), (Reach::Whole, String::new()));
}

#[test]
fn looking_does_nothing_and_goes_on() {
    let found = play(
        Finish::look(&steps()),
        &[
            ("ask a", says(1.0)),
            ("ask b", failed()),
            ("ask c", says(0.0)),
        ],
    );
    let stands = "Needed, Failed (the check failed: no such table), NotNeeded";
    assert_eq!(found, (Reach::Nothing, stands.to_owned()));
    let answers = [
        ("ask a", says(1.0)),
        ("ask b", says(1.0)),
        ("ask c", says(0.0)),
    ];
    let found = play(Finish::look(&steps()), &answers);
    assert_eq!(
        found,
        (Reach::Needed, "Needed, Needed, NotNeeded".to_owned())
    );
}

#[test]
fn what_fails_stops_the_rest_and_says_how_far_it_got() {
    let found = play(Finish::run(&steps()), &[("ask a", failed())]);
    let stands = "Failed (the check failed: no such table), NotRun, NotRun";
    assert_eq!(found, (Reach::Nothing, stands.to_owned()));
    let found = play(
        Finish::run(&steps()),
        &[
            ("ask a", says(0.0)),
            ("ask b", says(1.0)),
            ("run b", failed()),
        ],
    );
    let stands = "NotNeeded, Failed (no such table), NotRun";
    assert_eq!(found, (Reach::Some, stands.to_owned()));
    let found = play(
        Finish::run(&steps()),
        &[
            ("ask a", says(2.0)),
            ("run a", Heard::Ran),
            ("ask a", says(2.0)),
        ],
    );
    assert_eq!(found.0, Reach::Some);
    assert!(
        found.1.contains("still says that it is needed"),
        "{found:?}"
    );
    let found = play(
        Finish::run(&steps()),
        &[
            ("ask a", says(2.0)),
            ("run a", Heard::Ran),
            ("ask a", lost()),
        ],
    );
    assert!(found.1.starts_with("Failed (it was done, but"), "{found:?}");
}

#[test]
fn what_was_lost_is_looked_for_before_it_is_in_doubt() {
    let lost_then = |answer: Heard| {
        let begin = [("ask a", says(1.0)), ("run a", lost()), ("ask a", answer)];
        play(Finish::run(&steps()[..1]), &begin)
    };
    assert_eq!(lost_then(says(0.0)), (Reach::Whole, "Done".to_owned()));
    let doubt = (Reach::InDoubt, "InDoubt (the line went dead)".to_owned());
    assert_eq!(lost_then(says(1.0)), doubt);
    assert_eq!(lost_then(lost()), doubt);
}

#[test]
fn what_is_cut_off_is_in_doubt_once_it_runs() {
    let mut finish = Finish::run(&steps());
    finish.cut_off();
    assert_eq!(finish.act(), None);
    assert_eq!(finish.reach(), Reach::Nothing);
    let mut finish = Finish::run(&steps());
    finish.hear(says(1.0));
    finish.cut_off();
    assert_eq!(finish.act(), None);
    assert_eq!(finish.reach(), Reach::InDoubt);
    assert_eq!(finish.rows()[1].standing, Standing::NotRun);
}

#[test]
fn only_true_and_numbers_say_whether_a_step_is_needed() {
    let text = |t: &str| Cell::Text(t.to_owned()).needed();
    assert_eq!(text("0"), Ok(false));
    assert_eq!(text("0.000"), Ok(false));
    assert_eq!(text(" -3 "), Ok(true));
    assert_eq!(text("TRUE"), Ok(true));
    assert_eq!(text("false"), Ok(false));
    for bad in ["", "yes", "NaN", "inf", "1 row"] {
        assert!(text(bad).is_err(), "{bad}");
    }
    assert!(Cell::Null.needed().is_err());
    assert!(Cell::Nothing.needed().is_err());
    assert_eq!(Cell::Number(0.5).needed(), Ok(true));
}
