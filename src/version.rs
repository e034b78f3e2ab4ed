//! The version of this program, and the warning about a manager of another one.

/// The commit from which a release build is made, set by `build.rs`.
const COMMIT: Option<&str> = option_env!("NOWCAST_COMMIT");

/// The optional features of this build.
const FEATURES: &[(&str, bool)] =
    &[("failpoints", cfg!(feature = "failpoints")), ("system-tests", cfg!(feature = "system-tests"))];

/// The version of this program.
#[must_use]
pub fn version() -> String {
    #[cfg(feature = "failpoints")]
    if let Ok(version) = std::env::var("NOWCAST_TEST_VERSION") {
        return version;
    }
    env!("CARGO_PKG_VERSION").to_owned()
}

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

/// Return what an operator should know if the manager has another version than this program. A manager that does not report its version is older.
#[must_use]
pub fn difference(of_manager: Option<&str>) -> Option<String> {
    let own = version();
    if of_manager == Some(&own) {
        return None;
    }
    let other = of_manager.map_or_else(|| "an older version".to_owned(), |other| format!("version {other}"));
    Some(format!(
        "the manager is {other} of nowcast, this command is version {own}; restart the daemons, or run this command with their binary"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_reported_with_what_to_do() {
        assert_eq!(difference(Some(&version())), None);
        let text = difference(Some("0.0.1")).unwrap();
        assert!(
            text.starts_with("the manager is version 0.0.1 of nowcast, this command is version "),
            "{text}"
        );
        assert!(difference(None).unwrap().starts_with("the manager is an older version of nowcast"));
    }
}
