//! What the tests with real parts share: a network of one's own, an MIT realm, a KDC proxy, the
//! program itself, and the clients that a user would type.
//!
//! A test binary takes it in with `#[path = "../support/mod.rs"] mod support;`. Every part runs
//! as a process of its own, is ready when its log says so, and shows that log when the test fails.

#![allow(dead_code, reason = "each test binary uses its own share of this")]

pub(crate) mod apache;
pub(crate) mod authority;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod directory;
pub(crate) mod heimdal;
pub(crate) mod hints;
pub(crate) mod https;
pub(crate) mod loopkdc;
pub(crate) mod marked;
pub(crate) mod nameserver;
pub(crate) mod netns;
pub(crate) mod openssl_ca;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod realm;
pub(crate) mod recorder;
pub(crate) mod relay;
pub(crate) mod trap;
pub(crate) mod unpacked;
