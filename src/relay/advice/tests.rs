use super::unsent::host;
use super::*;

const PROXY: Upstream<'_> = Upstream {
    kind: Kind::Proxy,
    name: "https://kdcproxy.example.com:8443",
};
const KDC: Upstream<'_> = Upstream {
    kind: Kind::Kdc,
    name: "[2001:db8::1]:88",
};

fn connect(why: &str) -> Fault {
    Fault::NotSent(Unsent::Connect(why.to_owned()))
}

#[test]
fn what_cannot_be_connected_to_is_told_by_its_reason() {
    for (why, upstream, what, hint) in [
        (
            "Connection refused (os error 111)",
            PROXY,
            "cannot connect: Connection refused",
            "see whether proxies names the right port, and whether it runs: curl -v https://kdcproxy.example.com:8443/",
        ),
        (
            "failed to lookup address information: Name or service not known",
            PROXY,
            "cannot connect: failed to lookup address information: Name or service not known",
            "see whether proxies spells its name right: getent hosts kdcproxy.example.com",
        ),
        (
            "Network is unreachable (os error 101)",
            KDC,
            "cannot connect: Network is unreachable",
            "see where this machine's routes lead: ip route",
        ),
        (
            "the name has no address",
            KDC,
            "cannot connect: the name has no address",
            "see whether kdcs spells its name right: getent hosts 2001:db8::1",
        ),
        (
            "tls handshake eof",
            PROXY,
            "cannot connect: tls handshake eof",
            "see how far it gets: curl -v https://kdcproxy.example.com:8443/",
        ),
    ] {
        let Advice {
            what: said,
            hint: hinted,
        } = on(&connect(why), upstream);
        assert_eq!((said.as_str(), hinted.as_deref()), (what, Some(hint)));
    }
}

/// A zone may have any name in it that is no URL's end.
#[test]
fn no_name_is_a_command_of_its_own() {
    let name = "https://$(reboot).example.com:8443";
    let upstream = Upstream { name, ..PROXY };
    for (why, hint) in [
        ("refused", "curl -v 'https://$(reboot).example.com:8443/'"),
        ("no address", "getent hosts '$(reboot).example.com'"),
    ] {
        let told = on(&connect(why), upstream).hint.unwrap();
        assert!(told.ends_with(&format!(": {hint}")), "{told}");
    }
    let told = on(&Fault::NotSent(Unsent::ConnectTimeout), KDC)
        .hint
        .unwrap();
    assert!(
        told.contains(": curl -v 'telnet://[2001:db8::1]:88';"),
        "{told}"
    );
}

#[test]
fn what_the_libraries_say_of_tickets_stays_in_the_log() {
    let fault = Fault::NotSent(Unsent::NothingToShow("alice@EXAMPLE.COM has none".into()));
    let said = format!("{:?} {}", on(&fault, PROXY), in_short(&fault));
    assert!(!said.contains("alice"), "{said}");
}

#[test]
fn portals_are_known_by_their_pages() {
    for fault in [
        Fault::Page(403),
        Fault::NotKerberos("a web page"),
        Fault::NotKerberos("a redirect"),
        Fault::NotKerberos("HTTP 511, log in to the network first"),
    ] {
        assert!(is_portal(&fault), "{fault:?}");
        let Advice { what, hint } = on(&fault, PROXY);
        assert!(what.contains("captive portal"), "{what}");
        assert!(hint.unwrap().contains("browser"));
    }
    for fault in [
        Fault::Status(403),
        Fault::NotKerberos("no KDC-PROXY-MESSAGE"),
        Fault::Silent,
    ] {
        assert!(!is_portal(&fault), "{fault:?}");
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
