//! The network that this machine is on, as far as it matters: that it has become another one, or that the machine slept.
//!
//! Nothing is polled and no timer runs. What has changed is heard from the kernel (`Changes`, on Linux), and that the machine slept is
//! seen at the next request, by [`Sleep`]: the two clocks that are compared stand on the caller's side.

#[cfg(target_os = "linux")]
mod seen;
mod sleep;
#[cfg(target_os = "linux")]
mod watch;

pub use sleep::{Clocks, Sleep};
#[cfg(target_os = "linux")]
pub use watch::Changes;
