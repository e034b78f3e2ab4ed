//! [`PortAccess`]: who may connect to a port. It never looks at a message.

use std::collections::HashSet;
use std::net::{IpAddr, TcpListener};

use super::curve::{self, Key, KeyError};
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
    /// The keys that may connect; `None` if connections have none.
    keys: Option<HashSet<Key>>,
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
            refusals: RareLine::new(Level::WARNING, log.clone()),
            log,
        })
    }

    /// Read the rules again. Whether connections have keys, and the folder of the keys, stay until the program starts again.
    ///
    /// # Errors
    /// The files of the authorized keys cannot be read. The previous keys stay in force.
    pub fn reload(&mut self, security: &SecuritySettings) -> Result<(), KeyError> {
        self.networks = security.allowed(self.port);
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
        if !self.networks.contain(address) {
            self.refusals.note(&format!(
                "a connection from {address} to the port for the {port} was refused: to admit it, list its network in \
                 `security: allow: {port}:`"
            ));
            return false;
        }
        if self.keys.as_ref().is_some_and(|keys| !request.key.is_some_and(|key| keys.contains(&key))) {
            self.refusals.note(&format!(
                "a connection from {address} to the port for the {port} was refused: its key is not in the folder \
                 `authorized` of `security: curve: keys:`"
            ));
            return false;
        }
        true
    }

    /// Whether a connection that was admitted may stay.
    #[must_use]
    pub fn still_allows(&self, address: &str, key: Option<Key>) -> bool {
        let is_known = self.keys.as_ref().is_none_or(|keys| key.is_some_and(|key| keys.contains(&key)));
        is_known && self.networks.contain(address)
    }

    /// Whether a message of this user may be taken. Its connection was admitted, but its key may have been revoked since; that is
    /// logged.
    pub fn takes_message_of(&mut self, user: &str) -> bool {
        let key = curve::key_of_user(user);
        let takes = self.keys.as_ref().is_none_or(|keys| key.is_some_and(|key| keys.contains(&key)));
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
    fn contain(&self, address: &str) -> bool {
        let address = address.parse().map(|address: IpAddr| address.to_canonical());
        match self {
            AllowedNetworks::All => true,
            AllowedNetworks::ThisMachine => address.is_ok_and(is_of_this_machine),
            AllowedNetworks::Listed(networks) => {
                address.is_ok_and(|address| networks.iter().any(|network| network.contains(&address)))
            }
        }
    }
}

/// Whether an address is one of this machine's: only those can be bound.
fn is_of_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || TcpListener::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_networks_are_admitted() {
        let networks = ["10.0.0.0/8", "192.168.1.7/32", "fd00::/8"].map(|network| network.parse().unwrap());
        let listed = AllowedNetworks::Listed(networks.into());
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
            assert_eq!(listed.contain(address), is_allowed, "{address}");
        }
        assert!(!AllowedNetworks::Listed(Vec::new()).contain("127.0.0.1"));
        assert!(AllowedNetworks::All.contain("192.0.2.1"));
    }

    #[test]
    fn this_machine_has_its_own_addresses_only() {
        let here = AllowedNetworks::ThisMachine;
        for (address, is_here) in
            [("127.0.0.1", true), ("127.3.2.1", true), ("192.0.2.1", false), ("", false)]
        {
            assert_eq!(here.contain(address), is_here, "{address}");
        }
    }
}
