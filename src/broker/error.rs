//! [`BrokerError`]: why the broker cannot start or go on.

use std::io;
use std::path::PathBuf;

use crate::net::curve::KeyError;

/// Why the broker cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// A port could not be bound.
    #[error(
        "cannot bind {endpoint}: {error}. Is another message broker running, or does something else use port {port}? \
         (`ss -ltnp 'sport = :{port}'` shows what)"
    )]
    Bind {
        /// The address.
        endpoint: String,
        /// The port in it.
        port: u16,
        /// The error of ZeroMQ.
        error: zmq::Error,
    },
    /// The limit of open files leaves no room for workers.
    #[error(
        "the limit of {limit} open files is too low: the broker needs {needed}, and one more for each worker that waits; raise its hard \
         limit: LimitNOFILE= of systemd, minfds= of Supervisor, ulimit -Hn"
    )]
    FewFiles {
        /// The hard limit.
        limit: u64,
        /// The lowest one that is high enough.
        needed: u64,
    },
    /// The file for the recording cannot be opened.
    #[error("cannot record to {}: {error}. Name a file in a folder that can be written", .file.display())]
    Record {
        /// Its path.
        file: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// ZeroMQ failed.
    #[error("ZMQError: {0}")]
    Zmq(#[from] zmq::Error),
    /// The key files cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The operating system refused a thread or a descriptor.
    #[error(transparent)]
    System(#[from] io::Error),
}
