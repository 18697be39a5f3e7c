//! The gateway's configuration, without files but for the example that is shipped.

mod access;
mod example;
mod policy;
mod realms;
mod serving;

use std::path::Path;

use super::GatewayConfig;
use crate::config::document::Document;
use crate::config::error::ConfigError;
use crate::config::keys;
use crate::config::tests::{refused, show};

/// A gateway that nothing is wrong with.
const GATEWAY: &str = "[gateway]\ncertificate = \"c\"\nkey = \"k\"\n";
/// A realm that nothing is wrong with.
const REALM: &str = "[realms.\"A\"]\nkdcs = [\"k\"]\n";

fn build(text: &str) -> GatewayConfig {
    try_build(text).unwrap_or_else(|broken| panic!("{}", show(text, broken)))
}

/// A gateway with these lines in its table.
fn serving(lines: &str) -> super::Serving {
    build(&format!("{GATEWAY}{lines}\n")).serving
}

/// One realm with these lines in its table.
fn realm(lines: &str) -> super::KdcRealm {
    build(&format!("{GATEWAY}[realms.\"A\"]\n{lines}\n"))
        .realms
        .remove(0)
}

/// What the user reads.
fn error(text: &str) -> String {
    match try_build(text) {
        Ok(config) => panic!("accepted: {config:?}"),
        Err(broken) => show(text, broken),
    }
}

fn try_build(text: &str) -> Result<GatewayConfig, ConfigError> {
    let document = Document::parse(text, &keys::GATEWAY)?;
    GatewayConfig::build(&document, text, Path::new("/nowhere/gateway.toml"))
}

fn warnings(config: &GatewayConfig) -> Vec<String> {
    config.warnings().iter().map(ToString::to_string).collect()
}
