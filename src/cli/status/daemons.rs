//! Whether the daemons answer.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde::Serialize;

use crate::config::Config;
use crate::net::control;

/// How long the broker may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(1);

/// Which of the daemons are there.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Daemons {
    /// The broker's port for workers takes connections.
    pub broker: bool,
    /// The manager's control socket does.
    pub manager: bool,
    /// Why the manager does nothing at the moment, if it does nothing.
    #[serde(skip)]
    pub stands_still: Option<String>,
}

impl Daemons {
    pub(super) fn look(config: &Config) -> Self {
        let address = (config.zmq.host.as_str(), config.zmq.workers_port);
        let mut addresses = address.to_socket_addrs().into_iter().flatten();
        let (manager, stands_still) = control::is_served(&config.journal.folder);
        Self {
            broker: addresses.any(|address| TcpStream::connect_timeout(&address, PATIENCE).is_ok()),
            manager,
            stands_still,
        }
    }

    pub(super) fn running(&self) -> usize {
        usize::from(self.broker) + usize::from(self.manager)
    }
}
