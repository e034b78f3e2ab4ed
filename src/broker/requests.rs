//! The open requests: those without a reply. It never decides when they are sent.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use crate::config::WireLimits;
use crate::net::socket::Frames;
use nowcast_core::Ticket;

/// The most bytes of requests that the manager has and has not answered, unless a single one is larger. More of them wait here,
/// so that a manager needs no memory for them.
const MAX_SENT: usize = 64 << 20;

/// Every unanswered request, whole, in the order in which they came.
///
/// A request is kept until its reply comes, also when its worker has gone meanwhile: the manager has to decide what the worker
/// reported. The limits are against programs that send without end; a system never reaches them.
pub struct Requests {
    epoch: u64,
    last_number: u64,
    open: BTreeMap<u64, Frames>,
    /// The lowest number that was not sent to the current manager.
    first_unsent: u64,
    /// The bytes of the open requests that were sent to the current manager.
    sent_bytes: usize,
    /// The bytes of all open requests.
    size: usize,
    /// The number of open requests of each client.
    per_client: HashMap<Vec<u8>, usize>,
}

/// The key in `security: limits:` of the limit that a request exceeds.
pub type ExceededLimit = &'static str;

/// A request and its reply.
#[derive(Debug)]
pub struct Completed {
    /// The number of the request.
    pub number: u64,
    /// The request, with its ticket in front.
    pub request: Frames,
    /// The reply as the worker gets it, without the ticket.
    pub reply: Frames,
}

impl Requests {
    /// Start without requests. `epoch` is a number that no earlier broker had.
    #[must_use]
    pub fn new(epoch: u64) -> Self {
        Self {
            epoch,
            last_number: 0,
            open: BTreeMap::new(),
            first_unsent: 0,
            sent_bytes: 0,
            size: 0,
            per_client: HashMap::new(),
        }
    }

    /// Keep a request as a worker sent it, with a ticket in front.
    ///
    /// # Errors
    /// It exceeds a limit.
    pub fn add(&mut self, mut frames: Frames, limits: &WireLimits) -> Result<(), ExceededLimit> {
        let client = frames.first().cloned().unwrap_or_default();
        let of_client = self.per_client.get(&client).copied().unwrap_or_default();
        let (count, size) = (self.open.len(), self.size + size(&frames));
        let largest = frames.iter().map(Vec::len).max().unwrap_or_default();
        for (value, limit, key) in [
            (largest, usize::try_from(limits.message_size).unwrap_or(usize::MAX), "message size"),
            (frames.len() - 1, limits.frames, "frames"),
            (count + 1, limits.requests, "requests"),
            (of_client + 1, limits.requests_per_client, "requests per client"),
            (size, limits.waiting_size, "waiting size"),
        ] {
            if value > limit {
                return Err(key);
            }
        }
        self.size = size;
        self.per_client.insert(client, of_client + 1);
        self.last_number += 1;
        frames.insert(0, Ticket { epoch: self.epoch, number: self.last_number }.to_frame());
        self.open.insert(self.last_number, frames);
        Ok(())
    }

    /// Return the first request that is still to be sent, unless the manager has enough.
    #[must_use]
    pub fn next_to_send(&self) -> Option<&Frames> {
        if self.sent_bytes >= MAX_SENT {
            return None;
        }
        self.open.range(self.first_unsent..).next().map(|(_, frames)| frames)
    }

    /// Mark the first unsent request as sent.
    pub fn mark_sent(&mut self) {
        if let Some((number, frames)) = self.open.range(self.first_unsent..).next() {
            self.first_unsent = number + 1;
            self.sent_bytes += size(frames);
        }
    }

    /// Forget what was sent: the manager that had it may be gone.
    pub fn reset_sent_bytes(&mut self) {
        self.sent_bytes = 0;
    }

    /// Mark all requests as unsent; return how many of them had been sent.
    pub fn mark_unsent(&mut self) -> usize {
        let count = self.open.range(..self.first_unsent).count();
        self.first_unsent = 0;
        self.sent_bytes = 0;
        count
    }

    /// Close the request that a reply is for. `None` if that is not open: an earlier broker had it, or this is the second reply to
    /// a request that was sent twice.
    pub fn complete(&mut self, mut reply: Frames) -> Option<Completed> {
        let ticket = reply.first().and_then(|frame| Ticket::from_frame(frame))?;
        let number = Some(ticket.number).filter(|_| ticket.epoch == self.epoch)?;
        let request = self.open.remove(&number)?;
        if number < self.first_unsent {
            self.sent_bytes = self.sent_bytes.saturating_sub(size(&request));
        }
        self.forget(&request);
        reply.remove(0);
        Some(Completed { number, request, reply })
    }

    /// Count a request no longer.
    fn forget(&mut self, request: &Frames) {
        // In front is the ticket.
        let client = request.get(1).cloned().unwrap_or_default();
        let ticket = request.first().map_or(0, Vec::len);
        self.size = self.size.saturating_sub(size(request) - ticket);
        if let Entry::Occupied(mut count) = self.per_client.entry(client) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    /// Return how many requests are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Return the bytes of all open requests.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Return whether no request is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

/// Return the bytes of a request.
fn size(frames: &Frames) -> usize {
    frames.iter().map(Vec::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Requests {
        let mut requests = Requests::new(7);
        for body in ["a", "b", "c"] {
            requests.add(vec![b"worker".to_vec(), Vec::new(), body.into()], &WireLimits::default()).unwrap();
        }
        requests
    }

    fn send(requests: &mut Requests) -> Option<Frames> {
        let frames = requests.next_to_send().cloned()?;
        requests.mark_sent();
        Some(frames)
    }

    fn bodies(requests: &mut Requests) -> String {
        let bodies = std::iter::from_fn(|| send(requests).and_then(|mut frames| frames.pop()));
        bodies.map(|body| String::from_utf8(body).expect("text")).collect()
    }

    #[test]
    fn each_request_is_sent_once_and_in_order() {
        let mut requests = three();
        assert_eq!(bodies(&mut requests), "abc");
        requests.add(vec![b"d".to_vec()], &WireLimits::default()).unwrap();
        assert_eq!(bodies(&mut requests), "d");
        assert_eq!(requests.len(), 4);
    }

    #[test]
    fn open_requests_are_sent_again_before_new_ones() {
        let mut requests = three();
        send(&mut requests);
        let second = send(&mut requests).expect("a request");
        assert!(requests.complete(second).is_some());
        assert_eq!(requests.mark_unsent(), 1);
        requests.add(vec![b"d".to_vec()], &WireLimits::default()).unwrap();
        assert_eq!(bodies(&mut requests), "acd");
    }

    #[test]
    fn a_request_is_completed_once_and_only_by_its_own_ticket() {
        let mut requests = three();
        let reply = send(&mut requests).expect("a request");
        let first = requests.complete(reply.clone()).expect("it is open");
        assert_eq!((first.number, &*first.reply), (1, &reply[1..]));
        assert!(requests.complete(reply).is_none());
        let from_other_broker = vec![Ticket { epoch: 8, number: 2 }.to_frame()];
        assert!(requests.complete(from_other_broker).is_none());
        assert!(requests.complete(Vec::new()).is_none());
        assert_eq!(requests.len(), 2);
    }

    #[test]
    fn a_manager_gets_more_requests_when_it_has_answered_some() {
        let mut requests = Requests::new(7);
        for body in ["a", "b", "c", "d"] {
            requests.add(vec![body.repeat(MAX_SENT / 2).into_bytes()], &WireLimits::default()).unwrap();
        }
        let first = send(&mut requests);
        assert!(first.is_some() && send(&mut requests).is_some());
        assert_eq!(send(&mut requests), None, "the manager has enough");
        assert!(requests.complete(first.expect("a request")).is_some());
        assert!(send(&mut requests).is_some());
        assert_eq!(send(&mut requests), None);
        assert_eq!(requests.mark_unsent(), 2, "another manager has nothing");
        assert!(send(&mut requests).is_some() && send(&mut requests).is_some());
        assert_eq!(send(&mut requests), None);
        requests.reset_sent_bytes();
        assert!(send(&mut requests).is_some());
    }

    #[test]
    fn a_reply_to_a_request_that_is_not_sent_again_yet_makes_no_room() {
        let mut requests = Requests::new(7);
        for body in ["a", "b", "c", "d"] {
            requests.add(vec![body.repeat(MAX_SENT / 2).into_bytes()], &WireLimits::default()).unwrap();
        }
        send(&mut requests);
        let second = send(&mut requests).expect("a request");
        requests.mark_unsent();
        send(&mut requests);
        assert!(requests.complete(second).is_some());
        assert!(send(&mut requests).is_some());
        assert_eq!(send(&mut requests), None, "the manager has the first and the third");
    }

    #[test]
    fn a_limit_is_reached_and_not_exceeded_until_a_reply_makes_room() {
        let request = || vec![b"worker".to_vec(), b"x".to_vec()];
        let all = WireLimits::default();
        for (limits, key) in [
            (WireLimits { requests: 2, ..all }, "requests"),
            (WireLimits { requests_per_client: 2, ..all }, "requests per client"),
            (WireLimits { waiting_size: 14, ..all }, "waiting size"),
        ] {
            let mut requests = Requests::new(7);
            for _ in 0..2 {
                requests.add(request(), &limits).unwrap();
            }
            assert_eq!(requests.add(request(), &limits), Err(key));
            let reply = send(&mut requests).expect("a request");
            assert!(requests.complete(reply).is_some());
            requests.add(request(), &limits).unwrap();
            assert_eq!(requests.add(request(), &limits), Err(key));
        }
        let mut requests = Requests::new(7);
        let limits = WireLimits { message_size: 6, frames: 1, ..all };
        requests.add(request(), &limits).unwrap();
        assert_eq!(requests.add(vec![b"worker".to_vec(), vec![b'x'; 7]], &limits), Err("message size"));
        assert_eq!(requests.add([request(), request()].concat(), &limits), Err("frames"));
    }

    #[test]
    fn a_request_that_is_larger_than_a_manager_gets_otherwise_is_sent() {
        let mut requests = Requests::new(7);
        let limits = WireLimits { message_size: u32::MAX, ..WireLimits::default() };
        requests.add(vec![vec![b'x'; 2 * MAX_SENT]], &limits).unwrap();
        assert!(send(&mut requests).is_some());
    }

    #[test]
    fn a_request_whose_reply_came_is_not_sent_again() {
        let mut requests = three();
        let reply = send(&mut requests).expect("a request");
        requests.mark_unsent();
        assert!(requests.complete(reply).is_some());
        assert_eq!(bodies(&mut requests), "bc");
    }
}
