//! The tunnel itself, between the ways in and the ways out: a request that was understood is answered here.

pub mod answer;
pub(crate) mod asking;
pub(crate) mod clock;
pub mod counters;
pub(crate) mod detach;
pub(crate) mod discovery;
pub mod exchange;
pub mod explain;
pub mod failure;
pub mod finding;
pub mod network;
mod password_changes;
pub(crate) mod quota;
pub(crate) mod reachability;
mod recent;
pub mod retransmits;
pub mod routes;
pub mod shares;
pub mod status;
pub(crate) mod sync;
pub(crate) mod text;
pub mod upstream;
