//! The Job of a step after a restore: a file with one object.

use std::rc::Rc;

use serde_json::Value as Json;

use super::{Text, yaml};
use crate::diag::{Code, Draft};
use crate::tree::Loc;

/// The Job in a file's text, as `[[database.post_restore]]` names it; nothing if the text is not one Job.
pub fn job(text: &str) -> Option<Json> {
    let source = Text {
        file: 0,
        text: Rc::from(text),
    };
    one(&source, &mut |_| {})
}

/// Reports what is wrong with a file that has to be one Job. `at` names it.
pub(super) fn check(source: &Text, at: Loc, report: &mut dyn FnMut(Draft)) {
    let mut broken = false;
    let found = one(source, &mut |draft| {
        broken = true;
        report(draft);
    });
    if found.is_none() && !broken {
        let message = "the file of a step is one Job of `batch/v1` with a name";
        report(Draft::new(Code::NotAnObject, message).label(at, "named here"));
    }
}

fn one(source: &Text, report: &mut dyn FnMut(Draft)) -> Option<Json> {
    let mut found = yaml::documents(source, report);
    let (Some(document), true) = (found.pop(), found.is_empty()) else {
        return None;
    };
    let job = document.json;
    let named = job["metadata"]["name"].is_string() && job["spec"].is_object();
    (job["apiVersion"] == "batch/v1" && job["kind"] == "Job" && named).then_some(job)
}
