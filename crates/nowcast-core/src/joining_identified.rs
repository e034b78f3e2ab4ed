//! Joins by cycle and since a moment in decisions: make, count notes, complete once.

use crate::alarm::Alarm;
use crate::cycles::NoteScope;
use crate::decide::Decision;
use crate::identified_joins::{MOST_BY_CYCLE, MOST_SINCE};
use crate::join::{Join, list};
use crate::join_identity::{IdentifiedJoin, JoinConflict, JoinEnd};
use crate::level::Level;
use crate::message::Message;
use crate::record::Change;
use crate::requested_launch::RequestedLaunch;
use crate::rules::JoinRequest;

impl Decision<'_> {
    /// Make the identified join that a rule returned, unless it is known. Return the launches that it releases at once.
    pub(super) fn request_join(
        &mut self,
        message: &Message,
        scope: NoteScope,
        request: JoinRequest,
    ) -> Vec<RequestedLaunch> {
        let name = request.name.clone().unwrap_or_else(|| message.source.clone());
        if let Some(join) = self.state.joins.identified(&scope, &name).cloned() {
            self.request_known_join(message, &join, request);
            return Vec::new();
        }
        let cycle = match &scope {
            NoteScope::Cycle(cycle) => Some(cycle.clone()),
            NoteScope::Since(_) => message.cycle.clone(),
        };
        let JoinRequest { wait_for, launch, timeout, location, .. } = request;
        let identity = IdentifiedJoin { scope, wait_for, location, end: None, conflict: None };
        let (requires, received) = identity.evaluate(&self.state.cycles, self.now);
        let join = Join {
            id: self.next_number(),
            name,
            requires,
            pending: Vec::new(),
            launch,
            opened_by: self.number,
            cycle,
            received,
            deadline: timeout.map(|timeout| self.now.steady.after(timeout)),
            timeout,
            identity: Some(Box::new(identity)),
        };
        let text = format!("join {} is made: {}", self.label(&join), progress(&join));
        self.log(Level::Debug, text);
        let released = self.update_identified(join);
        self.bound_open_joins();
        released
    }

    /// Park the oldest open join since a moment or by cycle, if there are too many.
    fn bound_open_joins(&mut self) {
        if let Some(oldest) = self.state.joins.open_since_too_many().cloned() {
            let reason = format!("there are more than {MOST_SINCE} open joins since a moment");
            self.park_join(&oldest, Alarm::OverdueJoin, &format!("join {}: {reason}", self.label(&oldest)));
        }
        if let Some(oldest) = self.state.joins.open_by_cycle_too_many().cloned() {
            let reason = format!("there are more than {MOST_BY_CYCLE} open joins by cycle");
            self.park_join(&oldest, Alarm::OverdueJoin, &format!("join {}: {reason}", self.label(&oldest)));
            oldest.cycle.iter().for_each(|cycle| self.forget_parked_cycle(cycle));
        }
    }

    /// An equal request of a known join changes nothing. A different one neither, but an operator must know.
    fn request_known_join(&mut self, message: &Message, join: &Join, request: JoinRequest) {
        let label = self.label(join);
        let Some(identity) = &join.identity else { return };
        if join.is_requested_by(&request) {
            return match identity.end {
                None => self.log(Level::Debug, format!("join {label} is open already")),
                Some(end) => self.log(
                    Level::Info,
                    format!("join {label} {end} and opens only once{}", identity.remedy(message)),
                ),
            };
        }
        let conflict = JoinConflict { message: self.number, at: self.now.wall, location: request.location };
        let is_known = identity.conflict.as_ref().is_some_and(|known| known.location == conflict.location);
        let text = format!("join {label} is requested differently: {}", identity.disagreement(&conflict));
        if is_known {
            self.log(Level::Warning, text);
        } else {
            self.alarm(Alarm::JoinConflict, "", text);
        }
        self.change(Change::JoinConflict { id: join.id, conflict });
    }

    /// Count the record's message, if it was noted, in the identified joins that it concerns. Return the launches that they release.
    pub(super) fn count_note_in_joins(&mut self, message: &Message) -> Vec<RequestedLaunch> {
        let joins = self.state.joins.counting(&message.source, message.cycle.as_ref());
        let joins: Vec<Join> = joins.cloned().collect();
        let mut released = Vec::new();
        for mut join in joins {
            let Some(identity) = &join.identity else { continue };
            let (requires, received) = identity.evaluate(&self.state.cycles, self.now);
            if (&requires, &received) == (&join.requires, &join.received) {
                continue;
            }
            (join.requires, join.received) = (requires, received);
            let text =
                format!("{} counts in join {}: {}", message.source, self.label(&join), progress(&join));
            self.log(Level::Debug, text);
            released.extend(self.update_identified(join));
        }
        released
    }

    /// Record a join that was made or has received a message. Return its launches if it is complete.
    pub(super) fn update_identified(&mut self, join: Join) -> Vec<RequestedLaunch> {
        if !join.is_complete() {
            self.change(Change::Join(join));
            return Vec::new();
        }
        let launches = join.launches();
        let shown = list(launches.iter().map(|launch| &launch.worker));
        let text = format!("join {} is complete; next workers released: {shown}", self.label(&join));
        self.log(Level::Debug, text);
        self.close_join(join, JoinEnd::Completed);
        launches
    }

    /// Close a join. An identified one stays known, with its end.
    pub(super) fn close_join(&mut self, mut join: Join, end: JoinEnd) {
        let id = join.id;
        if let Some(identity) = &mut join.identity {
            identity.end = Some(end);
            self.change(Change::Join(join));
        }
        self.change(Change::JoinClosed(id));
        while let Some(oldest) = self.state.joins.ended_too_long_ago() {
            self.change(Change::JoinForgotten(oldest));
        }
    }

    /// Return what a join is called in texts: `tracks of cycle 2026-03-14`, `tracks since 06:00:00`, or its name.
    pub(super) fn label(&self, join: &Join) -> String {
        let name = &join.name;
        match join.identity.as_ref().map(|identity| &identity.scope) {
            Some(NoteScope::Cycle(cycle)) => format!("{name} of cycle {cycle}"),
            Some(NoteScope::Since(moment)) => format!("{name} since {}", self.clock(*moment)),
            None => name.clone(),
        }
    }
}

/// Return the messages that a join has received and still requires, as text.
fn progress(join: &Join) -> String {
    let received = join.received.len();
    if join.is_complete() {
        format!("{received} received, nothing missing")
    } else {
        format!("{received} received, missing {}", join.requirements())
    }
}
