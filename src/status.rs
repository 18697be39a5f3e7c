//! `loopkdc status`: what a running `loopkdc run` knows of itself, shown to people and to programs.
//!
//! The daemon writes one document to whoever connects to its socket, and reads nothing ([`crate::listen::status`]). `report` is
//! that document, `ask` gets it, and `render` makes of it what a terminal shows.

mod ask;
mod command;
mod place;
mod problems;
pub mod render;
mod report;
mod text;

pub use ask::{Heard, Silence, ask};
pub use command::status;
pub use place::{of_daemon, of_reader};
pub(crate) use problems::problems;
pub use report::*;
pub use text::Text;
