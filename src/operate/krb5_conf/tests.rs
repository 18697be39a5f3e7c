//! What is read, what is written, and where.

pub(crate) mod disk;
mod etc;
mod install;
mod limits;
mod only;
mod others;
mod profile;
mod stanzas;
mod units;
mod unsafe_paths;

use std::path::Path;

use super::stanzas::Stanzas;
use crate::config::{Config, Sources};
use crate::relay::failure::Failure;

const REALM: &str = "[realms.\"EXAMPLE.COM\"]\nproxies = [\"https://p\"]\n";

fn config(text: &str) -> Config {
    Config::parse(Path::new("config.toml"), text, &Sources::default()).unwrap()
}

fn made_of(text: &str, unix: bool) -> Result<Stanzas, Failure> {
    Stanzas::from_config(&config(text), unix)
}
