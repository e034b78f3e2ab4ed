//! Steps of the wall clock in decisions: record each once, and evaluate deadlines again that are in the future again.
//!
//! Spans need nothing: they are in steady time.

use crate::clock::describe_step;
use crate::decide::Decision;
use crate::level::Level;
use crate::record::{Change, RecordedEvent};

impl Decision<'_> {
    /// Record that the wall clock was set since the last decision, if it was.
    pub(super) fn record_clock_step(&mut self) {
        let to = self.now.wall;
        let Some(from) = self.reading.as_ref().and_then(|reading| reading.set_from) else { return };
        self.begin_record();
        let text = format!(
            "{}; delays and timeouts go on unchanged, the schedule and the option `at` follow the clock",
            describe_step(from, to, self.time.wall.time_zone())
        );
        self.log(Level::Warning, text);
        self.reopen_deadlines();
        self.launch_ready_runs();
        self.finish_record(RecordedEvent::ClockSet { from, to });
    }

    /// Add the reading of the clocks to the record in progress, if it needs one.
    pub(super) fn add_clock_reading(&mut self) {
        if let Some(reading) = self.reading.take() {
            self.change(Change::Clock(reading));
        }
    }
}
