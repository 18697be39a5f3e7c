//! loopkdc: Kerberos from anywhere, through an HTTPS KDC proxy.

pub mod answer;
pub mod check;
pub mod cli;
pub mod config;
pub mod counters;
pub mod daemon;
pub mod exchange;
pub mod failure;
pub mod listen;
pub mod logging;
pub mod lookaside;
pub mod route;
pub mod upstream;
pub mod wire;
