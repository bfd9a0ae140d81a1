//! Years of rotations on a virtual clock, in seconds.
//!
//! A thousand rotations across three replicas on one database, whose clocks differ by up to 30
//! seconds; five relying parties that keep the key set for nothing to a day, whatever Cache-Control
//! says; hours in which publishing fails; replicas that are killed and started again; `rotate`,
//! `trim` and emergencies at random. No token fails to verify, as long as it lives, for another reason
//! than an emergency.

mod party;
mod random;
mod world;

use self::world::World;

/// The tenth, the hundredth and the thousandth version are where text would have been greater.
const ROTATIONS: i64 = 1_001;

/// Change it to see another history; a failure names it.
const SEED: u64 = 0x5EED_0F10_DC00;

#[tokio::test]
async fn no_token_fails_in_a_thousand_rotations_but_for_an_emergency() {
    let mut world = World::new(SEED).await;
    while world.tally.versions <= ROTATIONS {
        world.step().await;
    }
    let (tally, state) = (world.tally, world.state());
    // It was a soak, not a shower.
    assert!(tally.emergencies >= 10, "seed {SEED:#x}: {state}");
    assert!(tally.restarts >= 15, "seed {SEED:#x}: {state}");
    assert!(tally.stuck >= 30, "seed {SEED:#x}: {state}");
    assert!(tally.manual >= 100, "seed {SEED:#x}: {state}");
    assert!(tally.tokens >= 1_000, "seed {SEED:#x}: {state}");
    assert!(tally.checks >= 10_000, "seed {SEED:#x}: {state}");
    // What is excused must stay the exception, or nothing is shown.
    assert!(tally.excused * 10 < tally.checks, "seed {SEED:#x}: {state}");
}
