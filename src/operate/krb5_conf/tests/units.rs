//! What of a krb5.conf nobody serves, where systemd's sockets do.

use super::{REALM, made_of};
use crate::relay::finding::Finding;

const BOTH: &str = "kdc = [\"127.0.0.1:88\", \"unix:/run/loopkdc.sock\"]";
/// What systemd says of the units that are shipped, when they are enabled.
const KDC: &str = "Listen=127.0.0.1:88 (Datagram)\nListen=127.0.0.1:88 (Stream)\nListen=[::1]:88 (Datagram)\nListen=[::1]:88 (Stream)\nUnitFileState=enabled\n";
const KPASSWD: &str = "Listen=127.0.0.1:464 (Stream)\nListen=[::1]:464 (Datagram)\nListen=[::1]:464 (Stream)\nUnitFileState=enabled\n";

/// What is said where systemd says this of the unit of the KDC service, and this is under `[listen]`.
fn told(kdc: &str, listen: &str, unix: bool) -> Vec<Finding> {
    let made = made_of(&format!("[listen]\n{listen}\n{REALM}"), unix).unwrap();
    made.servers.unopened(&format!("{kdc}\n{KPASSWD}"))
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
    let made = made_of(&format!("[listen]\n{BOTH}\n{REALM}"), true).unwrap();
    for shown in ["", "UnitFileState=\n", &KDC.replace("enabled", "disabled")] {
        assert_eq!(made.servers.unopened(shown), []);
    }
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
        let advice = "have the unit open it, too: systemctl edit loopkdc.socket; then: systemctl restart loopkdc.socket; or name in [listen] what the unit opens: systemctl cat loopkdc.socket";
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
        assert!(
            finding
                .what
                .contains(&format!("{unit} does not open 127.0.0.1:{port}"))
        );
        assert!(
            advice.contains(&format!("systemctl restart {unit}")),
            "{advice}"
        );
    }
}
