//! The limits of one call of a rule, and the other options of the engine.

use std::time::Duration;

/// Limits on the cost of a call of a rule, or of loading the rules. Past a limit the call fails; the manager
/// goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallLimits {
    /// CPU time, compiling included. It is checked every 250 instructions or more often, so a rule that compares texts of many
    /// megabytes can take a second or two longer.
    pub time: Duration,
    /// Instructions of the Lua virtual machine, and what texts cost that are compiled or gone through outside of it.
    pub instructions: u64,
    /// Bytes that the whole Lua virtual machine may hold, the compiled rules included, with the launches, joins and views
    /// outside of it.
    pub memory: usize,
    /// Bytes of the longest string that a library function makes (`string.rep`, `table.concat` …).
    pub text: usize,
    /// Lines that a call may log; what comes after is left out, and the log says so.
    pub log_lines: usize,
    /// Bytes that a call may log.
    pub log_bytes: usize,
}

impl Default for CallLimits {
    /// 2 s of CPU time, 50 million instructions, 256 MB; 16 MB a string; 1,000 lines and 1 MB of log. A rule of
    /// the production systems that this was built for takes some hundred instructions.
    fn default() -> Self {
        Self {
            time: Duration::from_secs(2),
            instructions: 50_000_000,
            memory: 256 << 20,
            text: 16 << 20,
            log_lines: 1_000,
            log_bytes: 1 << 20,
        }
    }
}

/// How the engine treats the rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// Limits on the cost of a call.
    pub limits: CallLimits,
    /// The prefix that `worker("name")` puts before a name without a dot: with `nowcast.workers` it launches
    /// `nowcast.workers.name`. `None`: the bare name.
    pub package: Option<String>,
    /// Whether the lines that run are noted, which takes time.
    pub notes_lines: bool,
}
