//! What tests of the exchange need of the ways out.

pub(crate) mod scripted;
