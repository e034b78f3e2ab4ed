//! Checks that libzmq is built with a clock that cannot be set. `.cargo/config.toml` says so; cargo reads it only below this folder.

use std::env;

/// Where the crate `cc`, which builds libzmq, looks for flags.
const VARIABLES: [&str; 3] = ["CXXFLAGS", "HOST_CXXFLAGS", "TARGET_CXXFLAGS"];

/// Without it libzmq takes its timeouts from the wall clock.
const FLAG: &str = "-DHAVE_CLOCK_GETTIME";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for name in VARIABLES {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let has_flag = |name: &&str| env::var(name).is_ok_and(|flags| flags.contains(FLAG));
    if !VARIABLES.iter().any(|name| has_flag(&name)) {
        println!(
            "cargo::error=libzmq would take its timeouts from the wall clock: build inside of the repository, or set HOST_CXXFLAGS={FLAG}"
        );
    }
}
