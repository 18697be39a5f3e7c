//! How many descriptors the process may have, and how many of them clients may hold.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::daemon::logging::ADMIN;

/// Raises the limit to what the system allows: shells and service managers set it to 1024 for the sake of select(2), which
/// nobody here calls.
pub(crate) fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of descriptors stays as it is");
    }
}

/// How many of `wanted` connections clients may hold: at most half of all descriptors, so that there are some for the way
/// out when a crowd holds as many as it can.
pub(crate) fn for_clients(wanted: usize) -> usize {
    let most = most().map_or(wanted, |most| (most / 2).max(1));
    if most < wanted {
        tracing::warn!(target: ADMIN,
            max_connections = wanted,
            most,
            "the limit of descriptors (ulimit -n) leaves room for fewer connections"
        );
    }
    wanted.min(most)
}

fn most() -> Option<usize> {
    let limit = getrlimit(Resource::Nofile);
    usize::try_from(limit.current?).ok()
}
