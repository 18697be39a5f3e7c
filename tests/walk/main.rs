//! The whole walk, each fault once: a relay, a KDC proxy that does what a script says, and clients that send by hand
//! what real ones send.
//!
//! Nothing here sleeps to wait, and no port is fixed. Where silence itself is what is tested, the deadline is a second.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows them in tests but not in what they call"
)]
#![allow(
    unreachable_pub,
    reason = "nothing is exported from here: pub says what other modules use"
)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/patience.rs"]
mod patience;

mod certificates;
mod clients;
mod daemon;
mod der;
mod forward;
mod messages;
mod mistakes;
mod relay;
mod upstream;

mod activation;
mod answers;
mod attempts;
mod connections;
mod crowds;
mod failover;
mod faults;
mod flood;
mod handed_back;
mod limits;
mod manager;
mod portals;
mod process;
mod reachable;
mod real_clients;
mod realms;
mod retransmits;
mod shortages;
mod shown;
mod silence;
mod starting;
mod status;
mod users;
mod verdicts;
mod wait;
mod ways_in;
mod ways_out;

use patience::{PATIENCE, eventually, within};
