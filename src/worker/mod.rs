//! Workers: programs that do one job, report to the manager, and exit.
//!
//! [`harness`] runs every worker written in Rust; each built-in worker is one file.

pub mod awaken;
pub mod clear_checklist;
pub mod client;
pub mod exec;
pub mod fetch;
pub mod harness;
pub mod rotate_logs;
pub mod sleep;

pub use harness::{Context, DelegatedReport, Worker, WorkerError, report_for, run, speak_for, work_to_end};

/// The package of NEMO_Nowcast's own workers; the built-in workers also have these names.
pub const NEMO_PACKAGE: &str = "nemo_nowcast.workers.";

const BUILT_IN: [&str; 4] = [sleep::NAME, awaken::NAME, clear_checklist::NAME, rotate_logs::NAME];

/// Return the built-in worker that a module names: `sleep` and `nemo_nowcast.workers.sleep` are built in, any other dotted
/// name is not.
#[must_use]
pub fn built_in(module: &str) -> Option<&'static str> {
    let name = module.strip_prefix(NEMO_PACKAGE).unwrap_or(module);
    BUILT_IN.into_iter().find(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use super::built_in;

    #[test]
    fn bare_names_and_those_of_nemo_nowcast_are_built_in() {
        assert_eq!(built_in("sleep"), Some("sleep"));
        assert_eq!(built_in("nemo_nowcast.workers.rotate_logs"), Some("rotate_logs"));
        assert_eq!(built_in("nowcast.workers.sleep"), None);
        assert_eq!(built_in("download_weather"), None);
    }
}
