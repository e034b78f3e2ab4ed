//! What is due: time limits, joins and holds whose time is over, and runs that ended in silence.
//!
//! A launch whose time has come is not here: [`Decision::admit`] finds it at the end of each event.

use crate::alarm::Alarm;
use crate::decide::Decision;
use crate::effect::Effect;
use crate::joins::Join;
use crate::level::Level;
use crate::message::Message;
use crate::messages::UndecidedMessage;
use crate::record::{Change, RecordedEvent, Speaker};
use crate::run::{Ending, Run, Stage, StopReason};
use crate::state::REPORT_GRACE;
use pyyaml::Value;

impl Decision<'_> {
    /// Does everything that is due by now.
    pub(super) fn due(&mut self) {
        self.begin();
        self.stop_overdue_runs();
        self.park_overdue_joins();
        self.end_holds();
        self.judge_deadlines();
        self.finish_if_changed(RecordedEvent::Due);
        self.report_missing_reports();
    }

    fn stop_overdue_runs(&mut self) {
        let now = self.timestamp();
        let is_over = |run: &&Run| self.state.time_limit(run).is_some_and(|limit| limit <= now);
        let over: Vec<Run> = self.state.runs.running().filter(is_over).cloned().collect();
        for mut run in over {
            let name = run.worker.name();
            let text = format!("{name} (run {}) runs longer than its timeout and is ended", run.id);
            self.alarm(Alarm::Timeout, name, text);
            self.effects.push(Effect::EndRun(run.id));
            run.stop_requested = Some(StopReason::Timeout);
            self.change(Change::Run(Box::new(run)));
        }
    }

    fn park_overdue_joins(&mut self) {
        let now = self.timestamp();
        let is_over = |join: &&Join| join.deadline.is_some_and(|deadline| deadline <= now);
        let over: Vec<Join> = self.state.joins.open().filter(is_over).cloned().collect();
        for join in over {
            let reason =
                format!("the join of {} is overdue: {} did not come", join.name, join.requirements());
            if join.launches().is_empty() {
                self.alarm(Alarm::OverdueJoin, "", reason.clone());
            }
            self.park_join(&join, Alarm::OverdueJoin, &reason);
        }
    }

    fn end_holds(&mut self) {
        let now = self.timestamp();
        let over: Vec<_> = self
            .state
            .holds
            .values()
            .filter(|hold| hold.until.is_some_and(|until| until <= now))
            .cloned()
            .collect();
        for hold in over {
            self.log(Level::Info, format!("the hold {} of {} is over", hold.id, hold.target));
            self.change(Change::HoldReleased(hold.id));
        }
    }

    /// Makes the `crash` of each run that ended some time ago without a report.
    fn report_missing_reports(&mut self) {
        let now = self.timestamp();
        let is_silent =
            |run: &&Run| run.report.is_none() && run.ended_at().is_some_and(|at| at + REPORT_GRACE <= now);
        let silent: Vec<Run> = self.state.runs.ended().filter(is_silent).cloned().collect();
        for run in silent {
            let Stage::Ended { ending, .. } = &run.stage else { continue };
            let name = run.worker.name();
            // The reason of a start that failed may be long, and says that nobody can have reported.
            let silent = if matches!(ending, Ending::NotStarted(_)) { "" } else { " without a report" };
            // The notice is that of the message.
            self.log_alarm(format!("{name} (run {}) {ending}{silent}; its crash is reported for it", run.id));
            let mut message = Message::new(name, "crash", Value::Null);
            message.run = Some(run.id.0.to_string());
            self.message(UndecidedMessage::made(message, Speaker::Manager, Some(run.id)));
        }
    }
}
