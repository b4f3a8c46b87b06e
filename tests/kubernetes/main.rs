//! One suite of behaviour, two targets: the Kubernetes of the sandbox, and a real API server with its
//! controllers. Every case runs on both and must end the same; where they differ, the sandbox is wrong.
#![expect(
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

mod behind;
mod charts;
mod lab;
mod managers;
mod objects;
mod rolls;
mod tiers;

use lab::{Lab, Target};
use zonewright_tests::root;

/// Runs every case on both targets.
macro_rules! on_both {
    ($($room:ident::$case:ident)*) => {
        mod sandbox {
            use super::*;
            $(#[test] fn $case() { Lab::with(Target::Sandbox, stringify!($case), $room::$case); })*
        }
        mod real {
            use super::*;
            $(#[test] fn $case() { Lab::with(Target::Real, stringify!($case), $room::$case); })*
        }

        /// The document has every case, and no other, and every one ended well on both targets.
        #[test]
        fn the_table_of_cases_is_that_of_a_run() {
            let text = std::fs::read_to_string(root().join("docs/kubernetes.md")).unwrap();
            let mut cases: Vec<String> = vec![$(stringify!($case).replace('_', " ")),*];
            let ok = |line: &str| Some(line.strip_suffix(" | ok | ok |")?.strip_prefix("| ")?.to_owned());
            let mut rows: Vec<String> = text.lines().filter_map(ok).collect();
            (cases.sort(), rows.sort());
            assert_eq!(rows, cases);
        }
    };
}

on_both! {
    objects::a_mixed_set_is_applied_once
    objects::drift_is_found_and_repaired
    objects::a_mark_that_is_taken_off_is_put_on_again
    objects::what_leaves_the_spec_leaves_the_cluster
    objects::what_cannot_change_is_replaced
    objects::a_claim_is_replaced_by_name_only
    objects::a_kind_and_its_object_come_in_one_run
    objects::a_kind_keeps_what_it_does_not_know
    objects::what_others_add_is_not_drift
    objects::a_missing_namespace_is_named
    objects::a_deleted_object_is_no_hindrance
    objects::what_never_becomes_ready_says_why
    objects::what_cannot_start_is_given_up_early
    objects::one_mistake_does_not_stop_the_others
    objects::a_load_balancer_has_an_address
    objects::a_cluster_is_known_by_its_uid
    tiers::a_plan_says_how_each_object_was_computed
    tiers::what_the_server_would_refuse_is_no_plan
    rolls::pods_are_rolled_when_what_they_read_changes
    rolls::a_secret_of_a_reference_rolls_and_stays_secret
    managers::a_claim_of_another_manager_is_not_overruled
    managers::an_edit_is_no_claim
    managers::what_is_given_up_is_left_to_the_other
    managers::a_release_that_was_applied_is_taken_over
    managers::a_release_that_was_updated_is_taken_over
    behind::thirty_edits_are_told_and_put_right
    charts::real_charts_converge_in_one_run
}
