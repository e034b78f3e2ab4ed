//! [`ConnectionLimit`]: the most connections of a port. It never ends a connection.
//!
//! `libzmq` does not tell which connections have completed their handshake, and a connection that is refused stays until the timeout of the
//! handshake. So connections that are older than that timeout count, and of the younger ones no more than were admitted in that
//! time. Connections without a handshake never count: they cannot take the room of others.

use std::collections::VecDeque;
use std::time::Instant;

use super::ConnectionWatch;
use super::rare_line::RareLine;
use crate::config::Port;
use pylogging::{Level, Logger};

/// The limit of one port.
#[derive(Debug)]
pub struct ConnectionLimit {
    port: Port,
    /// The most connections.
    pub most: usize,
    /// When connections were admitted that may still be younger than the timeout.
    admitted: VecDeque<Instant>,
    refusals: RareLine,
}

impl ConnectionLimit {
    /// Start without connections.
    #[must_use]
    pub fn new(port: Port, most: usize, log: Logger) -> Self {
        Self { port, most, admitted: VecDeque::new(), refusals: RareLine::new(Level::WARNING, log) }
    }

    /// Whether a further connection from this address may be admitted. If it may not, that is logged.
    pub fn has_room(&mut self, watch: &ConnectionWatch, address: &str) -> bool {
        let now = Instant::now();
        let is_over = |admitted: &Instant| now.duration_since(*admitted) >= watch.handshake_time();
        while self.admitted.front().is_some_and(is_over) {
            self.admitted.pop_front();
        }
        let (old, young) = watch.open_by_age();
        let has_room = old + young.min(self.admitted.len()) < self.most;
        if !has_room {
            let (port, most) = (self.port.name(), self.most);
            self.refusals.note(&format!(
                "a connection from {address} to the port for the {port} has to wait: the limit of {most} connections is reached. To admit \
                 more, raise `security: limits: connections: {port}:`"
            ));
        }
        has_room
    }

    /// Note that a connection was admitted.
    pub fn note_admitted(&mut self) {
        self.admitted.push_back(Instant::now());
    }
}
