//! Holds back the lines of one thread, to write them together: one `write` for each handler instead of one for each
//! line.
//!
//! This module never writes: the handlers hold the lines.

use std::cell::Cell;

thread_local! {
    static GATHERING: Cell<bool> = const { Cell::new(false) };
}

/// Return whether this thread's lines are held back.
pub(super) fn is_gathering() -> bool {
    GATHERING.get()
}

/// Call `log` while this thread's lines are held back.
pub(super) fn gathering(log: impl FnOnce()) {
    GATHERING.set(true);
    log();
    GATHERING.set(false);
}
