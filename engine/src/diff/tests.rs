use super::*;
use crate::address::Kind;
use crate::schema::{Containment, Form, Typical};
use crate::secret::Secret;

fn rules() -> ObjectRules {
    ObjectRules {
        canonical: Value::clone,
        takes: |_, _| false,
        deadline: |_| None,
        tool: |_| None,
        implied: |_| Vec::new(),
        needs: |_| Vec::new(),
        immutable: &[("apps/Deployment", "spec.selector")],
        evict_first: |_| false,
        exposes: |_| None,
        typical: |_| std::time::Duration::ZERO,
        list_key: |path| (path.last() == Some(&"env")).then_some(&["name"]),
        misfits: |_| Vec::new(),
        zero_is_unset: &["hostNetwork"],
        brings: |_| None,
        replaced_freely: |_| false,
        never_replaced: |_| None,
        reads_at_start: |_| Vec::new(),
        stands_on: |_| Vec::new(),
    }
}

fn schema() -> KindSchema {
    KindSchema {
        kind: "kubernetes.manifest".parse::<Kind>().unwrap(),
        part: None,
        doc: "An object.",
        form: Form::Manifest,
        attrs: Vec::new(),
        outputs: Vec::new(),
        contained_in: Containment::Instance,
        marked: true,
        kept_when_off: false,
        protect: false,
        typical: Typical::secs(1, 1, 1),
        identity: &[],
        checks: &[],
    }
}

fn value(text: &str) -> Value {
    Value::from_plain_json(serde_json::from_str(text).unwrap())
}

fn check(desired: &Value, live: &str, recorded: Option<&Value>, expect: &[&str]) {
    let found: Vec<String> = diff(&schema(), Some(&rules()), desired, &value(live), recorded)
        .into_iter()
        .map(|d| {
            let side = |v: Option<Value>| v.map_or("-".to_owned(), |v| v.to_json().to_string());
            let forced = if d.replaces { " !" } else { "" };
            format!(
                "{}: {} -> {}{forced}",
                d.path,
                side(d.before),
                side(d.after)
            )
        })
        .collect();
    assert_eq!(found, expect);
}

#[test]
fn only_what_is_wanted_is_compared_and_lists_by_their_key() {
    let desired =
        r#"{"apiVersion":"apps/v1","kind":"Deployment","spec":{"env":[{"name":"B","value":"2"}]}}"#;
    let live = r#"{"apiVersion":"apps/v1","kind":"Deployment","status":{"x":1},
        "spec":{"added":true,"env":[{"name":"A","value":"1"},{"name":"B","value":"3"}]}}"#;
    check(
        &value(desired),
        live,
        None,
        &[r#"spec.env[0].value: "3" -> "2""#],
    );
}

#[test]
fn what_was_applied_and_left_the_spec_is_to_be_removed() {
    let desired = value(r#"{"kind":"ConfigMap","data":{"a":"1"}}"#);
    let recorded = value(r#"{"kind":"ConfigMap","data":{"a":"1","b":"2"}}"#);
    let live = r#"{"kind":"ConfigMap","data":{"a":"1","b":"2","c":"3"}}"#;
    check(&desired, live, Some(&recorded), &[r#"data.b: "2" -> -"#]);
}

#[test]
fn what_the_server_refuses_to_change_forces_a_replacement() {
    let desired =
        value(r#"{"apiVersion":"apps/v1","kind":"Deployment","spec":{"selector":{"app":"b"}}}"#);
    let live = r#"{"apiVersion":"apps/v1","kind":"Deployment","spec":{"selector":{"app":"a"}}}"#;
    check(
        &desired,
        live,
        None,
        &[r#"spec.selector.app: "a" -> "b" !"#],
    );
}

/// A live value that the vendor keeps in clear is hidden where the spec has a secret, or had one.
#[test]
fn a_live_value_in_the_place_of_a_secret_is_never_shown() {
    let secret = |text: &str| Value::Secret(Secret::new("secret.x", text, None));
    let env = |v: Value| {
        let entry = [
            ("name".to_owned(), Value::text("P")),
            ("value".to_owned(), v),
        ];
        let list = Value::List(vec![Value::Map(entry.into())]);
        Value::Map([("env".to_owned(), list)].into())
    };
    let live = r#"{"env":[{"name":"P","value":"old-canary"}]}"#;
    let hidden =
        r#"env[0].value: {"$secret":{"ref":"secret.x"}} -> {"$secret":{"ref":"secret.x"}}"#;
    check(&env(secret("new")), live, None, &[hidden]);
    check(&env(secret("old-canary")), live, None, &[]);
    let none = value(r#"{"env":[]}"#);
    let gone = r#"env.P: {"name":"P","value":{"$secret":{"ref":"secret.x"}}} -> -"#;
    check(&none, live, Some(&env(secret("old-canary"))), &[gone]);
    // A list without keys, of another length: which item is which cannot be told.
    let args = |items: Vec<Value>| Value::Map([("args".to_owned(), Value::List(items))].into());
    let found = diff(
        &schema(),
        Some(&rules()),
        &args(vec![secret("a"), Value::text("b")]),
        &value(r#"{"args":["old-canary"]}"#),
        None,
    );
    assert!(!format!("{:?}", found[0].before.as_ref().unwrap().to_json()).contains("canary"));
}

/// What the server drops because it is zero is no difference; what somebody set in its place is.
#[test]
fn a_zero_that_the_server_does_not_keep_is_no_difference() {
    let find = |live: Value| {
        let desired = Value::from_json(serde_json::json!({
            "apiVersion": "v1", "kind": "Pod", "spec": {"hostNetwork": false, "other": false},
        }))
        .unwrap();
        let mut out = Vec::new();
        object::diff(&rules(), &desired, &live, None, &mut out);
        let paths: Vec<String> = out.iter().map(|d| d.path.to_string()).collect();
        paths
    };
    let live = |spec| serde_json::json!({"apiVersion": "v1", "kind": "Pod", "spec": spec});
    let unset = live(serde_json::json!({}));
    assert_eq!(find(Value::from_json(unset).unwrap()), ["spec.other"]);
    let on = live(serde_json::json!({"hostNetwork": true, "other": false}));
    assert_eq!(find(Value::from_json(on).unwrap()), ["spec.hostNetwork"]);
}

/// What a server says would be there after an update decides what the update is.
#[test]
fn a_trial_decides_what_an_update_changes() {
    use crate::plan::tier;
    use crate::provider::{Live, Mark, Status};
    let shown = |desired: &str, live: &str, recorded: &str, after: &str| -> Vec<String> {
        let after = Live {
            id: String::new(),
            attrs: value(after),
            mark: Mark::Missing,
            status: Status::Ready,
        };
        let (desired, live, recorded) = (value(desired), value(live), value(recorded));
        let found = tier::differences(
            &schema(),
            &rules(),
            &desired,
            &live,
            Some(&recorded),
            &after,
        );
        let side = |v: Option<Value>| v.map_or("-".to_owned(), |v| v.to_json().to_string());
        let line = |d: Difference| format!("{}: {} -> {}", d.path, side(d.before), side(d.after));
        found.into_iter().map(line).collect()
    };
    let object = |spec: &str| format!(r#"{{"apiVersion": "v1", "kind": "X", "spec": {spec}}}"#);
    // It is written otherwise, and nothing would change.
    let (said, there) = (object(r#"{"size": "1000m"}"#), object(r#"{"size": "1"}"#));
    assert_eq!(shown(&said, &there, &said, &there), [""; 0]);
    // A webhook decides: its value is what will be there. What it adds elsewhere is its own.
    let after = object(r#"{"size": "7", "extra": true}"#);
    assert_eq!(
        shown(&said, &there, &said, &after),
        [r#"spec.size: "1" -> "7""#]
    );
    // What left the spec goes, unless somebody else applies it as well.
    let was = object(r#"{"size": "1", "old": "x"}"#);
    let only = object(r#"{"size": "1"}"#);
    assert_eq!(shown(&only, &was, &was, &only), [r#"spec.old: "x" -> -"#]);
    assert_eq!(shown(&only, &was, &was, &was), [""; 0]);
}

/// The digest of an effect is the same for the same effect only.
#[test]
fn an_effect_is_known_by_its_digest() {
    use crate::plan::tier::effect;
    let change = |before: &str, after: &str| {
        vec![Difference {
            path: "spec.a".parse().unwrap(),
            before: Some(Value::text(before)),
            after: Some(Value::text(after)),
            replaces: false,
        }]
    };
    let one = effect(&change("a", "b"), None);
    assert_eq!(one, effect(&change("a", "b"), None));
    assert_ne!(one, effect(&change("a", "c"), None));
    assert_ne!(one, effect(&change("x", "b"), None));
    assert_ne!(one, effect(&[], None));
}
