//! loopkdc: Kerberos from anywhere, through an HTTPS KDC proxy.

pub mod check;
pub mod cli;
pub mod config;
pub mod failure;
pub mod wire;
