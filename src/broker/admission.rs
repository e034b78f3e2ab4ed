//! [`Admission`]: which connections to the broker's ports are admitted. This module never ends an admitted connection.
//!
//! `libzmq` ends the handshake of a connection that is not admitted after a timeout, and the other end tries again. So a worker that
//! finds no room, or a manager that finds another one, needs to do nothing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use zmq::{Context, PollItem};

use super::TURN;
use super::access::{Access, MANAGERS};
use crate::net::port_access::PortAccess;
use crate::net::zap::ZapRequest;
use crate::net::{ConnectionWatch, Zap};

/// The time limit of a handshake at the manager's port.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a manager waits to be admitted: the previous one may have died a moment ago.
const WAIT_TIME: Duration = Duration::from_millis(1_500);

/// Time for `libzmq`'s thread to end a handshake that has taken too long.
const MARGIN: Duration = Duration::from_millis(250);

/// The most managers that wait at once.
const MOST_WAITING: usize = 64;

/// Answers for each connection whether it is admitted.
pub(super) struct Admission {
    zap: Zap,
    /// Managers that wait to be admitted, with the time since when.
    waiting: VecDeque<(ZapRequest, Instant)>,
    /// A manager was admitted, and its handshake ends until then.
    admitted_until: Option<Instant>,
    /// There may be more requests, though nothing wakes the loop.
    may_have_more: bool,
}

impl Admission {
    /// Start to answer. Ports must be bound later.
    pub(super) fn bind(context: &Context) -> zmq::Result<Self> {
        Ok(Self {
            zap: Zap::bind(context)?,
            waiting: VecDeque::new(),
            admitted_until: None,
            may_have_more: false,
        })
    }

    /// The item with which a loop waits for a connection.
    pub(super) fn as_poll_item(&self) -> zmq::Result<PollItem<'_>> {
        self.zap.as_poll_item()
    }

    /// Return when something is to be done though no connection comes.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.may_have_more {
            return Some(Instant::now());
        }
        let (_, since) = self.waiting.front()?;
        self.admitted_until.into_iter().chain([*since + WAIT_TIME]).min()
    }

    /// A manager's handshake has succeeded.
    pub(super) fn note_established(&mut self) {
        self.admitted_until = None;
    }

    /// Whether there may be more requests, though nothing wakes the loop.
    pub(super) fn may_have_more(&self) -> bool {
        self.may_have_more
    }

    /// Reject the connections that may not be made. Of the others, admit workers as long as there is room for them, and let managers
    /// wait. A worker that finds no room gets no reply, so it tries again.
    pub(super) fn receive(
        &mut self,
        access: &mut Access,
        workers: &ConnectionWatch,
        has_descriptors: impl Fn() -> bool,
    ) -> zmq::Result<()> {
        for _ in 0..TURN {
            let Some(request) = self.zap.receive()? else {
                self.may_have_more = false;
                return Ok(());
            };
            if !access.allows(&request) {
                self.zap.reject(&request)?;
            } else if request.domain == MANAGERS {
                self.waiting.push_back((request, Instant::now()));
            } else if has_descriptors() && access.workers.has_room(workers, &request) {
                self.zap.admit(&request)?;
                access.workers.note_admitted();
            }
        }
        self.may_have_more = true;
        Ok(())
    }

    /// Admit every manager that waits and for which there is room.
    pub(super) fn admit_all(
        &mut self,
        access: &mut PortAccess,
        managers: &ConnectionWatch,
    ) -> zmq::Result<()> {
        for (request, _) in self.waiting.drain(..) {
            if access.has_room(managers, &request) {
                self.zap.admit(&request)?;
                access.note_admitted();
            }
            self.may_have_more = true;
        }
        Ok(())
    }

    /// Admit a manager that waits, since none is connected. `is_connecting` tells whether one is connected whose event has not come.
    pub(super) fn admit_one(&mut self, is_connecting: impl Fn() -> zmq::Result<bool>) -> zmq::Result<()> {
        if let Some(until) = self.admitted_until {
            let now = Instant::now();
            if now < until {
                return Ok(());
            }
            // Its handshake has ended. This process may have been stopped, so that its events are late.
            if is_connecting()? {
                self.admitted_until = Some(now + MARGIN);
                return Ok(());
            }
            self.admitted_until = None;
        }
        // The last one has the most time left.
        while let Some((request, since)) = self.waiting.pop_back() {
            self.may_have_more = true;
            if since.elapsed() < WAIT_TIME && self.zap.admit(&request)? {
                self.admitted_until = Some(since + HANDSHAKE_TIMEOUT + MARGIN);
                break;
            }
        }
        Ok(())
    }

    /// Refuse a manager that has waited too long, and return its address.
    pub(super) fn refuse_next(&mut self) -> zmq::Result<Option<String>> {
        let is_late = |(_, since): &(ZapRequest, Instant)| since.elapsed() >= WAIT_TIME;
        while self.waiting.len() > MOST_WAITING || self.waiting.front().is_some_and(is_late) {
            let Some((request, _)) = self.waiting.pop_front() else { break };
            self.may_have_more = true;
            if self.zap.refuse(&request)? {
                return Ok(Some(request.address));
            }
        }
        Ok(None)
    }
}
