//! Stand-ins for well-known charts, for rehearsals on a machine that has neither helm nor a chart server.
//!
//! They are much smaller than the real charts, but the objects that others refer to have the names,
//! labels and kinds that the real ones give them.

use std::borrow::Cow;

/// A chart that has a stand-in.
struct Chart {
    name: &'static str,
    text: &'static str,
    /// The longest name that the chart's own objects start with.
    longest: usize,
}

const CHARTS: [Chart; 3] = [
    Chart {
        name: "cert-manager",
        text: include_str!("../charts/cert-manager.yaml"),
        longest: 63,
    },
    Chart {
        name: "kube-prometheus-stack",
        text: include_str!("../charts/kube-prometheus-stack.yaml"),
        longest: 26,
    },
    Chart {
        name: "traefik",
        text: include_str!("../charts/traefik.yaml"),
        longest: 63,
    },
];

/// The objects of a chart as a YAML stream, or `None` when there is no stand-in for it.
///
/// `chart` is a name, a repository path, an OCI reference or the address of an archive.
pub fn stand_in(chart: &str, release: &str, namespace: &str) -> Option<String> {
    let file = chart
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(chart);
    let found = CHARTS.iter().find(|c| is_named(file, c.name))?;
    let release = release.replace('_', "-");
    let name: Cow<'_, str> = if release.contains(found.name) {
        Cow::Borrowed(&release)
    } else {
        Cow::Owned(format!("{release}-{}", found.name))
    };
    let name: String = name.chars().take(found.longest).collect();
    let text = found
        .text
        .replace("__name__", name.trim_end_matches('-'))
        .replace("__release__", &release)
        .replace("__namespace__", namespace);
    Some(text)
}

/// Whether a file name is that of the chart: bare, tagged, or an archive with a version.
fn is_named(file: &str, chart: &str) -> bool {
    match file.strip_prefix(chart) {
        Some("") => true,
        Some(rest) if rest.starts_with([':', '@']) => true,
        Some(rest) => {
            let version = rest.strip_prefix('-').map(|v| v.trim_start_matches('v'));
            version.is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()))
                || rest.starts_with(".tgz")
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn charts_are_known_by_name_and_by_address() {
        for known in [
            "cert-manager",
            "jetstack/cert-manager",
            "oci://quay.io/jetstack/charts/cert-manager:v1.21.0",
            "https://charts.example/cert-manager-v1.21.0.tgz",
            "kube-prometheus-stack",
            "traefik/traefik",
        ] {
            assert!(stand_in(known, "r", "n").is_some(), "{known}");
        }
        for unknown in ["nginx", "cert-manager-csi-driver", "traefikee"] {
            assert!(stand_in(unknown, "r", "n").is_none(), "{unknown}");
        }
    }

    #[test]
    fn names_are_those_of_the_real_charts() {
        for (chart, release, kind, name) in [
            (
                "cert-manager",
                "cert_manager",
                "Deployment",
                "cert-manager-webhook",
            ),
            ("traefik", "traefik", "Service", "traefik"),
            (
                "kube-prometheus-stack",
                "monitoring",
                "Prometheus",
                "monitoring-kube-prometheus-prometheus",
            ),
            (
                "kube-prometheus-stack",
                "monitoring",
                "Deployment",
                "monitoring-grafana",
            ),
        ] {
            let text = stand_in(chart, release, "platform").unwrap();
            let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
            let found = objects
                .iter()
                .any(|o| o["kind"] == kind && o["metadata"]["name"] == name);
            assert!(found, "{kind} {name}");
            assert!(!text.contains("__"), "a placeholder is left in {chart}");
        }
    }
}
