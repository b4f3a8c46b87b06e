//! Saved plans.

use zonewright::render::cost::Costs;
use zonewright::render::plan::{View, text};
use zonewright::render::plan_json;
use zonewright::render::style::Paint;
use zonewright_engine::plan::Plan;
use zonewright_engine::plan::stale::differences;

/// Whatever is a plan has one form, fits itself, and can be shown.
///
/// # Panics
/// It does not hold.
pub fn plan(bytes: &[u8]) {
    let Ok(plan) = serde_json::from_slice::<Plan>(bytes) else {
        return;
    };
    let saved = plan.bytes();
    let again: Plan = serde_json::from_slice(&saved).expect("what is saved is a plan");
    assert_eq!(again.bytes(), saved, "one form");
    assert_eq!(differences(&plan, &again), [""; 0]);
    let mut view = View {
        paint: Paint::new(false),
        verbose: false,
        command: None,
        program: "zonewright".to_owned(),
        approvable: true,
        costs: Costs::default(),
    };
    for verbose in [false, true] {
        view.verbose = verbose;
        let shown = text(&plan, &view);
        let moves = |c: char| c.is_control() && c != '\n';
        assert!(!shown.contains(moves), "{shown:?}");
    }
    plan_json::json(&plan, None, &view.costs);
}
