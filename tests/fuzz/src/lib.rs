//! The program's wire room, compiled on its own.
//!
//! It is pure, so its two dependencies are all it needs: an instrumented build takes seconds, where
//! the whole program with its TLS library takes minutes.

#[cfg(feature = "whole")]
pub mod answer;
#[cfg(feature = "whole")]
pub mod configuration;
#[path = "../../../src/wire.rs"]
pub mod wire;
