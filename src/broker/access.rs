//! [`Access`]: who may connect to the broker's ports. It never looks at a message.

use crate::config::{Config, Port, WireLimits};
use crate::net::curve::KeyError;
use crate::net::port_access::{self, PortAccess};
use crate::net::zap::ZapRequest;
use pylogging::Logger;

/// The ZAP domain of the workers' port.
pub(super) const WORKERS: &str = "workers";

/// The ZAP domain of the manager's port.
pub(super) const MANAGERS: &str = "managers";

/// The rules for both ports.
pub(super) struct Access {
    pub(super) manager: PortAccess,
    pub(super) workers: PortAccess,
    /// The limits with which the workers' socket was made.
    limits: WireLimits,
    log: Logger,
}

impl Access {
    pub(super) fn new(config: &Config, log: &Logger) -> Result<Self, KeyError> {
        let port = |port| PortAccess::new(port, &config.security, config.zmq.curve.as_ref(), log.clone());
        let (manager, workers) = (port(Port::Manager)?, port(Port::Workers)?);
        Ok(Self { manager, workers, limits: config.security.limits, log: log.clone() })
    }

    /// Use the rules of a new configuration from now on, and log the changes that take a restart. Connections that were admitted stay.
    pub(super) fn reload(&mut self, config: &Config) -> Result<(), KeyError> {
        self.workers.report_new_curve(config.zmq.curve.as_ref());
        let (used, new) = (&self.limits, &config.security.limits);
        for (is_new, setting) in [
            (used.message_size != new.message_size, "limits: message size:"),
            (used.requests_per_client != new.requests_per_client, "limits: requests per client:"),
        ] {
            if is_new {
                port_access::takes_a_restart(&self.log, setting, "the port for the workers");
            }
        }
        let manager = self.manager.reload(&config.security);
        let workers = self.workers.reload(&config.security);
        manager.and(workers)
    }

    /// Whether a connection may be admitted. If it may not, that is logged.
    pub(super) fn allows(&mut self, request: &ZapRequest) -> bool {
        let port = if request.domain == MANAGERS { &mut self.manager } else { &mut self.workers };
        port.allows(request)
    }
}
