//! Which nowcast this is. It never looks at anything outside of this program.

/// The commit from which a release build is made; `build.rs` tells it.
const COMMIT: Option<&str> = option_env!("NOWCAST_COMMIT");

/// The optional features of this build.
const FEATURES: &[(&str, bool)] =
    &[("failpoints", cfg!(feature = "failpoints")), ("system-tests", cfg!(feature = "system-tests"))];

/// Return the version with its commit, and on further lines the features and the libraries that are built in.
#[must_use]
pub fn long() -> String {
    let commit = COMMIT.map(|commit| format!(" ({commit})")).unwrap_or_default();
    let features: Vec<&str> = FEATURES.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    let (major, minor, patch) = zmq::version();
    format!(
        "{}{commit}\nfeatures: {features}\nlibraries: ZeroMQ {major}.{minor}.{patch}, Lua 5.4, SQLite {}",
        env!("CARGO_PKG_VERSION"),
        rusqlite::version()
    )
}
