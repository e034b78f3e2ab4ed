//! [`SecuritySettings`]: who may connect to which port. It never opens a socket.

use std::path::PathBuf;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

/// The kinds of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// The broker's port for the manager.
    Manager,
    /// The broker's port for workers.
    Workers,
    /// The ports on which programs publish log messages.
    Logging,
}

impl Port {
    /// Return its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Port::Manager => "manager",
            Port::Workers => "workers",
            Port::Logging => "logging",
        }
    }

    /// Return what a person calls it.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Port::Manager => "port for the manager",
            Port::Workers => "port for the workers",
            Port::Logging => "log port",
        }
    }
}

/// A setting for each kind of port.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PortSettings<T> {
    /// For the broker's port for the manager.
    pub(super) manager: Option<T>,
    /// For the broker's port for workers.
    pub(super) workers: Option<T>,
    /// For the ports on which programs publish log messages.
    pub(super) logging: Option<T>,
}

impl<T> PortSettings<T> {
    /// Return the setting for a port, if it has one.
    #[must_use]
    pub fn get(&self, port: Port) -> Option<&T> {
        match port {
            Port::Manager => self.manager.as_ref(),
            Port::Workers => self.workers.as_ref(),
            Port::Logging => self.logging.as_ref(),
        }
    }
}

/// `security: curve:`: connections are encrypted, and only known keys may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurveSettings {
    /// `keys`: the folder of the key files.
    pub folder: PathBuf,
    /// `client`: the name of this machine's own key.
    pub client: String,
}

/// `security: limits: connections:`: the most connections of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionLimits {
    /// Of the broker's port for the manager.
    manager: usize,
    /// Of the broker's port for workers.
    workers: usize,
    /// Of the ports on which programs publish log messages.
    logging: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        // Twice as many workers as may wait at once; each takes about 40 kB of the broker's memory.
        Self { manager: 100, workers: 20_000, logging: 100 }
    }
}

impl ConnectionLimits {
    /// Return the limit of a port.
    #[must_use]
    pub fn get(self, port: Port) -> usize {
        match port {
            Port::Manager => self.manager,
            Port::Workers => self.workers,
            Port::Logging => self.logging,
        }
    }
}

/// `security: limits:`: what a client can make the broker keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WireLimits {
    /// The most bytes of a frame. A connection that sends one of more than twice as many is ended.
    #[serde(rename = "message size")]
    pub message_size: u32,
    /// The most frames of a message.
    pub frames: usize,
    /// The most requests without a reply.
    pub requests: usize,
    /// The most requests of one connection without a reply.
    #[serde(rename = "requests per client")]
    pub requests_per_client: usize,
    /// The most bytes of all requests without a reply.
    #[serde(rename = "waiting size")]
    pub waiting_size: usize,
    /// The most connections of each port.
    pub connections: ConnectionLimits,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self {
            message_size: 64_000_000,
            frames: 16,
            requests: 100_000,
            requests_per_client: 10_000,
            waiting_size: 1_000_000_000,
            connections: ConnectionLimits::default(),
        }
    }
}

/// `security:`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecuritySettings {
    /// `security: bind:`, the address on which a port is bound.
    pub bind: PortSettings<String>,
    /// `security: allow:`, the networks from which a port takes connections.
    pub allow: PortSettings<Vec<IpNet>>,
    /// `security: limits:`
    pub limits: WireLimits,
}

/// From where a port takes connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedNetworks {
    /// From everywhere.
    All,
    /// From this machine only.
    ThisMachine,
    /// From these networks only.
    Listed(Vec<IpNet>),
}

impl SecuritySettings {
    /// Return from where a port takes connections. A manager on another machine must be allowed: a program that is taken for the manager gets
    /// the messages and replies to them.
    #[must_use]
    pub fn allowed(&self, port: Port) -> AllowedNetworks {
        match self.allow.get(port) {
            Some(networks) => AllowedNetworks::Listed(networks.clone()),
            None if port == Port::Manager && self.bind.get(port).is_none() => AllowedNetworks::ThisMachine,
            None => AllowedNetworks::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_managers_port_is_for_this_machine_unless_the_configuration_says_otherwise() {
        let allowed = |settings: &SecuritySettings| settings.allowed(Port::Manager);
        let mut settings = SecuritySettings::default();
        assert_eq!(allowed(&settings), AllowedNetworks::ThisMachine);
        assert_eq!(settings.allowed(Port::Workers), AllowedNetworks::All);
        assert_eq!(settings.allowed(Port::Logging), AllowedNetworks::All);
        settings.bind.workers = Some("*".to_owned());
        assert_eq!(allowed(&settings), AllowedNetworks::ThisMachine);
        settings.bind.manager = Some("*".to_owned());
        assert_eq!(allowed(&settings), AllowedNetworks::All);
        settings.allow.manager = Some(Vec::new());
        assert_eq!(allowed(&settings), AllowedNetworks::Listed(Vec::new()));
    }
}
