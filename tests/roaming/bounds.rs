//! What a login may take, in terms of what the program promises.

use std::time::Duration;

/// Name, connect and TLS.
pub(crate) const CONNECT: Duration = Duration::from_secs(3);
/// A kept connection that has gone dead is found so while a request waits on it.
pub(crate) const FOUND_DEAD: Duration = Duration::from_secs(2);
/// The other family of addresses waits no longer than that (RFC 8305 5 has 250 ms).
pub(crate) const OTHER_FAMILY: Duration = Duration::from_millis(300);
/// A proxy that says nothing to a connect costs no more while another one is listed.
pub(crate) const OTHER_PROXY: Duration = Duration::from_secs(1);
/// A KDC that is asked directly and says nothing costs no more, once on each network.
pub(crate) const DIRECT: Duration = Duration::from_millis(300);
/// A request has its answer, whatever happens.
pub(crate) const DEADLINE: Duration = Duration::from_secs(9);
/// What the client itself takes, and what else is not promised; beside what a busy machine takes ([`crate::busy`]).
pub(crate) const SLACK: Duration = Duration::from_millis(700);
