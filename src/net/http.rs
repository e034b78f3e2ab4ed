//! What all requests to web servers have in common: who asks, whose certificates are trusted, and the proxy.
//!
//! How long a request may take is its room's; none may be made without an end.

use ureq::Proxy;
use ureq::config::{Config, ConfigBuilder};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::AgentScope;

/// An agent's settings, to which its time-outs are to be added. Certificates are checked against those of the operating
/// system. `ureq` by itself would look for a proxy in other variables.
#[must_use]
pub fn settings(proxy: Option<Proxy>) -> ConfigBuilder<AgentScope> {
    Config::builder()
        .user_agent(concat!("nowcast/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
        .proxy(proxy)
}
