//! What of a krb5.conf nobody serves, where systemd's sockets do.

use super::{REALM, made_of};
use crate::relay::finding::Finding;

const BOTH: &str = "kdc = [\"127.0.0.1:88\", \"unix:/run/loopkdc.sock\"]";
/// What systemd says of the units that are shipped, when they are enabled.
const KDC: &str = "Listen=127.0.0.1:88 (Datagram)\nListen=127.0.0.1:88 (Stream)\nListen=[::1]:88 (Datagram)\nListen=[::1]:88 (Stream)\nUnitFileState=enabled\n";
const KPASSWD: &str =
    "Listen=127.0.0.1:464 (Datagram)\nListen=127.0.0.1:464 (Stream)\nUnitFileState=enabled\n";

/// What is said where systemd says this of the machine's unit of the KDC service, and this of the user's; and this is under
/// `[listen]`.
fn told_of(machines: &str, users: &str, listen: &str, unix: bool) -> Vec<Finding> {
    let made = made_of(&format!("[listen]\n{listen}\n{REALM}"), unix).unwrap();
    made.servers.unopened(|manager, unit| {
        let shown = match (manager, unit) {
            (["systemctl"], "loopkdc.socket") => machines,
            (["systemctl"], "loopkdc-kpasswd.socket") => KPASSWD,
            (["systemctl", "--user"], "loopkdc.socket") => users,
            _ => "",
        };
        (!shown.is_empty()).then(|| shown.to_owned())
    })
}

fn told(machines: &str, listen: &str, unix: bool) -> Vec<Finding> {
    told_of(machines, "", listen, unix)
}

/// What is shown of one stream besides those of the shipped unit.
fn with(stream: &str) -> String {
    format!("Listen={stream} (Stream)\n{KDC}")
}

#[test]
fn what_the_units_open_is_nothing_to_tell() {
    assert_eq!(told(KDC, "", false), []);
    assert_eq!(told(KDC, "kdc = [\"[::1]:88\"]", false), []);
    assert_eq!(told(&with("/run/loopkdc.sock"), BOTH, true), []);
    for opened in ["127.0.0.1:8888", "0.0.0.0:8888", "[::]:8888"] {
        let listen = "kdc = [\"127.0.0.1:8888\"]";
        assert_eq!(told(&with(opened), listen, false), []);
    }
}

/// Without them [listen] counts: they are not there, do not start, or nothing is known.
#[test]
fn units_that_are_not_enabled_are_nothing_to_tell() {
    let made = made_of(REALM, false).unwrap();
    assert_eq!(made.servers.unopened(|_, _| None), []);
    assert_eq!(told("", BOTH, true), []);
    assert_eq!(told("UnitFileState=\n", BOTH, true), []);
    assert_eq!(told(&KDC.replace("enabled", "disabled"), BOTH, true), []);
}

#[test]
fn a_socket_that_no_unit_opens_is_told_with_what_to_write() {
    for shown in [
        KDC,
        "Listen=/run/loopkdc.sock (Datagram)\nUnitFileState=enabled\n",
        "Listen=/run/loopkdc.socket (Stream)\nUnitFileState=enabled-runtime\n",
    ] {
        let [told] = told(shown, BOTH, true).try_into().unwrap();
        let what = "systemd's loopkdc.socket does not open /run/loopkdc.sock, which krb5.conf is to name: with the units, their addresses count and [listen]'s do not";
        assert_eq!(told.what, what);
        let advice = "have the unit open it, too: systemctl edit loopkdc.socket; and write there\n    [Socket]\n    ListenStream=/run/loopkdc.sock; then: systemctl restart loopkdc.socket; or name in [listen] what the unit opens: systemctl cat loopkdc.socket";
        assert_eq!(told.advice(), advice);
    }
}

#[test]
fn so_is_an_address() {
    let listen = "kdc = [\"127.0.0.1:8888\"]\nkpasswd = [\"127.0.0.1:8464\"]";
    let [kdc, kpasswd] = told(KDC, listen, false).try_into().unwrap();
    for (finding, unit, port) in [
        (kdc, "loopkdc.socket", 8888),
        (kpasswd, "loopkdc-kpasswd.socket", 8464),
    ] {
        let advice = finding.advice();
        let sockets = format!(
            "systemctl edit {unit}; and write there\n    [Socket]\n    ListenDatagram=127.0.0.1:{port}\n    ListenStream=127.0.0.1:{port};"
        );
        assert!(advice.contains(&sockets), "{advice}");
        assert!(advice.contains(&format!("systemctl restart {unit}")));
    }
}

#[test]
fn a_users_own_units_count_too() {
    let users = "Listen=127.0.0.1:8888 (Stream)\nUnitFileState=enabled\n";
    let listen = "kdc = [\"127.0.0.1:8888\"]";
    assert_eq!(told_of("", users, listen, false), []);
    let [finding] = told_of("", users, "", false).try_into().unwrap();
    let advice = finding.advice();
    assert!(
        advice.contains(": systemctl --user edit loopkdc.socket;"),
        "{advice}"
    );
    // One that opens it is enough.
    assert_eq!(told_of(KDC, users, "", false), []);
}

#[test]
fn a_socket_that_goes_with_the_service_is_told() {
    let listen = "kdc = [\"unix:/run/loopkdc/kdc.sock\"]";
    let [finding] = told(&with("/run/loopkdc/kdc.sock"), listen, true)
        .try_into()
        .unwrap();
    let what = "systemd removes /run/loopkdc/kdc.sock when loopkdc ends, with all that is below /run/loopkdc/, and then nobody can start it there";
    assert_eq!(finding.what, what);
    assert!(finding.advice().contains("/run/loopkdc.sock"));
}
