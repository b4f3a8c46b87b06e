//! A delete that was accepted is not done: somebody may have reason to keep the object for a while.

use zonewright_tests::simulation::project::{Project, SITE};
use zonewright_tests::simulation::{Settings, simulate};

#[test]
fn what_does_not_go_is_not_said_to_be_gone() {
    let mut project = Project::of_tests("one-of-each");
    let held = SITE.replace("spec:", "  finalizers: [one.zonewright.dev/hold]\nspec:");
    project.edit("manifests/app.yaml", SITE, &held);
    simulate(Settings::realistic(project), async |simulation| {
        assert!(simulation.apply(&[]).await.report.is_complete());
        simulation.project.edit("manifests/app.yaml", &held, "");
        let applied = simulation.apply(&[]).await;
        let failed: Vec<_> = applied
            .report
            .failed()
            .map(|(_, e)| e.message.clone())
            .collect();
        assert!(
            failed.iter().any(|m| m.contains("one.zonewright.dev/hold")),
            "{failed:?}"
        );
        let left = simulation.census().await;
        assert_eq!(left["kubernetes/one.zonewright.dev/sites app/main"], 1);
        // It is still ours, and still to go.
        assert_eq!(simulation.plan(&[]).await.plan.summary().delete, 1);
    });
}
