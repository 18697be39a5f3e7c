//! loopkdc: Kerberos from anywhere, through an HTTPS KDC proxy.

pub mod wire;
