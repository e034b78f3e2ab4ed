//! Builds libzmq from source, with encryption and with a clock that cannot be set.

use std::env;

use zeromq_src::{Build, LibLocation};

/// Without it libzmq takes its timeouts from the wall clock: one that is set back by two hours would stop a loop for two hours.
/// The crate that builds libzmq leaves it out and takes such flags from the environment only.
const MONOTONIC_CLOCK: &str = "-DHAVE_CLOCK_GETTIME";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let sodium = |name: &str| {
        let variable = format!("DEP_SODIUM_{name}");
        env::var(&variable).unwrap_or_else(|_| panic!("libsodium-sys-stable sets {variable}"))
    };
    let flags = env::var("CXXFLAGS").unwrap_or_default();
    // SAFETY: a build script has one thread.
    unsafe { env::set_var("CXXFLAGS", format!("{flags} {MONOTONIC_CLOCK}")) };
    Build::new().with_libsodium(Some(LibLocation::new(sodium("LIB"), sodium("INCLUDE")))).build();
}
