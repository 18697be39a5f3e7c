//! `loopkdc check`: whether the configuration is valid, and what it says.

mod gateway;
mod kdcs;
mod tunnel;

use std::fmt;
use std::io::Write as _;
use std::path::Path;

use crate::config::endpoint::Endpoint;
use crate::config::gateway::GatewayConfig;
use crate::config::{Config, Sources};
use crate::relay::failure::Failure;

/// Prints the report on `loopkdc run` on stdout and the warnings on stderr.
///
/// # Errors
/// What is wrong with the configuration, and where.
pub fn tunnel(sources: &Sources) -> Result<(), Failure> {
    let config = Config::load(sources)?;
    print(&of_tunnel(&config), &config.warnings());
    Ok(())
}

/// Prints the report on `loopkdc gateway` on stdout and the warnings on stderr.
///
/// # Errors
/// What is wrong with the configuration, and where.
pub fn gateway(file: Option<&Path>) -> Result<(), Failure> {
    let config = GatewayConfig::load(file)?;
    print(&of_gateway(&config), &config.warnings());
    Ok(())
}

/// What `loopkdc run` would do: what would listen and where each realm goes.
#[must_use]
pub fn of_tunnel(config: &Config) -> String {
    tunnel::Report(config).to_string()
}

/// What `loopkdc gateway` would do: what would be served, and which KDCs would be asked.
#[must_use]
pub fn of_gateway(config: &GatewayConfig) -> String {
    gateway::Report(config).to_string()
}

fn print(report: &str, warnings: &[String]) {
    // A reader that is gone changes nothing about the configuration.
    let _ = write!(std::io::stdout().lock(), "{report}");
    for warning in warnings {
        eprintln!("loopkdc: warning: {warning}");
    }
}

/// Addresses in their order.
struct Endpoints<'a> {
    list: &'a [Endpoint],
    none: &'static str,
}

impl<'a> Endpoints<'a> {
    /// Those of a service.
    fn offered(list: &'a [Endpoint]) -> Self {
        let none = "not offered";
        Self { list, none }
    }

    /// Those of a way in that may be closed.
    fn open(list: &'a [Endpoint]) -> Self {
        let none = "nowhere";
        Self { list, none }
    }
}

impl fmt::Display for Endpoints<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.list.is_empty() {
            return f.write_str(self.none);
        }
        for (index, endpoint) in self.list.iter().enumerate() {
            let before = if index == 0 { "" } else { ", " };
            let after = if endpoint.optional {
                " (if this machine has IPv6)"
            } else {
                ""
            };
            write!(f, "{before}{endpoint}{after}")?;
        }
        Ok(())
    }
}
