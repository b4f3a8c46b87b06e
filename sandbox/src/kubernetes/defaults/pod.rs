//! The defaults of pod templates, and quantities in their canonical form.

use serde_json::{Value, json};

use super::set;

/// Completes the spec of a pod or of a template.
pub(super) fn pod_spec(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    set(spec, "restartPolicy", json!("Always"));
    set(spec, "dnsPolicy", json!("ClusterFirst"));
    set(spec, "schedulerName", json!("default-scheduler"));
    set(spec, "terminationGracePeriodSeconds", json!(30));
    set(spec, "securityContext", json!({}));
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        set(spec, "serviceAccount", account);
    }
    for list in ["containers", "initContainers"] {
        spec[list]
            .as_array_mut()
            .into_iter()
            .flatten()
            .for_each(container);
    }
    for volume in spec["volumes"].as_array_mut().into_iter().flatten() {
        for source in ["secret", "configMap", "projected", "downwardAPI"] {
            if volume[source].is_object() {
                set(&mut volume[source], "defaultMode", json!(420));
            }
        }
    }
}

fn container(container: &mut Value) {
    for port in container["ports"].as_array_mut().into_iter().flatten() {
        set(port, "protocol", json!("TCP"));
    }
    for variable in container["env"].as_array_mut().into_iter().flatten() {
        if variable["valueFrom"]["fieldRef"].is_object() {
            set(
                &mut variable["valueFrom"]["fieldRef"],
                "apiVersion",
                json!("v1"),
            );
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container[name].is_object() {
            probe(&mut container[name]);
        }
    }
    let image = container["image"].as_str().unwrap_or_default();
    let tagged = image.rsplit('/').next().unwrap_or_default().contains(':');
    let latest = !image.contains('@') && (image.ends_with(":latest") || !tagged);
    let policy = if latest { "Always" } else { "IfNotPresent" };
    set(container, "imagePullPolicy", json!(policy));
    set(container, "resources", json!({}));
    quantities(&mut container["resources"]["requests"]);
    quantities(&mut container["resources"]["limits"]);
    set(
        container,
        "terminationMessagePath",
        json!("/dev/termination-log"),
    );
    set(container, "terminationMessagePolicy", json!("File"));
}

fn probe(probe: &mut Value) {
    set(probe, "failureThreshold", json!(3));
    set(probe, "periodSeconds", json!(10));
    set(probe, "successThreshold", json!(1));
    set(probe, "timeoutSeconds", json!(1));
    if probe["httpGet"].is_object() {
        set(&mut probe["httpGet"], "scheme", json!("HTTP"));
    }
}

/// Writes every quantity of a map the way the server writes it.
pub(super) fn quantities(map: &mut Value) {
    for value in map.as_object_mut().into_iter().flat_map(|m| m.values_mut()) {
        let text = match &*value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => continue,
        };
        if let Some(canonical) = canonical(&text) {
            *value = json!(canonical);
        }
    }
}

const DECIMAL: [(&str, i128); 10] = [
    ("E", 1_000_000_000_000_000_000_000_000_000),
    ("P", 1_000_000_000_000_000_000_000_000),
    ("T", 1_000_000_000_000_000_000_000),
    ("G", 1_000_000_000_000_000_000),
    ("M", 1_000_000_000_000_000),
    ("k", 1_000_000_000_000),
    ("", NANOS),
    ("m", 1_000_000),
    ("u", 1_000),
    ("n", 1),
];
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const NANOS: i128 = 1_000_000_000;

/// The shortest form without a fraction, in the family of suffixes that was used.
fn canonical(text: &str) -> Option<String> {
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let power = BINARY.iter().position(|s| *s == suffix);
    let unit = match power {
        Some(power) => NANOS << (10 * (power + 1)),
        None => DECIMAL.iter().find(|(s, _)| *s == suffix)?.1,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let nanos = digits.checked_mul(unit)? / scale;
    if nanos == 0 {
        return Some("0".to_owned());
    }
    if power.is_some() && nanos % NANOS == 0 {
        let bytes = nanos / NANOS;
        let fits = (0..BINARY.len())
            .rev()
            .find(|p| bytes % (1 << (10 * (p + 1))) == 0);
        return Some(match fits {
            Some(p) => format!("{}{}", bytes >> (10 * (p + 1)), BINARY[p]),
            None => bytes.to_string(),
        });
    }
    let (suffix, unit) = DECIMAL.iter().find(|(_, unit)| nanos % unit == 0)?;
    Some(format!("{}{suffix}", nanos / unit))
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn quantities_have_one_form() {
        for (text, wanted) in [
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("100", "100"),
            ("1000", "1k"),
            ("0", "0"),
            ("250m", "250m"),
            ("1e3", ""),
        ] {
            assert_eq!(canonical(text).unwrap_or_default(), wanted, "{text}");
        }
    }
}
