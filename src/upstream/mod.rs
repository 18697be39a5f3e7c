//! Ways out.

mod body;
mod fault;
pub mod kkdcp;
mod link;
pub mod tls;

pub use body::Sent;
pub use fault::{Fault, Unsent};
pub use link::Connection;
