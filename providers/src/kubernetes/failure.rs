//! What went wrong, and what follows from it: answers of the API server as classes.
//!
//! The texts and codes were taken from a real server; see the tests. Messages about Secrets hold
//! names of fields only, as the server quotes values.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value as Json;
use zonewright_engine::provider::{ErrorClass, ProviderError};

use super::sharing::Holder;

/// An answer that is no success.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    /// HTTP status.
    pub(crate) code: u16,
    /// The `Status` object, or null when the body was none.
    pub(crate) status: Json,
    /// The body's text when it was no `Status`.
    pub(crate) text: String,
    /// `Retry-After`.
    pub(crate) after: Option<Duration>,
}

/// Parts of messages by which the server says that an admission webhook could not be asked.
const WEBHOOK_DOWN: [&str; 3] = [
    "failed calling webhook",
    "failed to call webhook",
    "no endpoints available for service",
];

/// Phrases by which the server says that a field never changes (`pkg/apis/*/validation` of Kubernetes 1.36).
const IMMUTABLE: [&str; 8] = [
    "field is immutable",
    "is immutable",
    "may not be changed",
    "may not change once set",
    "cannot change roleRef",
    "are forbidden",
    "updates to statefulset spec for fields other than",
    "immutable field",
];

/// What a refusal of a trial says of the real request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It would be refused as well.
    Refuses,
    /// Nothing: the server could not try it as it would be.
    Unable,
}

impl Refusal {
    /// What it says when the request was only tried. A refusal that depends on something else (rights,
    /// quotas, a webhook's opinion of the moment) is none.
    pub(crate) fn verdict(&self) -> Verdict {
        let message = self.message();
        let opinion = message.contains("admission webhook") || message.contains("dry run");
        let wrong = match self.code {
            400 => !opinion,
            413 => true,
            // Another object has the name by now: that is for the comparison with what is there.
            // What another object holds (an address, a port) may be given free before.
            422 => !self.is_about_uid() && !message.contains("already allocated"),
            404 => self.status["details"]["kind"] == "namespaces",
            500 => message.contains("failed to create typed patch object"),
            _ => false,
        };
        if wrong {
            Verdict::Refuses
        } else {
            Verdict::Unable
        }
    }

    /// The fields that cannot change, if that and nothing else is what it is about. The uid is no such field:
    /// that it is another one means that another object has the name.
    pub(crate) fn immutable(&self) -> Option<Vec<String>> {
        let says = |cause: &Json| {
            let message = cause["message"].as_str().unwrap_or_default();
            let field = cause["field"].as_str().unwrap_or_default();
            let change = !message.contains("are forbidden") || message.contains("updates to");
            let phrase = IMMUTABLE.iter().any(|p| message.contains(p));
            (phrase && change && !field.starts_with("metadata.")).then(|| field.to_owned())
        };
        let causes = self.causes();
        let fields: Option<Vec<String>> = causes.iter().map(says).collect();
        fields.filter(|f| self.code == 422 && !f.is_empty())
    }

    fn reason(&self) -> &str {
        self.status["reason"].as_str().unwrap_or_default()
    }

    fn message(&self) -> &str {
        self.status["message"].as_str().unwrap_or(&self.text)
    }

    fn causes(&self) -> &[Json] {
        let causes = self.status["details"]["causes"].as_array();
        causes.map_or(&[], Vec::as_slice)
    }

    /// Who else has the fields, when that is what it is about.
    pub(crate) fn holders(&self) -> Option<Vec<Holder>> {
        let holders: Vec<Holder> = self.causes().iter().filter_map(Holder::read).collect();
        Some(holders).filter(|h| self.code == 409 && !h.is_empty())
    }

    /// Whether what was asked for is not there: the object, its kind or its namespace.
    pub(crate) fn is_missing(&self) -> bool {
        self.code == 404
    }

    /// Whether the server does not serve the kind: it answers without a `Status`.
    pub(crate) fn is_unserved(&self) -> bool {
        self.code == 404 && self.status.is_null()
    }

    /// Whether there is such a kind, and no list of it.
    pub(crate) fn is_unlistable(&self) -> bool {
        self.code == 405
    }

    /// Whether a deletion was refused because another object has the name now.
    pub(crate) fn is_other_uid(&self) -> bool {
        self.code == 409 && self.message().contains("UID in the precondition")
    }

    /// The list's continuation is too old.
    pub(crate) fn is_expired(&self) -> bool {
        self.code == 410
    }

    fn class(&self) -> ErrorClass {
        let after = self.after.or_else(|| {
            let seconds = self.status["details"]["retryAfterSeconds"].as_u64()?;
            Some(Duration::from_secs(seconds))
        });
        let transient = ErrorClass::Transient { after };
        let message = self.message();
        match self.code {
            400 | 413 | 415 | 405 => ErrorClass::Invalid,
            401 => ErrorClass::Unauthorized,
            403 if message.contains("because it is being terminated") => transient,
            403 if self
                .causes()
                .iter()
                .any(|c| c["reason"] == "NamespaceTerminating") =>
            {
                transient
            }
            403 => ErrorClass::Denied,
            // A kind that was defined a moment ago is not served yet.
            404 if self.is_unserved() => transient,
            404 => ErrorClass::NotFound,
            409 => self.conflict(transient),
            422 if self.is_about_uid() => ErrorClass::Conflict,
            422 => ErrorClass::Invalid,
            429 => ErrorClass::RateLimited { after },
            500 if message.contains("failed to create typed patch object") => ErrorClass::Invalid,
            500 if WEBHOOK_DOWN.iter().any(|t| message.contains(t)) => transient,
            500 | 502..=504 => transient,
            _ => ErrorClass::Failed,
        }
    }

    fn conflict(&self, transient: ErrorClass) -> ErrorClass {
        let message = self.message();
        if message.contains("uid mismatch") {
            ErrorClass::NotFound
        } else if message.contains("the object has been modified")
            || message.contains("object is being deleted")
            || message.contains("exceeded quota")
        {
            transient
        } else {
            ErrorClass::Conflict
        }
    }

    /// A wrong uid in the body is answered like a change of an immutable field.
    fn is_about_uid(&self) -> bool {
        let causes = self.causes();
        !causes.is_empty() && causes.iter().all(|c| c["field"] == "metadata.uid")
    }

    /// The error about an object. `secret` says that the object's values must not be quoted.
    pub(crate) fn error(&self, what: &str, secret: bool) -> ProviderError {
        let class = self.class();
        let mut message = format!("{what}: ");
        if self.is_about_uid() {
            message.push_str("it was replaced by somebody else");
        } else if self.reason() == "Conflict" && self.is_field_conflict() {
            message.push_str(&self.managers());
        } else if self.is_unserved() {
            message.push_str("its kind is not served");
        } else if secret {
            let _ = write!(message, "{}{}", self.outline(), self.fields());
        } else if self.message().is_empty() {
            let _ = write!(message, "HTTP status {}", self.code);
        } else {
            message.push_str(self.message());
        }
        ProviderError::new(class, message)
    }

    fn is_field_conflict(&self) -> bool {
        self.causes()
            .iter()
            .any(|c| c["reason"] == "FieldManagerConflict")
    }

    fn managers(&self) -> String {
        let causes = self.causes().iter().map(|c| {
            let text = |key: &str| c[key].as_str().unwrap_or("?");
            format!("{} ({})", text("field"), text("message"))
        });
        let causes: Vec<_> = causes.collect();
        format!("others manage fields of it: {}", causes.join(", "))
    }

    fn outline(&self) -> String {
        match self.reason() {
            "" => format!("HTTP status {}", self.code),
            reason => format!("{reason} (HTTP status {})", self.code),
        }
    }

    fn fields(&self) -> String {
        let fields: Vec<_> = self
            .causes()
            .iter()
            .filter_map(|c| c["field"].as_str())
            .collect();
        if fields.is_empty() {
            String::new()
        } else {
            format!(": {}", fields.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Refusal, Verdict};
    use serde_json::{Value as Json, json};

    fn check(code: u16, status: Json, want: &str) {
        let refusal = Refusal {
            code,
            status,
            text: String::new(),
            after: None,
        };
        let error = refusal.error("ConfigMap a/b", false);
        let class = format!("{:?}", error.class);
        let class = class
            .split([' ', '{'])
            .next()
            .unwrap_or_default()
            .to_owned();
        assert_eq!(format!("{class}: {}", error.message), want);
    }

    #[test]
    fn answers_have_classes() {
        let says = |message: &str| json!({"kind": "Status", "message": message});
        check(401, says("no"), "Unauthorized: ConfigMap a/b: no");
        check(403, says("no right"), "Denied: ConfigMap a/b: no right");
        check(
            403,
            says("x is forbidden: because it is being terminated"),
            "Transient: ConfigMap a/b: x is forbidden: because it is being terminated",
        );
        check(
            404,
            Json::Null,
            "Transient: ConfigMap a/b: its kind is not served",
        );
        check(
            404,
            says("namespaces \"a\" not found"),
            "NotFound: ConfigMap a/b: namespaces \"a\" not found",
        );
        check(
            409,
            says("uid mismatch: no existing object was found"),
            "NotFound: ConfigMap a/b: uid mismatch: no existing object was found",
        );
        check(
            500,
            says("Internal error: failed calling webhook \"w\": connection refused"),
            "Transient: ConfigMap a/b: Internal error: failed calling webhook \"w\": connection refused",
        );
        check(
            500,
            says("failed to create typed patch object: .spec.x: field not declared in schema"),
            "Invalid: ConfigMap a/b: failed to create typed patch object: .spec.x: field not declared in schema",
        );
        check(503, Json::Null, "Transient: ConfigMap a/b: HTTP status 503");
    }

    #[test]
    fn conflicts_name_fields_and_managers() {
        let status = json!({"kind": "Status", "reason": "Conflict", "message": "m", "details": {"causes": [
            {"reason": "FieldManagerConflict", "message": "conflict with \"helm\"", "field": ".data.k"}]}});
        check(
            409,
            status,
            "Conflict: ConfigMap a/b: others manage fields of it: .data.k (conflict with \"helm\")",
        );
        let status = json!({"kind": "Status", "reason": "Invalid", "message": "m", "details": {"causes": [
            {"reason": "FieldValueInvalid", "message": "field is immutable", "field": "metadata.uid"}]}});
        check(
            422,
            status,
            "Conflict: ConfigMap a/b: it was replaced by somebody else",
        );
    }

    #[test]
    fn a_trial_is_refused_for_what_is_wrong_with_the_object_itself() {
        let verdict = |code: u16, message: &str| {
            let details = json!({"kind": "namespaces"});
            let status = json!({"kind": "Status", "message": message, "details": details});
            let refusal = Refusal {
                code,
                status,
                text: String::new(),
                after: None,
            };
            refusal.verdict()
        };
        for (code, message) in [
            (
                400,
                "strict decoding error: unknown field \"spec.replicaz\"",
            ),
            (404, "namespaces \"a\" not found"),
            (413, "Request entity too large"),
            (
                422,
                "Service \"a\" is invalid: spec.ports[0].port: Invalid value: 99999",
            ),
            (
                500,
                "failed to create typed patch object: .spec.x: field not declared in schema",
            ),
        ] {
            assert_eq!(verdict(code, message), Verdict::Refuses, "{message}");
        }
        for (code, message) in [
            (400, "admission webhook \"w\" does not support dry run"),
            (400, "admission webhook \"w\" denied the request: no"),
            (
                403,
                "deployments.apps is forbidden: User \"x\" cannot patch resource",
            ),
            (403, "exceeded quota: q"),
            (409, "Operation cannot be fulfilled"),
            (429, "too many requests"),
            (500, "Internal error occurred: failed calling webhook \"w\""),
            (503, "service unavailable"),
        ] {
            assert_eq!(verdict(code, message), Verdict::Unable, "{message}");
        }
    }

    #[test]
    fn what_never_changes_is_told_from_what_is_wrong() {
        let fields = |code: u16, causes: &[(&str, &str)]| {
            let cause =
                |(field, message): &(&str, &str)| json!({"field": field, "message": message});
            let causes: Vec<Json> = causes.iter().map(cause).collect();
            let refusal = Refusal {
                code,
                status: json!({"kind": "Status", "details": {"causes": causes}}),
                text: String::new(),
                after: None,
            };
            refusal.immutable().map(|f| f.join(" "))
        };
        for (field, message) in [
            (
                "spec.selector",
                "Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: field is immutable",
            ),
            (
                "spec",
                "Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden",
            ),
            (
                "roleRef",
                "Invalid value: {\"kind\":\"Role\"}: cannot change roleRef",
            ),
            (
                "spec.clusterIPs[0]",
                "Invalid value: [\"10.0.0.1\"]: may not change once set",
            ),
            (
                "spec",
                "Forbidden: spec is immutable after creation except resources.requests",
            ),
            (
                "provisioner",
                "Forbidden: updates to provisioner are forbidden.",
            ),
            (
                "data",
                "Forbidden: field is immutable when `immutable` is set",
            ),
        ] {
            assert_eq!(
                fields(422, &[(field, message)]).as_deref(),
                Some(field),
                "{message}"
            );
        }
        let fixed = ("spec.selector", "field is immutable");
        // Something is wrong beside it; another object has the name; it is no refusal of values.
        assert_eq!(fields(422, &[fixed, ("spec.x", "Required value")]), None);
        assert_eq!(fields(422, &[("metadata.uid", "field is immutable")]), None);
        assert_eq!(
            fields(
                422,
                &[("spec.ports", "Forbidden: host ports are forbidden")]
            ),
            None
        );
        assert_eq!(fields(409, &[fixed]), None);
        assert_eq!(fields(422, &[]), None);
    }

    #[test]
    fn values_of_secrets_are_not_quoted() {
        let status = json!({"kind": "Status", "reason": "Invalid", "message": "data: Invalid value: \"hunter2\"",
            "details": {"causes": [{"field": "data[k]", "message": "Invalid value: \"hunter2\""}]}});
        let refusal = Refusal {
            code: 422,
            status,
            text: "hunter2".to_owned(),
            after: None,
        };
        let error = refusal.error("Secret a/b", true);
        assert_eq!(
            error.message,
            "Secret a/b: Invalid (HTTP status 422): data[k]"
        );
    }
}
