//! Lines of one thread, gathered and written together: one `write` for each place instead of one a line.

use std::cell::Cell;

thread_local! {
    static GATHERING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread's lines are held back for now.
pub(super) fn is_gathering() -> bool {
    GATHERING.get()
}

/// Calls something that logs, while this thread's lines are held back.
pub(super) fn gathering(log: impl FnOnce()) {
    GATHERING.set(true);
    log();
    GATHERING.set(false);
}
