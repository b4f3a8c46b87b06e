//! One case per file in `cases/`: a project, then `//= out` and what loading it prints.
//!
//! `ZONEWRIGHT_BLESS=1 cargo test -p zonewright-zones` writes what is printed into the files; read
//! the difference before committing it.

use std::path::PathBuf;

use crate::fixture::{load_text, print};

const MARK: &str = "//= out\n";

fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "blessing is a matter of the tests alone"
)]
fn check(name: &str) {
    let path = directory().join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap();
    let (project, expected) = text.split_once(MARK).unwrap_or((&text, ""));
    let found = print(&load_text(project));
    if std::env::var_os("ZONEWRIGHT_BLESS").is_some() {
        std::fs::write(&path, format!("{}{MARK}{found}", project)).unwrap();
        return;
    }
    assert_eq!(found, expected, "in {name}.txt, found:\n{found}");
}

macro_rules! cases {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        #[test]
        fn every_file_is_a_case() {
            let mut listed = vec![$(concat!(stringify!($name), ".txt").to_owned()),*];
            listed.sort();
            let files = std::fs::read_dir(directory()).unwrap();
            let mut found: Vec<String> =
                files.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
            found.sort();
            assert_eq!(found, listed);
        }
    };
}

cases! {
    active_unknown
    after_mistakes
    ambiguous_standby
    backend
    backend_others
    backend_s3_mistakes
    backend_s3_without_table
    bad_cidr
    bad_container
    bad_name
    bad_reference
    byte_order_mark
    chart_values
    chart_without_rendering
    cidr_overlap
    cidr_overlap_inherited
    cidr_overlap_of_resources
    component_missing
    component_of_an_observed_cluster
    component_there
    container_or_kubeconfig
    control_character
    cycle_across_zones
    cycle_long
    cycle_self
    cycle_through_container
    dangling
    dangling_other_zone
    database_date
    database_decision_not_whole
    database_decision_types
    database_name
    database_name_by_reference
    database_other_authority
    database_post_restore_is_a_list
    database_post_restore_job
    database_post_restore_mistakes
    database_post_restore_twice
    database_restore
    database_restore_backup
    database_restore_defaults
    database_restore_mistakes
    database_restore_source_is_no_cluster
    database_restore_source_kind
    database_restore_source_missing
    database_restore_source_zone
    database_restore_too_small
    database_restore_without_source
    database_undecided
    database_undecided_says_it_once
    database_unverified
    database_verified
    database_without_strategy
    disabled_both
    disabled_reference
    duplicate_object
    duration
    enabled_not_known
    extends_itself
    extends_loop
    field_type
    flip_approved
    flip_unapproved
    image_floating
    inherited_mistake
    inherited_mistake_shows_once
    issuer_other_namespace_by_argument
    issuer_secret
    issuer_secret_fits
    kind_without_name
    list_in_text
    manifest_source
    media_copy_of_itself
    media_mistakes
    media_not_whole
    media_replicated
    media_two_for_one
    missing_attribute
    missing_attribute_inherited
    missing_file
    namespaces
    needs_key
    nested_attribute
    network_own
    network_shared
    no_instance
    no_such_output
    not_finite
    observability
    observe
    out_of_range
    outside_root
    project_missing
    record_fixed
    record_fixed_once_the_other_zone_serves
    record_follows
    relative_in_edge
    replica_fits
    replica_open
    replica_open_to_a_network_of_watchers
    replica_open_to_addresses
    replica_open_to_watchers
    replica_too_small
    replicas_once
    replicas_twice
    reserved
    secret_literal
    secret_literal_cloudflare
    secret_literal_in_data
    secret_literal_in_manifest
    secret_source
    setting_loop
    setting_misspelt
    setting_unused
    stages
    standby_exposed
    state_encryption_empty
    state_encryption_mistakes
    syntax_several
    template_mistakes
    text_from_file
    too_deep
    ttl_fits
    ttl_mismatch
    unknown_attribute
    unknown_base
    unknown_kind
    unknown_provider
    unknown_secret
    unknown_setting
    unknown_table
    unknown_zone
    unset
    vendor_name_by_setting
    vendor_name_that_is_newer
    vendor_names
    vendor_refuses
    wordpress
    wrong_choice
    wrong_type
    yaml_boolean_name
    yaml_mistakes
    zone_file_missing
    zone_file_unlisted
    zone_provider
}
