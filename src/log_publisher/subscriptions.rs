//! [`Subscriptions`]: the subscriptions to a publisher's socket, and what each connection has sent for them. It never touches the socket.
//!
//! An XPUB with `ZMQ_XPUB_VERBOSE` reports these, as the source of `libzmq` 4.3.5 has it (`xpub.cpp`, `generic_mtrie_impl.hpp`):
//! - each subscription, with its sender;
//! - a cancellation with its sender, if the topic's last subscription ended **or if the sender had not subscribed to the topic**,
//!   though others have. Nothing tells these two apart;
//! - without a sender, a topic whose last subscription ended with its connection.
//!
//! So a cancellation makes a topic doubtful, and this process asks: a socket of its own subscribes to the topic and cancels that. If no
//! connection is subscribed, the cancellation of the own socket is reported, and otherwise it is not. The socket's count of topics
//! (`ZMQ_TOPICS_COUNT`) does not help: it is not lowered when a connection ends.

use std::collections::{BTreeMap, BTreeSet};

use crate::net::curve::{self, Key};
use crate::net::socket::Sender;

/// The most messages that a connection may send in all. A log aggregator sends two.
pub(super) const MAX_MESSAGES: usize = 1_000;

/// The most bytes of topics that a connection may send in all. `libzmq` keeps about 40 bytes for each.
pub(super) const MAX_TOPIC_BYTES: usize = 8_000;

/// The topic whose report ends the answer to a question.
const ANSWERED: &[u8] = b"answered";

/// The first byte of a subscription, and that of its cancellation.
const SUBSCRIBE: u8 = 1;
const CANCEL: u8 = 0;

/// The subscriptions to one socket.
#[derive(Debug)]
pub(super) struct Subscriptions {
    /// The beginning of the topics of this program's lines.
    lines: Vec<u8>,
    /// The topics that are subscribed to and match lines of this program.
    current: BTreeSet<Vec<u8>>,
    /// Those of them that may be cancelled.
    doubtful: BTreeSet<Vec<u8>>,
    /// Whether the answer to a question has not come.
    is_asking: bool,
    /// The connections by their descriptors; some of them may have ended.
    connections: BTreeMap<i32, Connection>,
    /// Whether a connection has sent its first message since the last check.
    has_new_connection: bool,
}

#[derive(Debug)]
struct Connection {
    sender: Sender,
    messages: usize,
    bytes: usize,
}

/// The meaning of a report for the socket's owner.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// There is nothing to do.
    Nothing,
    /// It is certain at this moment whether there are subscriptions.
    Certain,
    /// The connection has sent too much, and is to be ended.
    Excess(Sender),
}

/// Return the name that the messages of a connection have: no two connections have the same.
pub(super) fn user_name(number: u64, key: Option<&Key>) -> String {
    format!("{number} {}", key.map(curve::user_name).unwrap_or_default())
}

/// Return the name of a connection's key, if it has one.
pub(super) fn key_of(sender: &Sender) -> Option<&str> {
    sender.user.split_once(' ').map(|(_, key)| key).filter(|key| !key.is_empty())
}

impl Subscriptions {
    /// Start without a subscription. `program` is the first part of the topics.
    pub(super) fn new(program: &str) -> Self {
        Self {
            lines: format!("{program}.").into_bytes(),
            current: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            is_asking: false,
            connections: BTreeMap::new(),
            has_new_connection: false,
        }
    }

    /// Whether no line of this program has a subscriber.
    pub(super) fn is_empty(&self) -> bool {
        self.current.is_empty()
    }

    /// Whether each topic is known to be subscribed to.
    pub(super) fn is_certain(&self) -> bool {
        !self.is_asking && self.doubtful.is_empty()
    }

    /// Note a report of the socket. A report without a sender does not come from a connection.
    pub(super) fn note(&mut self, sender: Option<Sender>, report: &[u8]) -> Noted {
        let topic = report.get(1..).unwrap_or_default();
        match (report.first(), &sender) {
            (Some(&SUBSCRIBE), None) if topic == ANSWERED => {
                self.is_asking = false;
                return Noted::Certain;
            }
            (Some(&SUBSCRIBE), _) if self.matches(topic) => {
                self.current.insert(topic.to_vec());
                self.doubtful.remove(topic);
            }
            (Some(&CANCEL), Some(_)) if self.current.contains(topic) => {
                self.doubtful.insert(topic.to_vec());
            }
            (Some(&CANCEL), None) => {
                self.current.remove(topic);
                self.doubtful.remove(topic);
            }
            _ => {}
        }
        sender.and_then(|sender| self.count(sender, topic.len())).map_or(Noted::Nothing, Noted::Excess)
    }

    /// Whether a subscription to this topic gets lines of this program.
    fn matches(&self, topic: &[u8]) -> bool {
        self.lines.starts_with(topic) || topic.starts_with(&self.lines)
    }

    /// Count a message of a connection. Return its sender when it is the first one over a limit.
    fn count(&mut self, sender: Sender, bytes: usize) -> Option<Sender> {
        let connection = self.connections.get(&sender.descriptor);
        if connection.is_none_or(|known| known.sender.user != sender.user) {
            self.has_new_connection = true;
            let new = Connection { sender: sender.clone(), messages: 0, bytes: 0 };
            self.connections.insert(sender.descriptor, new);
        }
        let connection = self.connections.get_mut(&sender.descriptor)?;
        let is_over = |known: &Connection| known.messages > MAX_MESSAGES || known.bytes > MAX_TOPIC_BYTES;
        let was_over = is_over(connection);
        connection.messages += 1;
        connection.bytes += bytes;
        (!was_over && is_over(connection)).then_some(sender)
    }

    /// Return the messages to be sent by the process's own socket, if a topic is doubtful and nothing was asked yet.
    pub(super) fn question(&mut self) -> Vec<Vec<u8>> {
        if self.is_asking || self.doubtful.is_empty() {
            return Vec::new();
        }
        self.is_asking = true;
        let topics: Vec<Vec<u8>> = std::mem::take(&mut self.doubtful).into_iter().collect();
        let message = |kind: u8, topic: &[u8]| [&[kind], topic].concat();
        let topics = topics.iter().map(Vec::as_slice).chain([ANSWERED]);
        topics.flat_map(|topic| [message(SUBSCRIBE, topic), message(CANCEL, topic)]).collect()
    }

    /// Whether a connection is new since the last call.
    pub(super) fn take_new_connection(&mut self) -> bool {
        std::mem::take(&mut self.has_new_connection)
    }

    /// Forget the connections that are not allowed, and return them.
    pub(super) fn take_refused(&mut self, mut is_allowed: impl FnMut(&Sender) -> bool) -> Vec<Sender> {
        let mut refused = Vec::new();
        self.connections.retain(|_, connection| {
            let is_allowed = is_allowed(&connection.sender);
            if !is_allowed {
                refused.push(connection.sender.clone());
            }
            is_allowed
        });
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(number: u64) -> Sender {
        Sender { user: user_name(number, None), address: "127.0.0.1".to_owned(), descriptor: 7 }
    }

    #[test]
    fn a_cancellation_is_believed_only_when_the_own_socket_has_asked() {
        let mut subscriptions = Subscriptions::new("manager");
        subscriptions.note(Some(sender(1)), b"\x01");
        subscriptions.note(Some(sender(2)), b"\x00other");
        assert!(subscriptions.is_certain() && !subscriptions.is_empty());
        subscriptions.note(Some(sender(2)), b"\x00");
        assert!(!subscriptions.is_certain() && !subscriptions.is_empty());
        let question = subscriptions.question();
        assert_eq!(question, [&b"\x01"[..], b"\x00", b"\x01answered", b"\x00answered"]);
        assert_eq!(subscriptions.question(), Vec::<Vec<u8>>::new(), "one question at a time");
        // A connection is subscribed, so the own cancellation is not reported.
        subscriptions.note(None, b"\x01");
        assert_eq!(subscriptions.note(Some(sender(2)), b"\x01answered"), Noted::Nothing);
        assert_eq!(subscriptions.note(None, b"\x01answered"), Noted::Certain);
        assert!(subscriptions.is_certain() && !subscriptions.is_empty());
        // No connection is.
        subscriptions.note(Some(sender(1)), b"\x00");
        subscriptions.question();
        subscriptions.note(None, b"\x01");
        subscriptions.note(None, b"\x00");
        assert_eq!(subscriptions.note(None, b"\x01answered"), Noted::Certain);
        assert!(subscriptions.is_certain() && subscriptions.is_empty());
    }

    #[test]
    fn a_connection_over_a_limit_is_named_once_and_another_one_with_its_descriptor_starts_at_zero() {
        let mut subscriptions = Subscriptions::new("manager");
        for _ in 0..MAX_MESSAGES {
            assert_eq!(subscriptions.note(Some(sender(1)), b"\x01x"), Noted::Nothing);
        }
        assert_eq!(subscriptions.note(Some(sender(1)), b"\x01x"), Noted::Excess(sender(1)));
        assert_eq!(subscriptions.note(Some(sender(1)), b"\x01x"), Noted::Nothing);
        let long = [&b"\x01"[..], &[b'x'; MAX_TOPIC_BYTES]].concat();
        assert_eq!(subscriptions.note(Some(sender(2)), &long), Noted::Nothing);
        assert_eq!(subscriptions.note(Some(sender(2)), b"\x01x"), Noted::Excess(sender(2)));
    }
}
