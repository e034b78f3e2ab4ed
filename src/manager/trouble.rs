//! What the manager itself cannot do. It is said at once, past the journal: that may be what does not work.

use jiff::ZonedDateTime;

use super::Manager;
use nowcast_core::Alarm;
use nowcast_core::{Notice, Number};

impl Manager {
    /// Logs it, and tells whoever wants to know of trouble.
    pub(super) fn trouble(&self, text: String) {
        self.log.critical(&text);
        self.tell_of_trouble(text);
    }

    /// Tells only; the log has it already.
    pub(super) fn tell_of_trouble(&self, text: String) {
        self.performer.notifier.notify(&Notice {
            number: Number(0),
            at: ZonedDateTime::now(),
            alarm: Some(Alarm::Trouble),
            worker: String::new(),
            message: None,
            text,
        });
    }
}
