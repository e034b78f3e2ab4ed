//! Joins in decisions: open, receive messages, complete, park.
//!
//! Nothing here launches: the launches that a join releases go the same way as all others.

use crate::alarm::Alarm;
use crate::decide::Decision;
use crate::join::{Join, list};
use crate::join_identity::JoinEnd;
use crate::level::Level;
use crate::message::Message;
use crate::parked::{Parked, ParkedItem};
use crate::record::Change;
use crate::requested_launch::RequestedLaunch;
use crate::rules::JoinRequest;
use crate::run::Number;

impl Decision<'_> {
    /// Open a join. An open join of the same name is parked, or replaced silently if it has no launches.
    pub(super) fn open_join(&mut self, message: &Message, request: JoinRequest) {
        let name = request.name.unwrap_or_else(|| message.source.clone());
        if let Some(before) = self.state.joins.named(&name).cloned() {
            let reason = format!("join {name} was reopened before it received {}", before.requirements());
            self.park_join(&before, Alarm::Parked, &reason);
        }
        let deadline = request.timeout.map(|timeout| self.now.steady.after(timeout));
        let join = Join {
            id: self.next_number(),
            name,
            requires: request.wait_for,
            pending: Vec::new(),
            launch: request.launch,
            opened_by: self.number,
            cycle: message.cycle.clone(),
            received: Vec::new(),
            deadline,
            timeout: request.timeout,
            identity: None,
        };
        self.log(Level::Debug, format!("race condition management activated: {join}"));
        self.change(Change::Join(join));
    }

    /// Close a join and park its launches, with an alarm.
    pub(super) fn park_join(&mut self, join: &Join, alarm: Alarm, reason: &str) {
        self.close_join(join.clone(), JoinEnd::TimedOut);
        let launches = join.launches();
        if launches.is_empty() {
            return;
        }
        let id = join.id;
        let shown = list(launches.iter().map(|launch| &launch.worker));
        let text = format!(
            "{reason}; parked, not launched: {shown}; nowcast release {0} launches them, nowcast discard {0} does not",
            id.0
        );
        self.alarm(alarm, "", text);
        let item = ParkedItem::Launches { join: Some(self.label(join)), launches };
        self.change(Change::Parked(Parked {
            id,
            at: self.time.wall.clone(),
            reason: reason.to_owned(),
            item,
        }));
    }

    /// Count a message in the joins that require it, and add its launches to the oldest of them. Return the launches of
    /// the joins that are now complete. `counted_as` is the number under which the message has counted before.
    pub(super) fn count_in_joins(
        &mut self,
        message: &Message,
        launches: &mut Vec<RequestedLaunch>,
        counted_as: Option<Number>,
    ) -> Vec<RequestedLaunch> {
        let mut released = Vec::new();
        let joins: Vec<Join> = match counted_as {
            None => self.state.joins.requiring(&message.source, &message.r#type).cloned().collect(),
            Some(number) => {
                let may_concern = |join: &&Join| {
                    // A join that its own rule has just opened counts it like any other.
                    if join.opened_by == self.number {
                        join.requirement_met_by(&message.source, &message.r#type).is_some()
                    } else {
                        join.received.contains(&number)
                    }
                };
                // Identified joins count the message's note.
                let joins = self.state.joins.open().filter(|join| join.identity.is_none());
                joins.filter(may_concern).cloned().collect()
            }
        };
        for mut join in joins {
            let has_counted = counted_as.is_some() && join.opened_by != self.number;
            if has_counted && launches.is_empty() {
                continue;
            }
            if !has_counted {
                join.count(self.number, &message.source, &message.r#type);
            }
            join.pending.append(launches);
            let source = &message.source;
            let text = format!("{source} finished and race condition management updated: {join}");
            self.log(Level::Debug, text);
            if join.is_complete() {
                let launches = join.launches();
                let shown = list(launches.iter().map(|launch| &launch.worker));
                let text = format!("race condition management ended; next workers released: {shown}");
                self.log(Level::Debug, text);
                released.extend(launches);
                self.change(Change::JoinClosed(join.id));
            } else {
                self.change(Change::Join(join));
            }
        }
        released
    }
}
