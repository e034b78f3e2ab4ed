//! Failures of the manager itself. They are reported at once and never through the journal, which may be what fails.

use jiff::ZonedDateTime;

use super::Manager;
use nowcast_core::Alarm;
use nowcast_core::{Notice, Number};

impl Manager {
    /// Log a failure as CRITICAL, and notify the targets for it.
    pub(super) fn report_failure(&self, text: String) {
        self.log.critical(&text);
        self.notify_failure(text);
    }

    /// Notify only: the failure is logged already.
    pub(super) fn notify_failure(&self, text: String) {
        self.notifier.notify(&Notice {
            number: Number(0),
            at: ZonedDateTime::now(),
            alarm: Some(Alarm::ManagerFailure),
            worker: String::new(),
            message: None,
            text,
        });
    }
}
