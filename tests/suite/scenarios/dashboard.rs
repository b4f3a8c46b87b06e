//! OB-06: the dashboard that decides at night.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use zonewright_engine::observability::METRICS;

use super::observability::{generated, read};

/// What Grafana's model requires of the options of a kind of panel (the JSON schemas `stat`, `timeseries` and
/// `statetimeline` of grafana-foundation-sdk), with the words that it knows.
fn options(kind: &str) -> Value {
    let word = |words: &[&str]| json!({ "enum": words });
    let legend = json!({"type": "object", "required": ["displayMode", "placement", "showLegend", "calcs"],
        "additionalProperties": false, "properties": {
            "displayMode": word(&["list", "table", "hidden"]), "placement": word(&["bottom", "right"]),
            "showLegend": {"type": "boolean"}, "calcs": {"type": "array"}}});
    let tooltip = json!({"type": "object", "required": ["mode", "sort"], "additionalProperties": false,
        "properties": {"mode": word(&["single", "multi", "none"]), "sort": word(&["asc", "desc", "none"])}});
    let (required, properties) = match kind {
        "stat" => (
            json!([
                "graphMode",
                "colorMode",
                "justifyMode",
                "textMode",
                "wideLayout",
                "showPercentChange",
                "reduceOptions",
                "percentChangeColorMode",
                "orientation"
            ]),
            json!({"graphMode": word(&["none", "line", "area"]),
                "colorMode": word(&["value", "background", "background_solid", "none"]),
                "justifyMode": word(&["auto", "center"]),
                "textMode": word(&["auto", "value", "value_and_name", "name", "none"]),
                "wideLayout": {"type": "boolean"}, "showPercentChange": {"type": "boolean"},
                "reduceOptions": {"type": "object", "required": ["calcs"]},
                "percentChangeColorMode": word(&["standard", "inverted", "same_as_value"]),
                "orientation": word(&["auto", "vertical", "horizontal"])}),
        ),
        "timeseries" => (
            json!(["legend", "tooltip"]),
            json!({"legend": legend, "tooltip": tooltip}),
        ),
        _ => (
            json!(["showValue", "rowHeight", "legend", "tooltip"]),
            json!({"showValue": word(&["auto", "never", "always"]), "rowHeight": {"type": "number"},
                "mergeValues": {"type": "boolean"}, "legend": legend, "tooltip": tooltip}),
        ),
    };
    let options = json!({"type": "object", "required": required, "properties": properties,
        "additionalProperties": false});
    json!({"if": {"properties": {"type": {"const": kind}}},
        "then": {"required": ["options"], "properties": {"options": options}}})
}

/// The fields of a dashboard that matter to Grafana and to who reads it at night.
fn dashboard_schema() -> Value {
    let text = json!({"type": "string", "minLength": 1});
    let source = json!({"type": "object", "required": ["type", "uid"],
        "properties": {"type": {"const": "prometheus"}, "uid": {"const": "${datasource}"}}});
    let target = json!({"type": "object", "required": ["refId", "expr", "datasource"],
        "properties": {"refId": {"pattern": "^[A-Z]$"}, "expr": text, "datasource": source}});
    let grid = |max: u64| json!({"type": "integer", "minimum": 0, "maximum": max});
    let place = json!({"type": "object", "required": ["x", "y", "w", "h"], "properties": {
        "x": grid(23), "y": grid(1000), "w": grid(24), "h": grid(40)}});
    let steps = json!({"type": "array", "minItems": 2, "items": {"type": "object",
        "required": ["color", "value"]}});
    let defaults = json!({"type": "object", "required": ["noValue"], "properties": {
        "noValue": {"const": "UNKNOWN"},
        "thresholds": {"type": "object", "required": ["mode", "steps"], "properties": {"steps": steps}}}});
    let shown = json!({"required": ["datasource", "targets", "fieldConfig"], "properties": {
        "datasource": source,
        "targets": {"type": "array", "minItems": 1, "items": target},
        "fieldConfig": {"type": "object", "required": ["defaults", "overrides"],
            "properties": {"defaults": defaults}}}});
    let kinds = ["stat", "timeseries", "state-timeline"].map(options);
    let panel = json!({"type": "object", "required": ["id", "type", "title", "gridPos"],
        "properties": {"id": {"type": "integer", "minimum": 1}, "title": text, "gridPos": place,
            "type": {"enum": ["row", "stat", "timeseries", "state-timeline"]}},
        "if": {"properties": {"type": {"const": "row"}}}, "else": shown,
        "allOf": kinds});
    json!({"type": "object", "required": ["uid", "title", "schemaVersion", "panels", "templating", "annotations"],
        "properties": {"uid": {"type": "string", "maxLength": 40, "minLength": 1}, "title": text,
            "schemaVersion": {"type": "integer", "minimum": 36},
            "panels": {"type": "array", "minItems": 10, "items": panel},
            "templating": {"type": "object", "properties": {"list": {"type": "array", "minItems": 1,
                "items": {"properties": {"type": {"const": "datasource"}}}}}}}})
}

/// What others write: the exporters of MySQL and of the probes.
const FOREIGN: &[&str] = &[
    "mysql_slave_status_seconds_behind_master",
    "mysql_slave_status_seconds_behind_source",
    "probe_duration_seconds",
    "probe_ssl_earliest_cert_expiry",
    "probe_success",
];

/// OB-06: the lag tile is red without a value, and every query is about something that exists.
#[test]
fn the_dashboard_is_one_and_shows_the_unknown_in_red() {
    let env = generated();
    let board: Value = serde_json::from_str(&read(&env, "mon/dashboard.json")).unwrap();
    let schema = dashboard_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<String> = validator
        .iter_errors(&board)
        .map(|e| e.to_string())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let mut broken = board.clone();
    broken["panels"][1]["fieldConfig"]["defaults"]["noValue"] = json!("0");
    assert!(
        !validator.is_valid(&broken),
        "the schema accepts everything"
    );
    for (field, wrong) in [("graphMode", json!("pie")), ("orientation", Value::Null)] {
        let mut broken = board.clone();
        broken["panels"][1]["options"][field] = wrong;
        assert!(!validator.is_valid(&broken), "{field}");
    }
    let panels = board["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|p| p["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let lag = panels
        .iter()
        .find(|p| p["title"] == "Replication lag")
        .unwrap();
    let defaults = &lag["fieldConfig"]["defaults"];
    assert_eq!(lag["targets"][0]["expr"], "dr:replication_lag_seconds");
    let null = &defaults["mappings"][0]["options"];
    assert_eq!(null["match"], "null+nan");
    assert_eq!(null["result"]["color"], "red");
    assert_eq!(
        defaults["thresholds"]["steps"][0],
        json!({"color": "red", "value": null})
    );
    assert_eq!(
        defaults["thresholds"]["steps"][3],
        json!({"color": "red", "value": 60.0})
    );
    let rules = read(&env, "mon/rules.yml");
    let mut known: BTreeSet<&str> = FOREIGN.iter().copied().collect();
    known.extend(METRICS.iter().map(|m| m.name));
    let recorded = |name: &str| rules.contains(&format!("record: \"{name}\""));
    let queries = panels
        .iter()
        .flat_map(|p| p["targets"].as_array().cloned().unwrap_or_default());
    for query in queries {
        let expr = query["expr"].as_str().unwrap();
        for name in series_in(expr) {
            assert!(
                known.contains(name) || recorded(name),
                "{name} of {expr} is nobody's"
            );
        }
    }
    for line in rules.lines().filter(|l| l.contains("expr: ")) {
        for name in series_in(line)
            .into_iter()
            .filter(|n| n.starts_with("zonewright_"))
        {
            assert!(known.contains(name), "{name} of {line} is nobody's");
        }
    }
}

/// The names of series in an expression: words with an underscore or a colon that no parenthesis follows.
fn series_in(expr: &str) -> Vec<&str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut out = Vec::new();
    let mut rest = expr;
    while let Some(start) = rest.find(word) {
        let end = rest[start..]
            .find(|c| !word(c))
            .map_or(rest.len(), |n| start + n);
        let (name, after) = (&rest[start..end], &rest[end..]);
        let is_series = name.contains("zonewright_")
            || name.starts_with("mysql_")
            || name.starts_with("probe_")
            || name.starts_with("dr:");
        if is_series && !after.starts_with('(') {
            out.push(name);
        }
        rest = after;
    }
    out
}
