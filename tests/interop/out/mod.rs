//! Ways out to a KDC proxy that not everybody reaches: behind another proxy, and behind a front end that wants tickets.

mod forward;
#[cfg(feature = "negotiate")]
mod front;
#[cfg(feature = "negotiate")]
mod negotiate;
