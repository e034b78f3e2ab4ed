//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

/// Long enough for a loaded machine; reached only by a test that fails.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Call a function until it returns a value.
///
/// # Panics
/// After the deadline, with `what` and the text of `explain`.
pub fn wait_for<T>(what: &str, ask: impl FnMut() -> Option<T>, explain: impl FnOnce() -> String) -> T {
    wait_within(DEADLINE, what, ask, explain)
}

/// Call a function until it returns a value, with another deadline.
///
/// # Panics
/// See [`wait_for`].
pub fn wait_within<T>(
    deadline: Duration,
    what: &str,
    mut ask: impl FnMut() -> Option<T>,
    explain: impl FnOnce() -> String,
) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "timeout while waiting for {what}\n{}", explain());
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
