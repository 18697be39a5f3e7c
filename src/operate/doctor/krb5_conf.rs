//! krb5.conf as libkrb5 would read it: whether it sends a realm here, and what else of it costs or misleads.
//!
//! Pure but for what [`Scene`] reads, through its argument.
//!
//! | part | what it looks at |
//! |---|---|
//! | `scene` | the files, and what else on the machine decides whom a library asks |
//! | `files` | which files are read, by which library |
//! | `realm` with `server` | where one realm's requests go |
//! | `defaults` | what `[libdefaults]` says to all of them |
//! | `paths` | realms on the way to others |

mod defaults;
mod files;
mod paths;
mod realm;
mod scene;
mod server;

#[cfg(test)]
mod tests;

pub use scene::Scene;

use super::line::Line;
use crate::config::Config;
use crate::operate::krb5_conf::{Machine, host};
use crate::wire::Realm;

/// What is said of these realms, as the configuration or the command line spells them.
///
/// `unreachable` are those of [`others`] that were tried and did not answer.
#[must_use]
pub fn examine(
    scene: &Scene,
    config: &Config,
    realms: &[Realm],
    unreachable: &[String],
) -> Vec<Line> {
    let mut lines = files::examine(scene);
    for realm in realms {
        lines.extend(realm::examine(scene, config, realm, unreachable));
    }
    lines.extend(defaults::examine(scene, config));
    lines.extend(paths::examine(scene, realms));
    lines
}

/// It takes too long to read it, on a disk of the network that does not answer, for one.
#[must_use]
pub(super) fn late() -> Line {
    let files = host::files(&Machine).join(", ");
    files::fault(
        format!(
            "{}, or what is included there, is not read within {} s: libkrb5 waits for it, too",
            files.escape_debug(),
            super::MACHINE.as_secs_f64()
        ),
        "see whether the disk that it is on answers: findmnt",
    )
}

/// More servers than anybody names beside one.
const MAX_OTHERS: usize = 64;

/// Hosts with their ports that krb5.conf names beside loopkdc for these realms, to be tried over TCP.
#[must_use]
pub fn others(scene: &Scene, config: &Config, realms: &[Realm]) -> Vec<String> {
    let of = |realm: &Realm| realm::others(scene, config, realm);
    let mut others: Vec<_> = realms.iter().flat_map(of).collect();
    others.sort();
    others.dedup();
    others.truncate(MAX_OTHERS);
    others
}
