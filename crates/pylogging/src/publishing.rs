//! What a program offers to handlers that publish their lines (`zmq.log.handlers.PUBHandler`): this module has no
//! sockets of its own.

use std::fmt::Debug;
use std::sync::Arc;

use super::error::{SetupError, Warning};
use super::record::LogRecord;

/// Publishes lines. It must never keep the program waiting.
pub trait Publisher: Debug + Send + Sync {
    /// Publish a line, soon.
    fn publish(&self, record: &LogRecord<'_>);

    /// Wait for a moment until the lines have left.
    fn finish(&self);
}

/// Opens the publisher of this program when a configuration asks for one.
pub trait OpenPublisher {
    /// Return the publisher; `place` are the keys that ask for it, for errors.
    ///
    /// # Errors
    /// When no publisher can be had and logging must not begin without it.
    fn open(&self, place: &str) -> Result<Opened, SetupError>;
}

/// The outcome of opening a publisher.
#[derive(Debug, Clone)]
pub enum Opened {
    /// Lines are published at this address.
    At(Arc<dyn Publisher>, String),
    /// Lines wait until an address is free.
    Waiting(Arc<dyn Publisher>, Warning),
    /// Nothing is published: the lines go to the console.
    Nowhere(Warning),
}
