//! The common settings of requests to web servers: the user agent, the trusted certificates and the proxy.
//!
//! Each caller adds its own timeouts, and must not send a request without one.

use ureq::Proxy;
use ureq::config::{Config, ConfigBuilder};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::AgentScope;

/// Return the settings of an agent, without timeouts. Certificates are checked against those of the operating system.
/// The proxy is set explicitly, since `ureq` would otherwise look for one in other variables.
#[must_use]
pub fn settings(proxy: Option<Proxy>) -> ConfigBuilder<AgentScope> {
    Config::builder()
        .user_agent(concat!("nowcast/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
        .proxy(proxy)
}
