//! [`Inbox`]: the requests that have arrived and are not yet decoded, in their order. It never looks into a message.

use std::collections::VecDeque;

use crate::net::Envelope;
use nowcast_core::Ticket;

/// A request that has arrived and is not yet decoded.
#[derive(Debug)]
pub(super) struct ArrivedRequest {
    pub(super) envelope: Envelope,
    pub(super) body: Vec<u8>,
    /// The broker's ticket, if the broker is ours. It stays in the envelope, too.
    pub(super) ticket: Option<Ticket>,
}

/// The requests of this process that wait for their batch.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: VecDeque<ArrivedRequest>,
    /// While something is due: how many of the waiting requests had arrived before it.
    ahead_of_due: Option<usize>,
}

impl Inbox {
    /// Add a request that has arrived.
    pub(super) fn add(&mut self, request: ArrivedRequest) {
        self.waiting.push_back(request);
    }

    /// Take the oldest request.
    pub(super) fn take(&mut self) -> Option<ArrivedRequest> {
        let request = self.waiting.pop_front()?;
        self.ahead_of_due = self.ahead_of_due.map(|ahead| ahead.saturating_sub(1));
        Some(request)
    }

    /// Put a request back that was taken last.
    pub(super) fn put_back(&mut self, request: ArrivedRequest) {
        self.waiting.push_front(request);
        self.ahead_of_due = self.ahead_of_due.map(|ahead| ahead + 1);
    }

    /// Forget the requests with a ticket, whose broker can send them again, and return how many these were. NEMO_Nowcast's broker
    /// sends nothing again.
    pub(super) fn forget_tickets(&mut self) -> usize {
        let before = self.waiting.len();
        self.waiting.retain(|request| request.ticket.is_none());
        self.ahead_of_due = None;
        before - self.waiting.len()
    }

    /// Whether no request waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Return whether it is time to decide what is due: the requests that had arrived when it became due come first, since one
    /// of them may be the awaited message. Later requests do not, or it would wait as long as there is a flood of them.
    pub(super) fn is_turn_of_due(&mut self, is_due: bool) -> bool {
        let ahead = is_due.then(|| self.ahead_of_due.unwrap_or(self.waiting.len()));
        self.ahead_of_due = ahead.filter(|ahead| *ahead > 0);
        ahead == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(inbox: &mut Inbox, count: u8) {
        for body in 0..count {
            inbox.add(ArrivedRequest { envelope: Vec::new(), body: vec![body], ticket: None });
        }
    }

    #[test]
    fn what_is_due_comes_after_the_requests_that_had_arrived_and_before_later_ones() {
        let mut inbox = Inbox::default();
        assert!(inbox.is_turn_of_due(true), "no request waits");
        add(&mut inbox, 2);
        assert!(!inbox.is_turn_of_due(false) && !inbox.is_turn_of_due(true));
        add(&mut inbox, 5);
        let first = inbox.take().expect("a request");
        assert!(!inbox.is_turn_of_due(true));
        inbox.put_back(first);
        inbox.take();
        assert!(!inbox.is_turn_of_due(true));
        inbox.take();
        assert!(inbox.is_turn_of_due(true), "five later requests wait");
        assert!(!inbox.is_turn_of_due(true), "something else is due: the five had arrived");
        assert!(!inbox.is_turn_of_due(false));
        inbox.take();
        assert!(!inbox.is_turn_of_due(true), "due again: four had arrived");
        for _ in 0..4 {
            inbox.take();
        }
        assert!(inbox.is_turn_of_due(true) && inbox.is_empty());
    }
}
