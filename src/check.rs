//! `loopkdc check`: whether the configuration is valid, and what it says.

mod gateway;
mod kdcs;
mod tunnel;

use std::fmt;
use std::io::Write as _;
use std::path::Path;

use crate::config::gateway::GatewayConfig;
use crate::config::{Config, Sources};
use crate::failure::Failure;
use crate::listen::Endpoint;

/// Prints the report on `loopkdc run` on stdout and the warnings on stderr.
///
/// # Errors
/// What is wrong with the configuration, and where.
pub fn tunnel(sources: &Sources) -> Result<(), Failure> {
    let config = Config::load(sources)?;
    print(&tunnel::Report(&config), &config.warnings());
    Ok(())
}

/// Prints the report on `loopkdc gateway` on stdout and the warnings on stderr.
///
/// # Errors
/// What is wrong with the configuration, and where.
pub fn gateway(file: Option<&Path>) -> Result<(), Failure> {
    let config = GatewayConfig::load(file)?;
    print(&gateway::Report(&config), &config.warnings());
    Ok(())
}

fn print(report: &impl fmt::Display, warnings: &[String]) {
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
