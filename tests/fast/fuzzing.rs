//! The inputs that fuzzing has collected, once more through the functions of the fuzz targets.
//!
//! CONTRIBUTING.md says how to find further ones.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[path = "../../fuzz/src/lib.rs"]
mod targets;

fn replay(target: &str) {
    let (_, check) = targets::TARGETS.iter().find(|(name, _)| *name == target).expect("a fuzz target");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("the target's corpus") {
        let path = entry.expect("an entry").path();
        let data = fs::read(&path).expect("an input");
        assert!(catch_unwind(|| check(&data)).is_ok(), "{target} fails for {}", path.display());
        count += 1;
    }
    assert!(count >= 5, "the corpus of {target} has {count} inputs");
}

/// A test for each target, so that they run side by side.
macro_rules! replay {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            replay(stringify!($target));
        })*

        #[test]
        fn every_target_is_replayed() {
            let mut programs: Vec<String> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets"))
                .expect("the fuzz targets")
                .map(|entry| entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned())
                .collect();
            programs.sort_unstable();
            let functions: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(programs, functions);
            assert_eq!(functions, [$(stringify!($target)),*]);
        }
    };
}

replay! { broker configuration control journal log message rules views yaml yaml_meaning }
