use super::metrics::{COLLECT_SUCCESS, DRIFT, exposition};

#[test]
fn the_text_has_one_head_for_each_metric_that_is_known() {
    let samples = [
        DRIFT.sample(&[("zone", "pz")], 2.0),
        COLLECT_SUCCESS.sample(&[], 1.0),
        DRIFT.sample(&[("zone", "a\"b\\c\nd")], 0.5),
    ];
    let text = exposition(&samples);
    let lines: Vec<&str> = text.lines().filter(|l| !l.starts_with("# HELP")).collect();
    assert_eq!(
        lines,
        [
            "# TYPE zonewright_collect_success gauge",
            "zonewright_collect_success 1",
            "# TYPE zonewright_drift_resources gauge",
            "zonewright_drift_resources{zone=\"pz\"} 2",
            "zonewright_drift_resources{zone=\"a\\\"b\\\\c\\nd\"} 0.5",
        ]
    );
    assert_eq!(exposition(&[]), "");
}
