//! The interface between a program and handlers that publish their lines (`zmq.log.handlers.PUBHandler`). This module
//! has no sockets of its own.

use std::fmt::Debug;
use std::sync::Arc;

use super::error::{SetupError, Warning};
use super::record::LogRecord;

/// A publisher of lines. It must never block the program.
pub trait Publisher: Debug + Send + Sync {
    /// Publish a line soon, without waiting.
    fn publish(&self, record: &LogRecord<'_>);

    /// Wait for a short time until the lines are sent.
    fn finish(&self);
}

/// Opens the publisher of a program if a configuration needs one.
pub trait OpenPublisher {
    /// Open the publisher. `place` are the keys that need it, for errors.
    ///
    /// # Errors
    /// The publisher cannot be opened, and logging must not begin without it.
    fn open(&self, place: &str) -> Result<Opened, SetupError>;
}

/// The outcome of opening a publisher.
#[derive(Debug, Clone)]
pub enum Opened {
    /// Lines are published at this address.
    At(Arc<dyn Publisher>, String),
    /// Lines wait until an address is free.
    Waiting(Arc<dyn Publisher>, Warning),
    /// Nothing is published; the lines go to the console.
    Nowhere(Warning),
}
