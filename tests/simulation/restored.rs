//! A state from a backup knows what was there then, and not what was made since.

use zonewright_tests::simulation::{options, simulate};

use crate::recovery::{ALL_KINDS, fair, settings, without_bz};

/// The standby was destroyed and made anew after the backup: all of it is found by its marks. What is recorded
/// from then on is what is there, so that nothing in use is called left over, with a command that removes it.
#[test]
fn what_was_made_anew_since_is_recorded_as_it_is() {
    simulate(settings(ALL_KINDS, 0), async |simulation| {
        fair(simulation, options(&[])).await.unwrap();
        let backup = simulation.store.copy();
        fair(simulation, without_bz()).await.unwrap();
        fair(simulation, options(&[])).await.unwrap();
        let whole = simulation.census().await;

        simulation.store.put_back(&backup);
        fair(simulation, options(&[])).await.unwrap();
        assert_eq!(simulation.census().await, whole, "nothing is made again");
        let left = simulation.orphans().await.unwrap();
        assert!(left.is_empty(), "{left:#?}");
        assert!(simulation.plan(&[]).await.plan.is_empty());

        // What is recorded leads to what is there.
        fair(simulation, without_bz()).await.unwrap();
        assert!(simulation.orphans().await.unwrap().is_empty());
    });
}
