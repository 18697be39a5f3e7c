//! `loopkdc doctor` before each fault: the program itself, a KDC proxy that does what a script says or real parts, and each
//! line seen red once, with its words and its hint.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows them in tests but not in what they call"
)]
#![allow(
    unreachable_pub,
    dead_code,
    reason = "nothing is exported from here, and what is shared with others is made for them too"
)]

#[path = "../walk/certificates.rs"]
mod certificates;
#[path = "../walk/der.rs"]
mod der;
#[path = "../walk/forward.rs"]
mod forward;
#[path = "../walk/messages.rs"]
mod messages;
#[path = "../support/patience.rs"]
mod patience;
#[path = "../support/mod.rs"]
mod support;
#[path = "../walk/upstream/mod.rs"]
mod upstream;

mod scene;
mod table;

mod answers;
mod bounds;
mod broken;
mod fronts;
mod gateway;
mod handshakes;
mod kdcs;
mod krb5_conf;
mod machine;
mod names;
mod newcomer;
mod openssl;
mod ports;
mod setups;
mod transcript;
mod ways_out;

use patience::within;
