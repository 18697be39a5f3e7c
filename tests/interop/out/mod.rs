//! Ways out to a KDC proxy that not everybody reaches: behind another proxy, and behind a front end that wants tickets.

mod asks_later;
mod counts;
mod forward;
#[cfg(feature = "negotiate")]
mod front;
#[cfg(feature = "negotiate")]
mod negotiate;
mod others;

use crate::support::proxy::{self, Route};

/// Where a gateway that stands behind a front end takes plain HTTP.
const PLAIN: u16 = 8080;

fn plain_gateway(routes: &[Route]) -> String {
    let realms = proxy::gateway(0, routes);
    let (_, realms) = realms.split_once("[realms").unwrap();
    format!(
        "[gateway]\nlisten = []\nplain-listen = [\"127.0.0.1:{PLAIN}\"]\n\
         trusted-proxies = [\"127.0.0.1\"]\n[realms{realms}"
    )
}
