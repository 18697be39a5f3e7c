use std::io::{self, ErrorKind};

use super::*;
use crate::relay::upstream::NotReply;

const PROXY: &str = "https://kdcproxy.example.com:8443";
const KDC: &str = "[2001:db8::1]:88";

fn connect(error: impl Into<io::Error>) -> Fault {
    Fault::NotSent((&error.into()).into())
}

fn name(text: &'static str) -> io::Error {
    io::Error::new(ErrorKind::NotFound, text)
}

#[test]
fn what_cannot_be_connected_to_is_told_by_its_reason() {
    for (error, upstream, what, hint) in [
        (
            io::Error::from_raw_os_error(111),
            PROXY,
            "cannot connect: Connection refused",
            "see whether proxies names the right port, and whether it runs: curl -v https://kdcproxy.example.com:8443/",
        ),
        (
            name("failed to lookup address information: Name or service not known"),
            PROXY,
            "cannot connect: failed to lookup address information: Name or service not known",
            "see whether proxies spells its name right: getent hosts kdcproxy.example.com; and which name servers are asked: cat /etc/resolv.conf",
        ),
        (
            io::Error::from_raw_os_error(101),
            KDC,
            "cannot connect: Network is unreachable",
            "see where this machine's routes lead: ip route",
        ),
        (
            name("the name has no address"),
            KDC,
            "cannot connect: the name has no address",
            "see whether kdcs spells its name right: getent hosts 2001:db8::1; and which name servers are asked: cat /etc/resolv.conf",
        ),
        (
            io::Error::new(
                ErrorKind::PermissionDenied,
                "its address ::1 is refused: loopback",
            ),
            KDC,
            "cannot connect: its address ::1 is refused: loopback",
            "if DNS says so rightly, allow its network: set discover-networks",
        ),
        (
            io::Error::new(ErrorKind::UnexpectedEof, "tls handshake eof"),
            PROXY,
            "cannot connect: tls handshake eof",
            "see how far it gets: curl -v https://kdcproxy.example.com:8443/; where a proxy leads out of the network, name it in http-proxy; where curl gets further, who runs it has to switch on TLS 1.3, or ECDHE ciphers of TLS 1.2",
        ),
    ] {
        let finding = explain(&connect(error), upstream);
        assert_eq!(
            (finding.what.as_str(), finding.advice().as_str()),
            (what, hint)
        );
    }
}

#[test]
fn a_time_out_and_a_datagram_that_is_too_long_are_no_errors_of_a_connect() {
    for (error, unsent) in [
        (ErrorKind::TimedOut.into(), Unsent::ConnectTimeout),
        (io::Error::from_raw_os_error(90), Unsent::TooLong),
    ] {
        assert_eq!(Unsent::from(&error), unsent);
    }
}

/// A zone may have any name in it that is no URL's end.
#[test]
fn no_name_is_a_command_of_its_own() {
    let upstream = "https://$(reboot).example.com:8443";
    for (kind, hint) in [
        (
            ErrorKind::ConnectionRefused,
            "curl -v 'https://$(reboot).example.com:8443/'",
        ),
        (ErrorKind::NotFound, "getent hosts '$(reboot).example.com'"),
    ] {
        let told = explain(&connect(kind), upstream).advice();
        assert!(format!("{told};").contains(&format!(": {hint};")), "{told}");
    }
    let told = explain(&Fault::NotSent(Unsent::ConnectTimeout), KDC).advice();
    assert!(
        told.ends_with(": curl -v 'telnet://[2001:db8::1]:88'"),
        "{told}"
    );
}

#[test]
fn what_the_libraries_say_of_tickets_stays_in_the_log() {
    let fault = Fault::NotSent(Unsent::NoCredential("alice@EXAMPLE.COM has none".into()));
    let said = format!("{:?} {}", explain(&fault, PROXY), in_short(&fault));
    assert!(!said.contains("alice"), "{said}");
}

#[test]
fn portals_are_known_by_their_pages() {
    for fault in [
        Fault::Page(403),
        Fault::NotKerberos(NotReply::WebPage),
        Fault::NotKerberos(NotReply::Redirect),
        Fault::NotKerberos(NotReply::LoginRequired),
    ] {
        assert!(fault.is_portal(), "{fault:?}");
        let finding = explain(&fault, PROXY);
        assert!(finding.what.contains("captive portal"), "{finding}");
        assert!(finding.advice().contains("browser"));
    }
    for fault in [
        Fault::status(403),
        Fault::NotKerberos(NotReply::NoEnvelope),
        Fault::Silent,
    ] {
        assert!(!fault.is_portal(), "{fault:?}");
    }
}

#[test]
fn a_host_is_read_out_of_every_name() {
    for (name, expected) in [
        ("https://kdcproxy.example.com", "kdcproxy.example.com"),
        ("https://kdcproxy.example.com:8443", "kdcproxy.example.com"),
        ("https://[::1]:8443", "[::1]"),
        ("https://[2001:db8::a]", "[2001:db8::a]"),
        ("dc1.example.com:88", "dc1.example.com"),
    ] {
        assert_eq!(host(name), expected, "{name}");
    }
}
