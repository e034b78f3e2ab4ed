//! The publisher of log messages on a ZeroMQ socket that is plugged into `pylogging`.
//!
//! This module never decides which lines are published; the logging section of the configuration does.

mod publisher;
mod subscriptions;

use pylogging::{OpenPublisher, Opened, SetupError, Warning};

use crate::config::{Config, CurveSettings, SecuritySettings};
use publisher::{StartError, ZmqPublisher};

/// The configuration keys of the ports.
const PORTS: &str = "zmq: ports: logging";

/// The name and addresses with which a program publishes its lines, if the configuration has a handler for that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publishing {
    /// The program's name, the first part of the topic.
    pub name: String,
    /// The addresses to try in this order, such as `tcp://*:5560`.
    pub addresses: Vec<String>,
    /// The clients that may subscribe.
    pub security: SecuritySettings,
    /// The keys of the connections.
    pub curve: Option<CurveSettings>,
}

impl Publishing {
    /// Return the settings of a program that publishes on one of these addresses.
    #[must_use]
    pub fn of(config: &Config, name: &str, addresses: Vec<String>) -> Self {
        let (security, curve) = (config.security.clone(), config.zmq.curve.clone());
        Self { name: name.to_owned(), addresses, security, curve }
    }
}

impl OpenPublisher for Publishing {
    /// Bind a port. If all are in use, return a warning and keep trying.
    fn open(&self, place: &str) -> Result<Opened, SetupError> {
        let Self { name, addresses, .. } = self;
        if addresses.is_empty() {
            let text = format!(
                "there is no port for {name}, so its log messages are not published; they go to the console"
            );
            return Ok(Opened::Nowhere(Warning::new(PORTS, text)));
        }
        let (publisher, error) = ZmqPublisher::obtain(self).map_err(|error| match error {
            StartError::Key(error) => SetupError::new(
                place,
                "log messages cannot be published: their keys cannot be used",
                "repair the key files, or take `security: curve:` out of the configuration",
            )
            .because(error),
            StartError::System(error) => SetupError::new(
                place,
                "log messages cannot be published; a file descriptor, a thread or memory is not available",
                "raise this user's limit (`ulimit -n` for descriptors, `ulimit -u` for threads), or end programs of this user \
                 that have many of them, and start again",
            )
            .because(error),
        })?;
        if let Some(address) = publisher.address() {
            return Ok(Opened::At(publisher, address));
        }
        let why = error.map(|error| format!(": {error}")).unwrap_or_default();
        let text = format!(
            "none of the ports for the log messages of {name} is free ({}){why}; they wait for a \
             port, and are shown on stderr if none becomes free",
            addresses.join(", ")
        );
        Ok(Opened::Waiting(publisher, Warning::new(PORTS, text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_ports_publishes_nothing_and_says_so() {
        let nowhere = Publishing {
            name: "scheduler".to_owned(),
            addresses: Vec::new(),
            security: SecuritySettings::default(),
            curve: None,
        };
        let Opened::Nowhere(warning) = nowhere.open("logging").unwrap() else { panic!("it is published") };
        assert_eq!(
            warning.to_string(),
            "there is no port for scheduler, so its log messages are not published; they go to the console \
             (zmq: ports: logging)"
        );
    }
}
