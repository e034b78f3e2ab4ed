//! Lines of one thread, gathered and written together: one `write` for each place instead of one a line.

use std::cell::Cell;

use super::active;

thread_local! {
    static GATHERING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread's lines are held back for now.
pub(super) fn is_gathering() -> bool {
    GATHERING.get()
}

/// Calls something that logs, and writes its lines when it is done, in order at each place. Nothing that
/// may wait belongs in it: what is held back is lost with the process.
pub fn gather(log: impl FnOnce()) {
    GATHERING.set(true);
    log();
    GATHERING.set(false);
    if let Some(tree) = active::tree() {
        tree.write_held();
    }
}
