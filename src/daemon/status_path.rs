//! Where the socket is that the status is read from.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::daemon::user::{is_own, is_root};
use crate::relay::status::DaemonKind;

/// Where the folder of the system's daemon is.
const SYSTEM: &str = "/run";
const FILE: &str = "status.sock";

/// Where the socket of `daemon` is unless it is told: in the folder that the service manager made, else in the system's or, for who
/// is not root, in the user's. None where there is neither.
pub(crate) fn of_daemon(daemon: DaemonKind) -> Option<PathBuf> {
    place(
        daemon.unit(),
        &variable("RUNTIME_DIRECTORY"),
        &variable("XDG_RUNTIME_DIR"),
        is_root(),
    )
}

/// Where the socket of `daemon` is looked for, in this order: the user's own, then the system's.
pub(crate) fn of_reader(daemon: DaemonKind) -> Vec<PathBuf> {
    let user = variable("XDG_RUNTIME_DIR");
    // After su(1) it may be another user's, who can have any words there.
    if is_own(Path::new(&user)) {
        reader(daemon.unit(), &user)
    } else {
        reader(daemon.unit(), OsStr::new(""))
    }
}

fn variable(name: &str) -> std::ffi::OsString {
    env::var_os(name).unwrap_or_default()
}

fn place(name: &str, service: &OsStr, user: &OsStr, is_root: bool) -> Option<PathBuf> {
    // systemd names several folders with colons between (systemd.exec(5)).
    let given = env::split_paths(service).find(|path| path.is_absolute());
    let system = || is_root.then(|| Path::new(SYSTEM).join(name));
    let folder = given.or_else(system).or_else(|| own(name, user))?;
    Some(folder.join(FILE))
}

fn reader(name: &str, user: &OsStr) -> Vec<PathBuf> {
    let places = own(name, user).into_iter();
    let places = places.chain([Path::new(SYSTEM).join(name)]);
    places.map(|folder| folder.join(FILE)).collect()
}

fn own(name: &str, user: &OsStr) -> Option<PathBuf> {
    let user = Path::new(user);
    user.is_absolute().then(|| user.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemons_place_is_the_service_managers_else_the_systems_else_the_users() {
        let place = |service: &str, user: &str, is_root| {
            let place = place("loopkdc", OsStr::new(service), OsStr::new(user), is_root);
            place.map(|place| place.display().to_string())
        };
        for (service, user, is_root, expected) in [
            (
                "/run/loopkdc",
                "/run/user/1000",
                false,
                "/run/loopkdc/status.sock",
            ),
            (
                "/run/user/1/loopkdc:/run/x",
                "",
                false,
                "/run/user/1/loopkdc/status.sock",
            ),
            ("", "/run/user/0", true, "/run/loopkdc/status.sock"),
            (
                "relative",
                "/run/user/1000",
                false,
                "/run/user/1000/loopkdc/status.sock",
            ),
        ] {
            assert_eq!(place(service, user, is_root).as_deref(), Some(expected));
        }
        assert_eq!(place("", "", false), None);
        assert_eq!(place("", "relative", false), None);
    }

    #[test]
    fn who_reads_looks_for_their_own_first() {
        let places = |user| reader("loopkdc", OsStr::new(user));
        let system = PathBuf::from("/run/loopkdc/status.sock");
        let own = PathBuf::from("/run/user/1000/loopkdc/status.sock");
        assert_eq!(places("/run/user/1000"), [own, system.clone()]);
        assert_eq!(places(""), [system]);
        let gateway = PathBuf::from("/run/loopkdc-gateway/status.sock");
        assert_eq!(reader("loopkdc-gateway", OsStr::new("")), [gateway]);
    }
}
