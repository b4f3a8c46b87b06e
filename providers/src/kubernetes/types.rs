//! The types of common fields of built-in kinds. Server-side apply takes no text for a number: a setting that is
//! text would be refused when the object is sent, which may be the last of an apply.
//!
//! Fields that take either (`targetPort`, `maxSurge`) are left to the server. Source: the API reference of
//! Kubernetes 1.34.

use serde_json::Value as Json;
use zonewright_engine::schema::Misfit;

/// What a field takes.
#[derive(Debug, Clone, Copy)]
enum Takes {
    Whole,
    Switch,
    Text,
}

use Takes::{Switch, Text, Whole};

impl Takes {
    fn name(self) -> &'static str {
        match self {
            Whole => "a whole number",
            Switch => "a boolean",
            Text => "text",
        }
    }
}

/// Fields by path; `*` is each item or each entry.
type Fields = &'static [(&'static str, Takes)];

const METADATA: Fields = &[
    ("metadata.labels.*", Text),
    ("metadata.annotations.*", Text),
];

const REPLICATED: Fields = &[
    ("spec.replicas", Whole),
    ("spec.minReadySeconds", Whole),
    ("spec.revisionHistoryLimit", Whole),
    ("spec.progressDeadlineSeconds", Whole),
    ("spec.paused", Switch),
];

const JOB: Fields = &[
    ("activeDeadlineSeconds", Whole),
    ("backoffLimit", Whole),
    ("completions", Whole),
    ("parallelism", Whole),
    ("suspend", Switch),
    ("ttlSecondsAfterFinished", Whole),
];

const CRON_JOB: Fields = &[
    ("spec.schedule", Text),
    ("spec.startingDeadlineSeconds", Whole),
    ("spec.successfulJobsHistoryLimit", Whole),
    ("spec.failedJobsHistoryLimit", Whole),
    ("spec.suspend", Switch),
];

const SERVICE: Fields = &[
    ("spec.healthCheckNodePort", Whole),
    ("spec.ports.*.nodePort", Whole),
    ("spec.ports.*.port", Whole),
    ("spec.publishNotReadyAddresses", Switch),
    ("spec.selector.*", Text),
];

const AUTOSCALER: Fields = &[("spec.maxReplicas", Whole), ("spec.minReplicas", Whole)];

const ENTRIES: Fields = &[
    ("data.*", Text),
    ("stringData.*", Text),
    ("immutable", Switch),
];

const POD: Fields = &[
    ("activeDeadlineSeconds", Whole),
    ("automountServiceAccountToken", Switch),
    ("enableServiceLinks", Switch),
    ("hostNetwork", Switch),
    ("nodeSelector.*", Text),
    ("priority", Whole),
    ("securityContext.fsGroup", Whole),
    ("securityContext.runAsGroup", Whole),
    ("securityContext.runAsNonRoot", Switch),
    ("securityContext.runAsUser", Whole),
    ("shareProcessNamespace", Switch),
    ("terminationGracePeriodSeconds", Whole),
    ("volumes.*.configMap.defaultMode", Whole),
    ("volumes.*.secret.defaultMode", Whole),
];

const CONTAINER: Fields = &[
    ("args.*", Text),
    ("command.*", Text),
    ("env.*.value", Text),
    ("image", Text),
    ("ports.*.containerPort", Whole),
    ("ports.*.hostPort", Whole),
    ("securityContext.allowPrivilegeEscalation", Switch),
    ("securityContext.privileged", Switch),
    ("securityContext.readOnlyRootFilesystem", Switch),
    ("securityContext.runAsGroup", Whole),
    ("securityContext.runAsNonRoot", Switch),
    ("securityContext.runAsUser", Whole),
    ("stdin", Switch),
    ("tty", Switch),
    ("volumeMounts.*.readOnly", Switch),
];

const PROBE: Fields = &[
    ("failureThreshold", Whole),
    ("initialDelaySeconds", Whole),
    ("periodSeconds", Whole),
    ("successThreshold", Whole),
    ("timeoutSeconds", Whole),
];

/// The fields of an object that the server would refuse for their type.
pub(super) fn misfits(object: &Json) -> Vec<Misfit> {
    let mut out = Finder::default();
    let kind = object["kind"].as_str().unwrap_or_default();
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    out.all(object, METADATA);
    match (group, kind) {
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") => {
            out.all(object, REPLICATED);
            out.below(object, &["spec", "template"], Finder::template);
        }
        ("batch", "Job") => out.below(object, &["spec"], Finder::job),
        ("batch", "CronJob") => {
            out.all(object, CRON_JOB);
            out.below(object, &["spec", "jobTemplate", "spec"], Finder::job);
        }
        ("autoscaling", "HorizontalPodAutoscaler") => out.all(object, AUTOSCALER),
        ("", "Pod") => out.template(object),
        ("", "Service") => out.all(object, SERVICE),
        ("", "ConfigMap" | "Secret") => out.all(object, ENTRIES),
        _ => {}
    }
    out.found.sort();
    out.found.dedup();
    out.found
}

#[derive(Default)]
struct Finder {
    path: Vec<String>,
    found: Vec<Misfit>,
}

impl Finder {
    fn job(&mut self, spec: &Json) {
        self.all(spec, JOB);
        self.below(spec, &["template"], Finder::template);
    }

    fn template(&mut self, template: &Json) {
        self.all(template, METADATA);
        self.below(template, &["spec"], |at, spec| {
            at.all(spec, POD);
            for list in ["initContainers", "containers"] {
                at.below(spec, &[list, "*"], Finder::container);
            }
        });
    }

    fn container(&mut self, container: &Json) {
        self.all(container, CONTAINER);
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            self.below(container, &[probe], |at, probe| at.all(probe, PROBE));
        }
    }

    fn all(&mut self, value: &Json, fields: Fields) {
        for (path, takes) in fields {
            let steps: Vec<&str> = path.split('.').collect();
            self.below(value, &steps, |at, found| at.look(found, *takes));
        }
    }

    /// Goes to each value at a path.
    fn below(&mut self, value: &Json, steps: &[&str], then: impl Fn(&mut Finder, &Json)) {
        self.walk(value, steps, &then);
    }

    fn walk(&mut self, value: &Json, steps: &[&str], then: &dyn Fn(&mut Finder, &Json)) {
        let Some((step, rest)) = steps.split_first() else {
            return then(self, value);
        };
        let mut enter = |key: String, inner: &Json| {
            self.path.push(key);
            self.walk(inner, rest, then);
            self.path.pop();
        };
        match value {
            Json::Array(items) if *step == "*" => {
                for (i, item) in items.iter().enumerate() {
                    enter(i.to_string(), item);
                }
            }
            Json::Object(map) if *step == "*" => {
                for (key, inner) in map {
                    enter(key.clone(), inner);
                }
            }
            Json::Object(map) => {
                if let Some(inner) = map.get(*step) {
                    enter((*step).to_owned(), inner);
                }
            }
            _ => {}
        }
    }

    /// What is no scalar is a value that is not known yet, or something that the server explains.
    fn look(&mut self, value: &Json, takes: Takes) {
        let found = match (value, takes) {
            (Json::String(_), Whole | Switch) => "text",
            (Json::Bool(_), Whole | Text) => "a boolean",
            (Json::Number(_), Switch | Text) => "a number",
            (Json::Number(n), Whole) if n.as_f64().is_some_and(|f| f.fract() != 0.0) => {
                "a fraction"
            }
            _ => return,
        };
        self.found.push(Misfit {
            path: self.path.clone(),
            wanted: takes.name(),
            found,
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(object: &Json) -> Vec<String> {
        let misfits = misfits(object).into_iter();
        misfits
            .map(|m| format!("{}: {}, not {}", m.path.join("."), m.wanted, m.found))
            .collect()
    }

    #[test]
    fn fields_of_workloads_have_types() {
        let container = json!({
            "name": "c", "image": "i", "env": [{"name": "A", "value": 1}, {"name": "B", "value": "1"}],
            "ports": [{"containerPort": "80"}], "livenessProbe": {"periodSeconds": true},
            "securityContext": {"runAsNonRoot": "yes", "runAsUser": 1.5},
        });
        let pod = json!({
            "metadata": {"labels": {"app.kubernetes.io/part-of": 3}},
            "spec": {"containers": [container], "hostNetwork": 1},
        });
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "d", "annotations": {"a": true}},
            "spec": {"replicas": "one", "minReadySeconds": 5, "template": pod}});
        assert_eq!(
            told(&deployment),
            [
                "metadata.annotations.a: text, not a boolean",
                "spec.replicas: a whole number, not text",
                "spec.template.metadata.labels.app.kubernetes.io/part-of: text, not a number",
                "spec.template.spec.containers.0.env.0.value: text, not a number",
                "spec.template.spec.containers.0.livenessProbe.periodSeconds: a whole number, not a boolean",
                "spec.template.spec.containers.0.ports.0.containerPort: a whole number, not text",
                "spec.template.spec.containers.0.securityContext.runAsNonRoot: a boolean, not text",
                "spec.template.spec.containers.0.securityContext.runAsUser: a whole number, not a fraction",
                "spec.template.spec.hostNetwork: a boolean, not a number",
            ]
        );
    }

    #[test]
    fn other_kinds_too_and_what_is_not_known_fits() {
        let cron = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"},
            "spec": {"suspend": "no", "jobTemplate": {"spec": {"backoffLimit": "3"}}}});
        assert_eq!(
            told(&cron),
            [
                "spec.jobTemplate.spec.backoffLimit: a whole number, not text",
                "spec.suspend: a boolean, not text",
            ]
        );
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
            "spec": {"ports": [{"port": "80", "targetPort": "http"}]}});
        assert_eq!(
            told(&service),
            ["spec.ports.0.port: a whole number, not text"]
        );
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"},
            "data": {"a": 1, "b": {"$unknown": {"from": []}}}});
        assert_eq!(told(&config), ["data.a: text, not a number"]);
        // Somebody else's kind of the same name.
        let other =
            json!({"apiVersion": "x.io/v1", "kind": "Deployment", "spec": {"replicas": "one"}});
        assert_eq!(told(&other), [""; 0]);
    }
}
