//! The program's wire room, compiled on its own.
//!
//! It is pure, so its two dependencies are all it needs: an instrumented build takes seconds, where
//! the whole program with its TLS library takes minutes.

#[cfg(feature = "whole")]
pub mod answer;
#[cfg(feature = "whole")]
pub mod configuration;

// A folder, as the room's own files lie in one beside src/wire.rs.
#[path = "../../../src"]
#[allow(dead_code, unused_imports, reason = "other rooms use the rest")]
mod program {
    pub mod wire;
}

pub use program::wire;
