use std::path::Path;

use super::*;
use crate::config::gateway::GatewayConfig;
use crate::wire::Reply;

/// The policies of a gateway with these tables.
fn policies(realms: &str) -> Policies {
    let text = format!("[gateway]\nlisten = []\nplain-listen = [\"127.0.0.1:1\"]\n{realms}");
    let config = GatewayConfig::parse(Path::new("gateway.toml"), &text);
    Policies::new(&config.unwrap().realms)
}

/// Those of EXAMPLE.COM with these lines.
fn policy(lines: &str) -> Policies {
    policies(&format!(
        "[realms.\"EXAMPLE.COM\"]\nkdcs = [\"k\"]\naliases = [\"CORP\"]\n{lines}\n"
    ))
}

macro_rules! recorded {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/vectors/", $name, ".request"))
    };
}

fn parsed(service: Service, octets: &'static [u8]) -> KerberosMessage {
    KerberosMessage::parse(service, octets.into()).unwrap()
}

fn refused_by(lines: &str, octets: &'static [u8]) -> Option<&'static str> {
    policy(lines).refusal(&parsed(Service::Kdc, octets), None)
}

#[test]
fn without_a_policy_everything_is_asked() {
    let none = policy("");
    assert!(none.0.is_empty());
    let message = parsed(Service::Kdc, recorded!("mit-timestamp"));
    assert_eq!(none.refusal(&message, None), None);
}

#[test]
fn preauthentication_is_admitted_by_its_kind() {
    let all: [(&[u8], _, _); 8] = [
        (recorded!("mit-plain"), true, true),
        (recorded!("java-plain"), true, true),
        (recorded!("mit-timestamp"), false, false),
        (recorded!("heimdal-timestamp"), false, false),
        (recorded!("mit-spake-response"), true, false),
        (recorded!("mit-fast-1"), true, true),
        (recorded!("mit-fast-3"), true, true),
        (recorded!("mit-tgs"), true, true),
    ];
    for (number, (octets, no_timestamp, armored)) in all.into_iter().enumerate() {
        for (value, admits) in [
            ("any", true),
            ("no-timestamp", no_timestamp),
            ("armored", armored),
        ] {
            let expected = (!admits).then_some("preauth");
            let line = format!("preauth = \"{value}\"");
            assert_eq!(refused_by(&line, octets), expected, "{number} {value}");
        }
    }
}

/// A ticket of nobody is what armor is made with where there is no other.
#[test]
fn nobody_may_prove_to_be_nobody_outside_of_fast() {
    let asked = |client: &str, preauth| Outline {
        kind: Kind::AsReq,
        client: OuterName::Text(client.to_owned()),
        service: OuterName::Absent,
        preauth,
        is_armored: false,
    };
    let other = |client| asked(client, OuterPreauth::Other);
    let timestamp = asked(ANONYMOUS, OuterPreauth::Timestamp);
    assert!(admits_preauth(AllowedPreauth::Armored, &other(ANONYMOUS)));
    for refused in [other("alice"), other("wellknown/anonymous"), timestamp] {
        assert!(!admits_preauth(AllowedPreauth::Armored, &refused));
    }
}

#[test]
fn a_principal_is_denied_by_its_name() {
    for (patterns, is_denied) in [
        ("\"alice\"", true),
        ("\"ALICE\"", true),
        ("\"bob\", \"al*\"", true),
        ("\"bob\"", false),
        ("\"alice/*\"", false),
    ] {
        let line = format!("deny-principals = [{patterns}]");
        let expected = is_denied.then_some("deny-principals");
        for octets in [recorded!("mit-plain"), &recorded!("mit-timestamp")[..]] {
            assert_eq!(refused_by(&line, octets), expected, "{patterns}");
        }
        // Who has a ticket is not known by name.
        assert_eq!(refused_by(&line, recorded!("mit-tgs")), None);
    }
    // Heimdal says "nobody" outside of FAST.
    let all = refused_by("deny-principals = [\"alice\"]", recorded!("heimdal-fast"));
    assert_eq!(all, None);
}

#[test]
fn tickets_are_for_the_services_that_are_allowed() {
    let line = "allow-services = [\"krbtgt/EXAMPLE.COM\"]";
    assert_eq!(refused_by(line, recorded!("mit-plain")), None);
    assert_eq!(
        refused_by(line, recorded!("mit-tgs")),
        Some("allow-services")
    );
    assert_eq!(refused_by(line, recorded!("mit-renew")), None);
    let line = "allow-services = [\"HOST/*\"]";
    assert_eq!(refused_by(line, recorded!("mit-tgs")), None);
    assert_eq!(
        refused_by(line, recorded!("mit-plain")),
        Some("allow-services")
    );
    // Heimdal names the service inside of FAST alone.
    assert_eq!(refused_by(line, recorded!("heimdal-fast")), None);
}

#[test]
fn what_cannot_be_read_is_refused() {
    let asked = |name: OuterName, is_armored| Outline {
        kind: Kind::AsReq,
        client: name.clone(),
        service: name,
        preauth: OuterPreauth::None,
        is_armored,
    };
    for (lines, key) in [
        ("deny-principals = [\"x\"]", "deny-principals"),
        ("allow-services = [\"*\"]", "allow-services"),
    ] {
        let policies = policy(lines);
        let policy = policies.0.values().next().unwrap();
        for (name, is_armored, expected) in [
            (OuterName::Unreadable, false, Some(key)),
            (OuterName::Unreadable, true, Some(key)),
            (OuterName::Absent, false, Some(key)),
            (OuterName::Absent, true, None),
        ] {
            assert_eq!(refusal(policy, &asked(name, is_armored)), expected);
        }
    }
}

#[test]
fn a_policy_is_that_of_each_name_of_its_realm_and_of_the_realm_inside() {
    let policies = policies(
        "[realms.\"EXAMPLE.COM\"]\nkdcs = [\"k\"]\naliases = [\"CORP\"]\npreauth = \"no-timestamp\"\n\
         [realms.\"OTHER\"]\nkdcs = [\"k\"]\n",
    );
    let to = |domain: &str| {
        let message = parsed(Service::Kdc, recorded!("mit-timestamp"));
        message.addressed_to(Realm::parse(domain.as_bytes()).unwrap())
    };
    let inside = Realm::parse(b"Example.Com").unwrap();
    for domain in ["example.com", "corp"] {
        assert_eq!(policies.refusal(&to(domain), None), Some("preauth"));
    }
    assert_eq!(policies.refusal(&to("OTHER"), None), None);
    let refusal = policies.refusal(&to("OTHER"), Some(&inside));
    assert_eq!(refusal, Some("preauth"));
}

#[test]
fn a_change_of_a_password_names_nobody() {
    let policies = policy("deny-principals = [\"*\"]\nallow-services = [\"HTTP/*\"]");
    let change = parsed(Service::Kpasswd, recorded!("mit-kpasswd"));
    assert_eq!(policies.refusal(&change, None), None);
}

#[test]
fn a_refusal_says_by_which_key() {
    let realm = Realm::parse(b"EXAMPLE.COM").unwrap();
    let error = refused(&realm, "preauth", SystemTime::UNIX_EPOCH);
    let text = b"loopkdc: refused by the gateway's policy (preauth)";
    assert!(error.windows(text.len()).any(|octets| octets == text));
    let reply = Reply::parse(Service::Kdc, error.into()).unwrap();
    assert_eq!(reply.error_code(), Some(12));
    assert!(reply.is_of_loopkdc());
}
