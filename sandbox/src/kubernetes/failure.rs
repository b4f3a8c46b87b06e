//! What goes wrong, in the words and shapes of the real API server.

use serde_json::{Value, json};

use super::kinds::Kind;
use super::managed::Conflict;

/// An answer other than success.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u16,
    reason: &'static str,
    message: String,
    details: Value,
    plain: bool,
}

/// One field of an invalid object.
#[derive(Debug)]
pub(crate) struct Cause {
    reason: &'static str,
    field: String,
    message: String,
}

impl Cause {
    pub(crate) fn invalid(field: &str, value: &Value, message: &str) -> Cause {
        let value = match value {
            Value::Object(_) | Value::Array(_) => format!("{value}"),
            other => other.to_string(),
        };
        let message = format!("Invalid value: {value}: {message}");
        Cause {
            reason: "FieldValueInvalid",
            field: field.to_owned(),
            message,
        }
    }

    pub(crate) fn forbidden(field: &str, message: &str) -> Cause {
        let message = format!("Forbidden: {message}");
        Cause {
            reason: "FieldValueForbidden",
            field: field.to_owned(),
            message,
        }
    }

    pub(crate) fn required(field: &str, message: &str) -> Cause {
        let message = if message.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {message}")
        };
        Cause {
            reason: "FieldValueRequired",
            field: field.to_owned(),
            message,
        }
    }

    pub(crate) fn unsupported(field: &str, value: &Value, known: &[&str]) -> Cause {
        let known: Vec<String> = known.iter().map(|k| format!("{k:?}")).collect();
        let message = format!(
            "Unsupported value: {value}: supported values: {}",
            known.join(", ")
        );
        Cause {
            reason: "FieldValueNotSupported",
            field: field.to_owned(),
            message,
        }
    }
}

impl Failure {
    fn new(code: u16, reason: &'static str, message: String) -> Failure {
        Failure {
            code,
            reason,
            message,
            details: Value::Null,
            plain: false,
        }
    }

    /// The answer to a path that nothing serves: no Status, only text.
    pub(crate) fn no_such_path() -> Failure {
        let mut out = Failure::new(404, "NotFound", "404 page not found\n".to_owned());
        out.plain = true;
        out
    }

    pub(crate) fn not_found(kind: &Kind, name: &str) -> Failure {
        let mut out = Failure::new(
            404,
            "NotFound",
            format!("{} {name:?} not found", kind.qualified()),
        );
        out.details = json!({"name": name, "group": kind.group, "kind": kind.plural});
        drop_empty_group(&mut out.details);
        out
    }

    pub(crate) fn namespace_not_found(name: &str) -> Failure {
        let mut out = Failure::new(404, "NotFound", format!("namespaces {name:?} not found"));
        out.details = json!({"name": name, "kind": "namespaces"});
        out
    }

    pub(crate) fn already_exists(kind: &Kind, name: &str) -> Failure {
        let message = format!("{} {name:?} already exists", kind.qualified());
        let mut out = Failure::new(409, "AlreadyExists", message);
        out.details = json!({"name": name, "group": kind.group, "kind": kind.plural});
        drop_empty_group(&mut out.details);
        out
    }

    pub(crate) fn conflict(kind: &Kind, name: &str, why: &str) -> Failure {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            kind.qualified()
        );
        let mut out = Failure::new(409, "Conflict", message);
        out.details = json!({"name": name, "group": kind.group, "kind": kind.plural});
        drop_empty_group(&mut out.details);
        out
    }

    pub(crate) fn modified(kind: &Kind, name: &str) -> Failure {
        let why = "the object has been modified; please apply your changes to the latest version \
                   and try again";
        Failure::conflict(kind, name, why)
    }

    /// Somebody else owns fields of the applied object.
    pub(crate) fn apply_conflict(conflicts: &[Conflict]) -> Failure {
        let message = match conflicts {
            [one] => {
                format!(
                    "Apply failed with 1 conflict: conflict with {}: {}",
                    one.owner, one.path
                )
            }
            many => {
                let mut text = format!("Apply failed with {} conflicts: ", many.len());
                let mut owner = None;
                let mut lines = Vec::new();
                for conflict in many {
                    if owner != Some(&conflict.owner) {
                        lines.push(format!("conflicts with {}:", conflict.owner));
                        owner = Some(&conflict.owner);
                    }
                    lines.push(format!("- {}", conflict.path));
                }
                text.push_str(&lines.join("\n"));
                text
            }
        };
        let causes = conflicts.iter().map(|c| {
            json!({"reason": "FieldManagerConflict", "field": c.path,
                   "message": format!("conflict with {}", c.owner)})
        });
        let mut out = Failure::new(409, "Conflict", message);
        out.details = json!({"causes": causes.collect::<Vec<_>>()});
        out
    }

    pub(crate) fn invalid(kind: &Kind, name: &str, causes: &[Cause]) -> Failure {
        let texts: Vec<String> = causes
            .iter()
            .map(|c| format!("{}: {}", c.field, c.message))
            .collect();
        let text = match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let what = match kind.group.as_str() {
            "" => kind.kind.clone(),
            group => format!("{}.{group}", kind.kind),
        };
        let mut out = Failure::new(
            422,
            "Invalid",
            format!("{what} {name:?} is invalid: {text}"),
        );
        let causes = causes
            .iter()
            .map(|c| json!({"reason": c.reason, "message": c.message, "field": c.field}));
        out.details = json!({"name": name, "group": kind.group, "kind": kind.kind,
                             "causes": causes.collect::<Vec<_>>()});
        drop_empty_group(&mut out.details);
        out
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Failure {
        Failure::new(400, "BadRequest", message.into())
    }

    /// A failure of the server that has no reason: server-side apply answers user errors this way.
    pub(crate) fn unreasoned(message: String) -> Failure {
        Failure::new(500, "", message)
    }

    pub(crate) fn internal(message: &str) -> Failure {
        let text = format!("Internal error occurred: {message}");
        let mut out = Failure::new(500, "InternalError", text);
        out.details = json!({"causes": [{"message": message}]});
        out
    }

    pub(crate) fn method_not_allowed() -> Failure {
        let message = "the server does not allow this method on the requested resource";
        Failure::new(405, "MethodNotAllowed", message.to_owned())
    }

    pub(crate) fn unsupported_media_type(got: &str, known: &[&str]) -> Failure {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}; got {got:?}",
            known.join(", ")
        );
        Failure::new(415, "UnsupportedMediaType", message)
    }

    pub(crate) fn terminating(kind: &Kind, name: &str, namespace: &str) -> Failure {
        let message = format!(
            "{} {name:?} is forbidden: unable to create new content in namespace {namespace} \
             because it is being terminated",
            kind.qualified()
        );
        let mut out = Failure::new(403, "Forbidden", message);
        out.details = json!({"name": name, "group": kind.group, "kind": kind.plural, "causes": [{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]});
        drop_empty_group(&mut out.details);
        out
    }

    pub(crate) fn forbidden(kind: &Kind, name: &str, why: &str) -> Failure {
        let message = format!("{} {name:?} is forbidden: {why}", kind.qualified());
        let mut out = Failure::new(403, "Forbidden", message);
        out.details = json!({"name": name, "group": kind.group, "kind": kind.plural});
        drop_empty_group(&mut out.details);
        out
    }

    pub(crate) fn too_old(asked: u64, oldest: u64) -> Failure {
        let message = format!("too old resource version: {asked} ({oldest})");
        Failure::new(410, "Expired", message)
    }

    pub(crate) fn unavailable(message: &str) -> Failure {
        Failure::new(503, "ServiceUnavailable", message.to_owned())
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The `Status` object of the answer.
    pub(crate) fn status(&self) -> Value {
        let mut out = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Failure", "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            out["reason"] = json!(self.reason);
        }
        if !self.details.is_null() {
            out["details"] = self.details.clone();
        }
        out
    }
}

fn drop_empty_group(details: &mut Value) {
    if details["group"] == ""
        && let Some(map) = details.as_object_mut()
    {
        map.remove("group");
    }
}
