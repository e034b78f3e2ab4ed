//! Checks `security:`, a section that NEMO_Nowcast does not know. It never opens a socket.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;

use super::check::{ConfigCheck, is_address};
use super::problem::Severity;
use super::security::{Port, PortSettings, Security};
use pyyaml::Value;

/// All kinds of ports, with their names in the configuration.
const PORTS: [(Port, &str); 3] =
    [(Port::Manager, "manager"), (Port::Workers, "workers"), (Port::Logging, "logging")];

/// `security:` as written in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSecurity {
    #[serde(default)]
    bind: PortSettings<String>,
    #[serde(default)]
    allow: PortSettings<Vec<String>>,
}

impl ConfigCheck<'_> {
    /// Check `security:`.
    pub(super) fn security(&mut self, value: &Value) -> Option<Security> {
        let raw: RawSecurity = match value.get("security") {
            None | Some(Value::Null) => RawSecurity::default(),
            Some(section) => self.decode(section, &["security"])?,
        };
        for (port, name) in PORTS {
            if raw.bind.get(port).is_some_and(|address| address != "*" && !is_address(address)) {
                let text = "must be `*` or the name or the IPv4 address of a host, with nothing around it";
                self.report(Severity::Error, &["security", "bind", name], text.to_owned());
            }
        }
        let mut networks = |port, name: &str| {
            let written: &Vec<String> = raw.allow.get(port)?;
            Some(written.iter().filter_map(|text| self.network(name, text)).collect())
        };
        let allow = PortSettings {
            manager: networks(Port::Manager, "manager"),
            workers: networks(Port::Workers, "workers"),
            logging: networks(Port::Logging, "logging"),
        };
        Some(Security { bind: raw.bind, allow })
    }

    fn network(&mut self, port: &str, text: &str) -> Option<IpNet> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        if network.is_err() {
            let text =
                format!("must be addresses or networks, such as 10.0.5.17 or 10.0.0.0/8, and not {text:?}");
            self.report(Severity::Error, &["security", "allow", port], text);
        }
        network.ok()
    }
}
