//! The tunnel itself, between the ways in and the ways out: a request that was understood is answered here.

pub mod answer;
pub mod counters;
pub(crate) mod discovery;
pub mod exchange;
pub mod explain;
pub mod failure;
pub mod finding;
pub(crate) mod log_quota;
pub mod network;
pub mod retransmits;
pub mod routes;
pub mod status;
pub(crate) mod sync;
pub(crate) mod text;
pub mod upstream;
