//! Workers: programs that do one job, tell the manager how it went, and end.
//!
//! [`harness`] is what every worker written in Rust has in common; each built-in worker is one file.

pub mod awaken;
pub mod clear_checklist;
pub mod client;
pub mod exec;
pub mod fetch;
pub mod harness;
pub mod rotate_logs;
pub mod sleep;

pub use harness::{Context, Worker, WorkerError, run, speak_for};

/// Where the peer keeps its own workers; ours take their place under these names too.
pub const PEER_PACKAGE: &str = "nemo_nowcast.workers.";

const BUILT_IN: [&str; 4] = [sleep::NAME, awaken::NAME, clear_checklist::NAME, rotate_logs::NAME];

/// The built-in worker that a module's name means: `sleep` and `nemo_nowcast.workers.sleep` are ours,
/// any other dotted name is somebody else's.
#[must_use]
pub fn built_in(module: &str) -> Option<&'static str> {
    let name = module.strip_prefix(PEER_PACKAGE).unwrap_or(module);
    BUILT_IN.into_iter().find(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use super::built_in;

    #[test]
    fn bare_and_peer_names_are_ours_and_others_are_not() {
        assert_eq!(built_in("sleep"), Some("sleep"));
        assert_eq!(built_in("nemo_nowcast.workers.rotate_logs"), Some("rotate_logs"));
        assert_eq!(built_in("nowcast.workers.sleep"), None);
        assert_eq!(built_in("download_weather"), None);
    }
}
