//! `loopkdc status`: what a running `loopkdc run` knows of itself, shown to people and to programs.
//!
//! The daemon writes one document to whoever connects to its socket, and reads nothing ([`crate::daemon::status_socket`]). [`crate::relay::status`] is
//! that document, `ask` gets it, and `render` makes of it what a terminal shows.

mod ask;
mod command;
pub mod render;

pub use ask::{Heard, Silence, ask};
pub use command::{Output, status};
