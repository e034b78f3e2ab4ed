//! [`Endpoints`]: the endpoints of the broker that the manager's socket is connected to, and which of them have admitted this
//! manager. It never connects, and never asks the broker.

use std::collections::HashMap;

use zmq::SocketEvent;

/// The endpoints of the broker. The current one is that of the configuration; previous ones are from before a reload.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    /// The current one is the last.
    connected: Vec<String>,
    /// The addresses that `libzmq` has reported.
    addresses: HashMap<String, Address>,
    was_admitted: bool,
}

#[derive(Debug)]
struct Address {
    endpoint: String,
    state: AddressState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AddressState {
    Disconnected,
    /// The connection is accepted, and the broker has not admitted it yet.
    Pending,
    Admitted,
}

impl Endpoints {
    /// Whether the socket is connected to an endpoint.
    pub(super) fn contains(&self, endpoint: &str) -> bool {
        self.connected.iter().any(|connected| connected == endpoint)
    }

    /// Make a connected endpoint the current one.
    pub(super) fn set_current(&mut self, endpoint: String) {
        self.connected.retain(|connected| *connected != endpoint);
        self.connected.push(endpoint);
    }

    /// Return all endpoints.
    pub(super) fn all(&self) -> &[String] {
        &self.connected
    }

    /// Whether there are endpoints that the configuration no longer names.
    pub(super) fn has_previous(&self) -> bool {
        self.connected.len() > 1
    }

    /// Remove the endpoints that the configuration no longer names, and return them. `libzmq` reports no event when a connection is
    /// ended from here.
    pub(super) fn remove_previous(&mut self) -> Vec<String> {
        let Some(current) = self.connected.pop() else { return Vec::new() };
        self.addresses.retain(|_, address| address.endpoint == current);
        std::mem::replace(&mut self.connected, vec![current])
    }

    /// Forget all connections: the socket is replaced.
    pub(super) fn forget_connections(&mut self) {
        self.addresses.clear();
    }

    /// Take note of an event of the socket. Return whether the current broker has refused a connection.
    pub(super) fn note(&mut self, event: SocketEvent, address: String) -> bool {
        let state = match event {
            SocketEvent::CONNECTED => AddressState::Pending,
            SocketEvent::HANDSHAKE_SUCCEEDED => AddressState::Admitted,
            _ => AddressState::Disconnected,
        };
        self.was_admitted |= state == AddressState::Admitted;
        if let Some(known) = self.addresses.get_mut(&address) {
            let before = std::mem::replace(&mut known.state, state);
            let is_refused = before == AddressState::Pending && state == AddressState::Disconnected;
            return is_refused && self.connected.last() == Some(&known.endpoint);
        }
        if let Some(endpoint) = self.endpoint_of(&address) {
            self.addresses.insert(address, Address { endpoint, state });
        }
        false
    }

    /// Return the endpoint of an address. `libzmq` reports the endpoint as it was given until a connection was tried, and with the
    /// resolved host after that.
    fn endpoint_of(&self, address: &str) -> Option<String> {
        let port = |text: &str| text.rsplit(':').next().map(str::to_owned);
        let is_same = |endpoint: &&String| *endpoint == address;
        let has_port = |endpoint: &&String| port(endpoint) == port(address);
        let endpoints = || self.connected.iter().rev();
        endpoints().find(is_same).or_else(|| endpoints().find(has_port)).cloned()
    }

    /// Whether the current broker has admitted this manager.
    pub(super) fn is_admitted(&self) -> bool {
        self.addresses.values().any(|address| {
            address.state == AddressState::Admitted && self.connected.last() == Some(&address.endpoint)
        })
    }

    /// Whether any broker has ever admitted this manager.
    pub(super) fn was_admitted(&self) -> bool {
        self.was_admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPTED: SocketEvent = SocketEvent::CONNECTED;
    const ADMITTED: SocketEvent = SocketEvent::HANDSHAKE_SUCCEEDED;
    const LOST: SocketEvent = SocketEvent::DISCONNECTED;
    const FIRST: &str = "tcp://localhost:1";
    const SECOND: &str = "tcp://localhost:2";

    /// Endpoints of which the first is admitted.
    fn admitted() -> Endpoints {
        let mut endpoints = Endpoints::default();
        endpoints.set_current(FIRST.to_owned());
        assert!(!endpoints.note(ACCEPTED, FIRST.to_owned()) && !endpoints.is_admitted());
        assert!(!endpoints.note(ADMITTED, FIRST.to_owned()));
        assert!(endpoints.is_admitted() && endpoints.was_admitted());
        endpoints
    }

    #[test]
    fn a_connection_is_refused_if_it_is_lost_before_it_is_admitted() {
        let mut endpoints = admitted();
        assert!(!endpoints.note(LOST, FIRST.to_owned()) && !endpoints.is_admitted());
        let resolved = "tcp://127.0.0.1:1";
        endpoints.note(ACCEPTED, resolved.to_owned());
        assert!(endpoints.note(LOST, resolved.to_owned()));
        assert!(!endpoints.note(LOST, resolved.to_owned()), "once");
        assert!(endpoints.was_admitted());
    }

    #[test]
    fn only_the_current_endpoint_counts() {
        let mut endpoints = admitted();
        assert!(!endpoints.contains(SECOND));
        endpoints.set_current(SECOND.to_owned());
        assert!(endpoints.has_previous() && !endpoints.is_admitted());
        endpoints.note(ACCEPTED, SECOND.to_owned());
        assert!(endpoints.note(LOST, SECOND.to_owned()), "the second broker refuses");
        assert!(endpoints.contains(FIRST));
        endpoints.set_current(FIRST.to_owned());
        assert!(endpoints.is_admitted(), "back to the first one");
        endpoints.note(ACCEPTED, "tcp://127.0.0.1:2".to_owned());
        assert!(!endpoints.note(LOST, "tcp://127.0.0.1:2".to_owned()));
        assert_eq!(endpoints.remove_previous(), [SECOND]);
        assert!(endpoints.is_admitted() && !endpoints.has_previous());
    }

    #[test]
    fn an_endpoint_that_was_left_is_forgotten() {
        let mut endpoints = admitted();
        endpoints.set_current(SECOND.to_owned());
        endpoints.note(ADMITTED, SECOND.to_owned());
        assert_eq!(endpoints.remove_previous(), [FIRST]);
        endpoints.note(LOST, SECOND.to_owned());
        assert!(!endpoints.is_admitted());
        endpoints.note(ADMITTED, FIRST.to_owned());
        assert!(!endpoints.is_admitted(), "a late event");
    }
}
