//! Due events: timeouts of runs and joins, ends of holds, deadlines, and runs that ended without a report.
//!
//! Pending launches that are due are launched here, and each time that a record is finished.

use std::sync::Arc;

use crate::alarm::Alarm;
use crate::decide::Decision;
use crate::effect::Effect;
use crate::join::Join;
use crate::level::Level;
use crate::message::Message;
use crate::messages::IncomingMessage;
use crate::record::{Change, RecordedEvent, Speaker};
use crate::run::{Ending, Run, Stage, StopReason};
use crate::state::REPORT_GRACE;
use pyyaml::Value;

impl Decision<'_> {
    /// Do everything that is due by now.
    pub(super) fn handle_due(&mut self) {
        self.begin_record();
        self.stop_overdue_runs();
        self.park_overdue_joins();
        self.end_holds();
        self.evaluate_deadlines();
        self.forget_old_cycles();
        self.mark_done_cycles();
        self.launch_ready_runs();
        self.finish_record_if_changed(RecordedEvent::Due);
        self.report_missing_reports();
    }

    fn stop_overdue_runs(&mut self) {
        let now = self.now.steady;
        let is_over = |run: &&Run| self.state.timeout_of(run).is_some_and(|timeout| timeout <= now);
        let over: Vec<Run> = self.state.runs.running().filter(is_over).cloned().collect();
        for mut run in over {
            let name = run.worker.name();
            let text = format!("{name} (run {}) exceeded its timeout and is stopping", run.id);
            self.alarm(Alarm::Timeout, name, text);
            self.effects.push(Effect::StopRun(run.id));
            run.stop_requested = Some(StopReason::Timeout);
            self.change(Change::Run(Arc::new(run)));
        }
    }

    fn park_overdue_joins(&mut self) {
        let now = self.now.steady;
        let over: Vec<Join> = self.state.joins.overdue(now).cloned().collect();
        for join in over {
            let reason =
                format!("join {} is overdue: it did not receive {}", self.label(&join), join.requirements());
            if join.launches().is_empty() {
                self.alarm(Alarm::OverdueJoin, "", reason.clone());
            }
            self.park_join(&join, Alarm::OverdueJoin, &reason);
        }
    }

    fn end_holds(&mut self) {
        let now = self.now;
        let over: Vec<_> = self
            .state
            .holds
            .values()
            .filter(|hold| hold.end(now).is_some_and(|end| end <= now.steady))
            .cloned()
            .collect();
        for hold in over {
            self.log(Level::Info, format!("hold {} of {} has ended", hold.id, hold.target));
            self.change(Change::HoldReleased(hold.id));
        }
    }

    /// Report a `crash` for each run whose end was learned [`REPORT_GRACE`] ago, and for which no message of its
    /// worker is recorded, not even an intermediate one.
    fn report_missing_reports(&mut self) {
        let now = self.now.steady;
        let is_late = |run: &Run| run.end_learned_at().is_some_and(|at| at.steady.after(REPORT_GRACE) <= now);
        let awaiting = self.state.runs.awaiting_report();
        let unreported: Vec<Run> = awaiting.filter(|run| is_late(run)).cloned().collect();
        for run in unreported {
            let Stage::Ended { ending, .. } = &run.stage else { continue };
            let name = run.worker.name();
            // A worker that never started cannot have reported.
            let unreported = if matches!(ending, Ending::NotStarted(_)) { "" } else { " without a report" };
            // Log only: the decision on the `crash` below sends the notification.
            self.log_alarm(format!(
                "{name} (run {}) {ending}{unreported}; the manager reports a crash for it",
                run.id
            ));
            let mut message = Message::new(name, "crash", Value::Null);
            message.run = Some(run.id.0.to_string());
            self.handle_message(IncomingMessage::internal(message, Speaker::Manager, Some(run.id)));
        }
    }
}
