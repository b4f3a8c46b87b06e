//! The dashboard, for Grafana; complete as its model of dashboards and panels wants it (the JSON schemas of
//! grafana-foundation-sdk, schema version 39). What is not known is shown as such, in red: an empty tile looks harmless.

use serde_json::{Value as Json, json};

use super::Facts;
use crate::check::LAG_LIMIT;
use crate::config::Role;
use crate::data::DatabaseMode;

const SOURCE: &str = "${datasource}";

/// Grafana's grid has so many columns.
const COLUMNS: u64 = 24;

/// Panels row by row.
struct Board {
    panels: Vec<Json>,
    x: u64,
    y: u64,
    height: u64,
}

impl Board {
    fn row(&mut self, title: &str) {
        self.y += self.height;
        (self.x, self.height) = (0, 0);
        self.put(
            json!({"type": "row", "title": title, "collapsed": false, "panels": []}),
            COLUMNS,
            1,
        );
        self.y += 1;
        (self.x, self.height) = (0, 0);
    }

    fn put(&mut self, mut panel: Json, width: u64, height: u64) {
        if self.x + width > COLUMNS {
            self.y += self.height;
            (self.x, self.height) = (0, 0);
        }
        panel["id"] = json!(self.panels.len() + 1);
        panel["gridPos"] = json!({"x": self.x, "y": self.y, "w": width, "h": height});
        self.x += width;
        self.height = self.height.max(height);
        self.panels.push(panel);
    }
}

/// Thresholds; what has no value takes the first colour.
fn steps(steps: &[(&str, Option<f64>)]) -> Json {
    let steps: Vec<Json> = steps
        .iter()
        .map(|(color, from)| json!({"color": color, "value": from}))
        .collect();
    json!({"mode": "absolute", "steps": steps})
}

fn unknown() -> Json {
    json!([{"type": "special", "options": {"match": "null+nan",
        "result": {"text": "UNKNOWN", "color": "red", "index": 0}}}])
}

fn targets(queries: &[(&str, &str)]) -> Json {
    let refs = ["A", "B", "C", "D"];
    let targets: Vec<Json> = queries
        .iter()
        .zip(refs)
        .map(|((expr, legend), id)| {
            json!({"refId": id, "expr": expr, "legendFormat": legend, "range": true,
                "datasource": {"type": "prometheus", "uid": SOURCE}})
        })
        .collect();
    json!(targets)
}

/// A tile with one number, red with `UNKNOWN` while there is none.
fn tile(title: &str, (expr, legend): (&str, &str), unit: &str, thresholds: &Json) -> Json {
    json!({"type": "stat", "title": title,
        "datasource": {"type": "prometheus", "uid": SOURCE},
        "targets": targets(&[(expr, legend)]),
        "options": {"colorMode": "background", "graphMode": "area", "textMode": "value_and_name",
            "justifyMode": "auto", "orientation": "auto", "wideLayout": true,
            "showPercentChange": false, "percentChangeColorMode": "standard",
            "reduceOptions": {"calcs": ["last"], "fields": "", "values": false}},
        "fieldConfig": {"defaults": {"unit": unit, "noValue": "UNKNOWN", "mappings": unknown(),
            "color": {"mode": "thresholds"}, "thresholds": thresholds}, "overrides": []}})
}

fn graph(title: &str, queries: &[(&str, &str)], unit: &str) -> Json {
    json!({"type": "timeseries", "title": title,
        "datasource": {"type": "prometheus", "uid": SOURCE},
        "targets": targets(queries),
        "options": {"legend": legend(), "tooltip": tooltip()},
        "fieldConfig": {"defaults": {"unit": unit, "noValue": "UNKNOWN",
            // A gap is a gap: a line across it would invent values.
            "custom": {"spanNulls": false}}, "overrides": []}})
}

fn legend() -> Json {
    json!({"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []})
}

fn tooltip() -> Json {
    json!({"mode": "multi", "sort": "none"})
}

fn timeline(title: &str, query: (&str, &str)) -> Json {
    json!({"type": "state-timeline", "title": title,
        "datasource": {"type": "prometheus", "uid": SOURCE},
        "targets": targets(&[query]),
        "options": {"legend": legend(), "tooltip": tooltip(), "showValue": "auto",
            "rowHeight": 0.9, "mergeValues": true},
        "fieldConfig": {"defaults": {"noValue": "UNKNOWN", "color": {"mode": "thresholds"},
            "thresholds": steps(&[("red", None), ("green", Some(1.0))])}, "overrides": []}})
}

/// Good is one; everything else, and nothing, is red.
fn one_is_good() -> Json {
    steps(&[("red", None), ("green", Some(1.0)), ("red", Some(2.0))])
}

/// Good is zero. What is not known has the mapping's colour.
fn zero_is_good() -> Json {
    steps(&[("red", None), ("green", Some(0.0)), ("red", Some(1.0))])
}

/// The dashboard's file.
pub(super) fn file(facts: &Facts<'_>) -> String {
    let mut board = Board {
        panels: Vec::new(),
        x: 0,
        y: 0,
        height: 0,
    };
    decision(&mut board);
    data(&mut board, facts);
    if !facts.names.is_empty() {
        outside(&mut board);
    }
    changes(&mut board);
    let active = facts.zones.iter().find(|z| z.role == Role::Active);
    let annotation = json!({"name": "active zone", "enable": true, "iconColor": "blue",
        "datasource": {"type": "prometheus", "uid": SOURCE},
        "expr": "changes(zonewright_active_zone[1m]) > 0", "titleFormat": "the active zone changed",
        "textFormat": "{{zone}}"});
    let whole = json!({
        "uid": format!("zonewright-{}", facts.project),
        "title": format!("{}: disaster recovery", facts.project),
        "description": format!("Active zone in the spec: {}.", active.map_or("-", |z| z.name.as_str())),
        "tags": ["zonewright", "disaster-recovery"],
        "timezone": "utc",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "annotations": {"list": [annotation]},
        "templating": {"list": [{"name": "datasource", "label": "Prometheus", "type": "datasource",
            "query": "prometheus"}]},
        "panels": board.panels,
    });
    format!("{:#}\n", sorted(whole))
}

fn decision(board: &mut Board) {
    board.row("Decide");
    let active = ("zonewright_active_zone == 1", "{{zone}}");
    board.put(tile("Active zone", active, "none", &one_is_good()), 4, 4);
    let ready = ("zonewright_ready", "{{zone}}");
    board.put(tile("Ready", ready, "none", &one_is_good()), 4, 4);
    let failed = (
        "sum by (zone) (zonewright_readiness_checks_failed)",
        "{{zone}}",
    );
    board.put(
        tile("Checks not proven", failed, "none", &zero_is_good()),
        4,
        4,
    );
    let writers = ("zonewright_writers", "writers");
    board.put(tile("Writers", writers, "none", &one_is_good()), 4, 4);
    let exposed = ("zonewright_zone_exposed{role=\"standby\"}", "{{zone}}");
    board.put(
        tile("Standby exposed", exposed, "none", &zero_is_good()),
        4,
        4,
    );
    let age = steps(&[("red", None), ("green", Some(0.0)), ("red", Some(900.0))]);
    let collected = ("dr:collected_age_seconds", "collected");
    board.put(tile("Age of this", collected, "s", &age), 4, 4);
}

fn data(board: &mut Board, facts: &Facts<'_>) {
    board.row("Data");
    if facts.any(DatabaseMode::Replica) {
        #[expect(clippy::cast_precision_loss, reason = "a minute")]
        let limit = LAG_LIMIT.as_secs() as f64;
        let lag = steps(&[
            ("red", None),
            ("green", Some(0.0)),
            ("orange", Some(15.0)),
            ("red", Some(limit)),
        ]);
        let query = ("dr:replication_lag_seconds", "{{zone}}");
        board.put(tile("Replication lag", query, "s", &lag), 6, 6);
        // The server's own figure beside it: where they part, the link is cut.
        let both = [
            query,
            (
                "mysql_slave_status_seconds_behind_master or mysql_slave_status_seconds_behind_source",
                "{{zone}} says itself",
            ),
        ];
        board.put(
            graph("Lag by heartbeat, and what the server says", &both, "s"),
            18,
            6,
        );
    }
    if facts.any(DatabaseMode::Writer) {
        // One tile shows all: it is red from the strictest limit on.
        let limit = facts.writers.iter().filter_map(|w| w.limit).min();
        let backup = match limit {
            None => steps(&[("red", None), ("blue", Some(0.0))]),
            Some(limit) => {
                #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^53")]
                let limit = limit as f64;
                steps(&[("red", None), ("green", Some(0.0)), ("red", Some(limit))])
            }
        };
        let query = ("dr:backup_age_seconds", "{{zone}} {{source}}");
        board.put(tile("Newest backup", query, "s", &backup), 6, 6);
        if facts.restores {
            let verified = steps(&[
                ("red", None),
                ("green", Some(0.0)),
                ("red", Some(7_776_000.0)),
            ]);
            let query = ("dr:restore_verified_age_seconds", "{{zone}}");
            board.put(tile("Last proven restore", query, "s", &verified), 6, 6);
        }
        let query = ("zonewright_rpo_target_seconds", "{{zone}}");
        let any = steps(&[("red", None), ("blue", Some(0.0))]);
        board.put(tile("RPO objective", query, "s", &any), 6, 6);
        let query = ("zonewright_rto_target_seconds", "{{zone}}");
        board.put(tile("RTO objective", query, "s", &any), 6, 6);
    }
}

fn outside(board: &mut Board) {
    board.row("From outside");
    let http = ("probe_success{job=\"zonewright-http\"}", "{{name}}");
    board.put(timeline("HTTPS", http), 12, 6);
    let dns = (
        "probe_success{job=\"zonewright-dns\"}",
        "{{name}} {{instance}}",
    );
    board.put(timeline("DNS", dns), 12, 6);
    let time = [("probe_duration_seconds", "{{name}} {{instance}}")];
    board.put(graph("Duration of probes", &time, "s"), 16, 6);
    let days = steps(&[
        ("red", None),
        ("orange", Some(1_209_600.0)),
        ("green", Some(2_592_000.0)),
    ]);
    let certificate = (
        "min by (name) (probe_ssl_earliest_cert_expiry - time())",
        "{{name}}",
    );
    board.put(tile("Certificate ends in", certificate, "s", &days), 8, 6);
}

fn changes(board: &mut Board) {
    board.row("Drift and cost");
    let drift = ("zonewright_drift_resources", "{{zone}}");
    board.put(tile("Drift", drift, "none", &zero_is_good()), 6, 5);
    let age = steps(&[("red", None), ("green", Some(0.0)), ("red", Some(7200.0))]);
    let compared = (
        "time() - zonewright_drift_last_success_timestamp_seconds",
        "{{zone}}",
    );
    board.put(tile("Compared", compared, "s", &age), 6, 5);
    let bills = [("zonewright_zone_billable_resources", "{{zone}} ({{mode}})")];
    board.put(graph("Resources that bill", &bills, "none"), 12, 5);
}

/// The same with sorted keys, whatever the map keeps.
fn sorted(value: Json) -> Json {
    match value {
        Json::Object(map) => {
            let mut entries: Vec<(String, Json)> = map.into_iter().collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            let entries = entries.into_iter().map(|(k, v)| (k, sorted(v)));
            Json::Object(entries.collect())
        }
        Json::Array(items) => Json::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}
