//! The core against a model: random days are decided by the core and by a plain reference that was written
//! apart from it, and both must do and know the same after each event.

mod compare;
mod cycles;
mod expected;
mod facts;
mod identified_joins;
mod operate;
mod plan;
mod reference;
mod translate;
mod world;

use proptest::prelude::*;
use proptest::test_runner::{Config, FailurePersistence, FileFailurePersistence};

/// Days that are tried unless `PROPTEST_CASES` says how many.
const DAYS: u32 = 2_000;

fn days() -> Config {
    let said = Config::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { said.cases } else { DAYS };
    let failure_persistence: Option<Box<dyn FailurePersistence>> = Some(Box::new(
        FileFailurePersistence::Direct(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions/model.txt")),
    ));
    Config { cases, failure_persistence, max_shrink_iters: 20_000, ..said }
}

proptest! {
    #![proptest_config(days())]

    #[test]
    fn the_core_does_what_the_model_does(day in plan::day()) {
        world::live(&day);
    }
}
