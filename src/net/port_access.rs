//! [`PortAccess`]: who may connect to a port. It never looks at a message.

use std::collections::HashSet;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;

use super::ConnectionWatch;
use super::connection_limit::ConnectionLimit;
use super::curve::{self, KeyError};
use super::rare_line::RareLine;
use super::zap::ZapRequest;
use crate::config::{AllowedNetworks, CurveSettings, Port, SecuritySettings};
use pylogging::{Level, Logger};

/// The rules for one port.
#[derive(Debug)]
pub struct PortAccess {
    port: Port,
    networks: AllowedNetworks,
    /// The settings with which the socket was made.
    curve: Option<CurveSettings>,
    /// The names of the keys that may connect; `None` if connections have none.
    keys: Option<HashSet<String>>,
    this_machine: ThisMachine,
    limit: ConnectionLimit,
    /// Tells what is refused, but not each time that a program tries again.
    refusals: RareLine,
    log: Logger,
}

impl PortAccess {
    /// Read the rules for a port.
    ///
    /// # Errors
    /// The files of the authorized keys cannot be read.
    pub fn new(
        port: Port,
        security: &SecuritySettings,
        curve: Option<&CurveSettings>,
        log: Logger,
    ) -> Result<Self, KeyError> {
        let keys = curve.map(curve::authorized).transpose()?;
        Ok(Self {
            port,
            networks: security.allowed(port),
            curve: curve.cloned(),
            keys,
            this_machine: ThisMachine::new(),
            limit: ConnectionLimit::new(port, security.limits.connections.get(port), log.clone()),
            refusals: RareLine::new(Level::WARNING, log.clone()),
            log,
        })
    }

    /// Read the rules again. Whether connections have keys, and the folder of the keys, stay until the program starts again.
    ///
    /// # Errors
    /// The files of the authorized keys cannot be read. The previous keys stay in force; the new networks are in force.
    pub fn reload(&mut self, security: &SecuritySettings) -> Result<(), KeyError> {
        self.networks = security.allowed(self.port);
        self.limit.most = security.limits.connections.get(self.port);
        if let (Some(keys), Some(curve)) = (&mut self.keys, &self.curve) {
            *keys = curve::authorized(curve)?;
        }
        Ok(())
    }

    /// Log it if a new configuration has other settings of the keys than those in force.
    pub fn report_new_curve(&self, curve: Option<&CurveSettings>) {
        if self.curve.as_ref() != curve {
            takes_a_restart(&self.log, "curve:", &format!("the port for the {}", self.port.name()));
        }
    }

    /// Whether connections have keys.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// Whether a connection may be admitted. If it may not, that is logged.
    pub fn allows(&mut self, request: &ZapRequest) -> bool {
        let (port, address) = (self.port.name(), &request.address);
        if !self.networks.contain(address, &mut self.this_machine) {
            self.refusals.note(&format!(
                "a connection from {address} to the port for the {port} was refused: to admit it, list its network in \
                 `security: allow: {port}:`"
            ));
            return false;
        }
        if !self.knows(request.key.as_ref().map(curve::user_name).as_deref()) {
            self.refusals.note(&format!(
                "a connection from {address} to the port for the {port} was refused: its key is not in the folder \
                 `authorized` of `security: curve: keys:`"
            ));
            return false;
        }
        true
    }

    /// Whether there is room for a connection that may be admitted. If there is none, that is logged.
    pub fn has_room(&mut self, watch: &ConnectionWatch, request: &ZapRequest) -> bool {
        self.limit.has_room(watch, &request.address)
    }

    /// Note that a connection was admitted.
    pub fn note_admitted(&mut self) {
        self.limit.note_admitted();
    }

    /// Whether a connection that was admitted may stay. `key` is the name of its key.
    #[must_use]
    pub fn still_allows(&mut self, address: &str, key: Option<&str>) -> bool {
        self.knows(key) && self.networks.contain(address, &mut self.this_machine)
    }

    fn knows(&self, key: Option<&str>) -> bool {
        self.keys.as_ref().is_none_or(|keys| key.is_some_and(|key| keys.contains(key)))
    }

    /// Whether a message of this user may be taken. Its connection was admitted, but its key may have been revoked since; that is
    /// logged.
    pub fn takes_message_of(&mut self, user: &str) -> bool {
        let takes = self.knows(Some(user));
        if !takes {
            self.refusals.note(&format!("a message with the key {user} was discarded: the key was revoked"));
        }
        takes
    }
}

/// Log that a setting of `security:` has changed which `who` does not read again.
pub fn takes_a_restart(log: &Logger, setting: &str, who: &str) {
    log.warning(format_args!(
        "`security: {setting}` has changed; that takes a restart, and {who} keeps the previous setting"
    ));
}

impl AllowedNetworks {
    /// Whether connections from an address are taken.
    fn contain(&self, address: &str, this_machine: &mut ThisMachine) -> bool {
        let address = address.parse().map(|address: IpAddr| address.to_canonical());
        match self {
            AllowedNetworks::All => true,
            AllowedNetworks::ThisMachine => address.is_ok_and(|address| this_machine.has(address)),
            AllowedNetworks::Listed(networks) => {
                address.is_ok_and(|address| networks.iter().any(|network| network.contains(&address)))
            }
        }
    }
}

/// The addresses of this machine.
#[derive(Debug)]
struct ThisMachine {
    /// The last addresses of its interfaces: without a free descriptor they cannot be read again.
    addresses: HashSet<IpAddr>,
}

impl ThisMachine {
    fn new() -> Self {
        Self { addresses: interface_addresses().unwrap_or_default() }
    }

    /// Whether an address is one of them. That it can be bound does not show it: the operating system may allow that for any.
    fn has(&mut self, address: IpAddr) -> bool {
        if address.is_loopback() || self.addresses.contains(&address) {
            return true;
        }
        // The interfaces may have changed.
        if let Ok(addresses) = interface_addresses() {
            self.addresses = addresses;
        }
        self.addresses.contains(&address)
    }
}

fn interface_addresses() -> nix::Result<HashSet<IpAddr>> {
    let of = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    };
    Ok(getifaddrs()?.filter_map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_networks_are_admitted() {
        let networks = ["10.0.0.0/8", "192.168.1.7/32", "fd00::/8"].map(|network| network.parse().unwrap());
        let listed = AllowedNetworks::Listed(networks.into());
        let here = &mut ThisMachine::new();
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
            assert_eq!(listed.contain(address, here), is_allowed, "{address}");
        }
        assert!(!AllowedNetworks::Listed(Vec::new()).contain("127.0.0.1", here));
        assert!(AllowedNetworks::All.contain("192.0.2.1", here));
    }

    #[test]
    fn this_machine_has_its_own_addresses_only() {
        let here = AllowedNetworks::ThisMachine;
        let machine = &mut ThisMachine::new();
        assert!(machine.addresses.iter().any(IpAddr::is_loopback), "{machine:?}");
        for (address, is_here) in
            [("127.0.0.1", true), ("127.3.2.1", true), ("192.0.2.1", false), ("", false)]
        {
            assert_eq!(here.contain(address, machine), is_here, "{address}");
        }
    }
}
