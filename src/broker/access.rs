//! [`Access`]: from where the broker's ports take connections. It never looks at a message.

use std::net::{IpAddr, TcpListener};
use std::time::{Duration, Instant};

use crate::config::{AllowedNetworks, Port, Security};
use crate::net::zap::ZapRequest;
use pylogging::Logger;

/// The ZAP domain of the workers' port.
pub(super) const WORKERS: &str = "workers";

/// The ZAP domain of the manager's port.
pub(super) const MANAGERS: &str = "managers";

/// The shortest time between two log lines about refused connections at a port.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The rules for both ports.
pub(super) struct Access {
    manager: PortAccess,
    workers: PortAccess,
    log: Logger,
}

struct PortAccess {
    name: &'static str,
    allowed: AllowedNetworks,
    logged: Option<Instant>,
    /// Refused connections since the last log line.
    refused: u64,
}

impl Access {
    pub(super) fn new(security: &Security, log: Logger) -> Self {
        let port =
            |kind, name| PortAccess { name, allowed: security.allowed(kind), logged: None, refused: 0 };
        Self { manager: port(Port::Manager, "manager"), workers: port(Port::Workers, "workers"), log }
    }

    /// Use the rules of a new configuration from now on. Connections that were admitted stay.
    pub(super) fn reload(&mut self, security: &Security) {
        self.manager.allowed = security.allowed(Port::Manager);
        self.workers.allowed = security.allowed(Port::Workers);
    }

    /// Whether a connection may be admitted. If it may not, that is logged.
    pub(super) fn allows(&mut self, request: &ZapRequest) -> bool {
        let port = if request.domain == MANAGERS { &mut self.manager } else { &mut self.workers };
        let allows = port.allows(&request.address);
        if !allows {
            port.log_refusal(&request.address, &self.log);
        }
        allows
    }
}

impl PortAccess {
    fn allows(&self, address: &str) -> bool {
        let address = address.parse().map(|address: IpAddr| address.to_canonical());
        match &self.allowed {
            AllowedNetworks::All => true,
            AllowedNetworks::ThisMachine => address.is_ok_and(is_of_this_machine),
            AllowedNetworks::Listed(networks) => {
                address.is_ok_and(|address| networks.iter().any(|network| network.contains(&address)))
            }
        }
    }

    /// Log a refusal, but not each of a program that tries again and again.
    fn log_refusal(&mut self, address: &str, log: &Logger) {
        self.refused += 1;
        let now = Instant::now();
        if self.logged.is_some_and(|logged| now.duration_since(logged) < LOG_INTERVAL) {
            return;
        }
        let Self { name, refused, .. } = self;
        let others = match *refused - 1 {
            0 => String::new(),
            count => format!(" ({count} more since the last such line)"),
        };
        log.warning(format_args!(
            "a connection from {address} to the port for the {name} was refused{others}: to admit it, list its network in \
             `security: allow: {name}:`"
        ));
        self.logged = Some(now);
        self.refused = 0;
    }
}

/// Whether an address is one of this machine's: only those can be bound.
fn is_of_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || TcpListener::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(allowed: AllowedNetworks) -> PortAccess {
        PortAccess { name: "workers", allowed, logged: None, refused: 0 }
    }

    #[test]
    fn only_listed_networks_are_admitted() {
        let networks = ["10.0.0.0/8", "192.168.1.7/32", "fd00::/8"].map(|network| network.parse().unwrap());
        let listed = access(AllowedNetworks::Listed(networks.into()));
        for (address, is_allowed) in [
            ("10.255.0.1", true),
            ("::ffff:10.1.2.3", true),
            ("192.168.1.7", true),
            ("192.168.1.8", false),
            ("127.0.0.1", false),
            ("fd12::1", true),
            ("fe80::1", false),
            ("", false),
            ("nonsense", false),
        ] {
            assert_eq!(listed.allows(address), is_allowed, "{address}");
        }
        assert!(!access(AllowedNetworks::Listed(Vec::new())).allows("127.0.0.1"));
        assert!(access(AllowedNetworks::All).allows("192.0.2.1"));
    }

    #[test]
    fn this_machine_has_its_own_addresses_only() {
        let here = access(AllowedNetworks::ThisMachine);
        for (address, is_here) in
            [("127.0.0.1", true), ("127.3.2.1", true), ("192.0.2.1", false), ("", false)]
        {
            assert_eq!(here.allows(address), is_here, "{address}");
        }
    }
}
