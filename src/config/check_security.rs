//! Checks `security:`, a section that NEMO_Nowcast does not know. It never opens a socket.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::check::{ConfigCheck, is_address};
use super::problem::Severity;
use super::security::{CurveSettings, Port, PortSettings, SecuritySettings, WireLimits};
use pyyaml::Value;

/// The name of the own key, if the configuration has none.
const DEFAULT_CLIENT: &str = "client";

const PORTS: [Port; 3] = [Port::Manager, Port::Workers, Port::Logging];

/// Who may connect to which port.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSecurity {
    /// The address on which a port is bound.
    #[serde(default)]
    bind: PortSettings<String>,
    /// The addresses and networks from which a port takes connections, such as `10.0.0.0/8`.
    #[serde(default)]
    allow: PortSettings<Vec<String>>,
    /// Encrypt all connections, and let only known keys connect.
    curve: Option<RawCurve>,
    /// What a client can make the broker keep.
    #[serde(default)]
    limits: WireLimits,
}

/// The keys of all connections.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCurve {
    /// The folder of the key files.
    keys: String,
    /// The name of this machine's own key. Without it: `client`.
    client: Option<String>,
}

impl ConfigCheck<'_> {
    /// Check `security:`. The second result is that of `security: curve:`.
    pub(super) fn security(&mut self, value: &Value) -> Option<(SecuritySettings, Option<CurveSettings>)> {
        let raw: RawSecurity = match value.get("security") {
            None | Some(Value::Null) => RawSecurity::default(),
            Some(section) => self.decode(section, &["security"])?,
        };
        for port in PORTS {
            if raw.bind.get(port).is_some_and(|address| address != "*" && !is_address(address)) {
                let text = "must be `*` or the name or the IPv4 address of a host, with nothing around it";
                self.report(Severity::Error, &["security", "bind", port.name()], text.to_owned());
            }
        }
        let mut networks = |port: Port| {
            let written: &Vec<String> = raw.allow.get(port)?;
            Some(written.iter().filter_map(|text| self.network(port, text)).collect())
        };
        let allow = PortSettings {
            manager: networks(Port::Manager),
            workers: networks(Port::Workers),
            logging: networks(Port::Logging),
        };
        let curve = match raw.curve {
            None => None,
            Some(raw) => Some(self.curve(raw)?),
        };
        Some((SecuritySettings { bind: raw.bind, allow, limits: raw.limits }, curve))
    }

    fn curve(&mut self, raw: RawCurve) -> Option<CurveSettings> {
        let folder = self.replace_variables("security", &raw.keys)?.into();
        let client = raw.client.unwrap_or_else(|| DEFAULT_CLIENT.to_owned());
        if !is_address(&client) || client.starts_with('.') {
            let text =
                "must be a name of letters, digits, dots, `-` and `_`: the key files have it".to_owned();
            self.report(Severity::Error, &["security", "curve", "client"], text);
        }
        Some(CurveSettings { folder, client })
    }

    fn network(&mut self, port: Port, text: &str) -> Option<IpNet> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        if network.is_err() {
            let text =
                format!("must be addresses or networks, such as 10.0.5.17 or 10.0.0.0/8, and not {text:?}");
            self.report(Severity::Error, &["security", "allow", port.name()], text);
        }
        network.ok()
    }
}
