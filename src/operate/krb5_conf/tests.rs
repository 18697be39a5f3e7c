//! What is read, what is written, and where.

mod beside;
mod changed;
mod drop_in;
mod etc;
mod install;
mod limits;
mod others;
mod profile;
mod undone;
mod units;
mod way;

use std::path::Path;

use super::drop_in::DropIn;
use crate::config::{Config, Sources};
use crate::relay::failure::Failure;

const REALM: &str = "[realms.\"EXAMPLE.COM\"]\nproxies = [\"https://p\"]\n";

fn made_of(text: &str, unix: bool) -> Result<DropIn, Failure> {
    let config = Config::parse(Path::new("config.toml"), text, &Sources::default());
    DropIn::of(&config.unwrap(), unix)
}
