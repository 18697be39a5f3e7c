use super::*;

fn trusted(texts: &[&str]) -> TrustedProxies {
    let networks = texts.iter().filter(|text| **text != "unix");
    TrustedProxies {
        networks: networks.map(|text| text.parse().unwrap()).collect(),
        unix: texts.contains(&"unix"),
    }
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

/// What 10.0.0.1, a proxy among the trusted 10.0.0.0/8 and fd00::/8, is understood to say.
fn said(lines: &[(&'static str, &str)]) -> String {
    let peer = Some("10.0.0.1:4711".parse().unwrap());
    let (address, by_proxy) = trusted(&["10.0.0.0/8", "fd00::/8"]).client(peer, &headers(lines));
    let address = address.unwrap().to_string();
    // By a proxy's word, unless it is the proxy itself.
    assert_eq!(by_proxy, address != "10.0.0.1", "{lines:?}");
    address
}

#[test]
fn nobody_is_believed_who_is_not_trusted() {
    let lines = headers(&[
        ("x-forwarded-for", "192.0.2.1"),
        ("forwarded", "for=192.0.2.1"),
    ]);
    let peer = "10.0.0.1:4711".parse().ok();
    let itself = (Some("10.0.0.1".parse().unwrap()), false);
    for texts in [&[][..], &["unix"], &["10.0.0.2/32", "192.0.2.0/24", "::/0"]] {
        assert_eq!(trusted(texts).client(peer, &lines), itself);
    }
    assert_eq!(trusted(&["0.0.0.0/0"]).client(None, &lines), (None, false));
    let client = (Some("192.0.2.1".parse().unwrap()), true);
    assert_eq!(trusted(&["unix"]).client(None, &lines), client);
    let mapped = "[::ffff:10.0.0.1]:4711".parse().ok();
    assert_eq!(trusted(&["10.0.0.1/32"]).client(mapped, &lines), client);
    assert_eq!(trusted(&[]).client(mapped, &lines), itself);
}

#[test]
fn the_last_address_that_is_not_trusted_is_the_client() {
    for (value, client) in [
        ("192.0.2.1", "192.0.2.1"),
        ("203.0.113.9, 192.0.2.1", "192.0.2.1"),
        ("203.0.113.9,192.0.2.1 , 10.0.0.3,\tfd00::1", "192.0.2.1"),
        ("10.0.0.4, 10.0.0.3", "10.0.0.4"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("192.0.2.1:443", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        // What is hidden hides what stands left of it.
        ("192.0.2.1, unknown, 10.0.0.3", "10.0.0.3"),
        ("192.0.2.1, unknown", "10.0.0.1"),
        ("192.0.2.1,", "10.0.0.1"),
        ("192.0.2.1:x", "10.0.0.1"),
        ("[192.0.2.1]", "10.0.0.1"),
        ("[2001:db8::1]443", "10.0.0.1"),
        ("localhost", "10.0.0.1"),
        ("", "10.0.0.1"),
    ] {
        assert_eq!(said(&[("x-forwarded-for", value)]), client, "{value}");
    }
    let lines = [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-for", "192.0.2.2"),
    ];
    assert_eq!(said(&lines), "192.0.2.2");
    let lines = [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-for", "10.0.0.3"),
    ];
    assert_eq!(said(&lines), "192.0.2.1");
    assert_eq!(said(&[]), "10.0.0.1");
}

#[test]
fn forwarded_is_read_by_its_grammar() {
    for (value, client) in [
        ("for=192.0.2.1", "192.0.2.1"),
        ("For=192.0.2.1;proto=https;by=203.0.113.43", "192.0.2.1"),
        ("proto=https; for=\"192.0.2.1:443\"", "192.0.2.1"),
        ("for=\"[2001:db8::1]:_port\"", "2001:db8::1"),
        ("for=203.0.113.9, for=192.0.2.1 ,for=10.0.0.3", "192.0.2.1"),
        ("by=\"a, \\\"for=203.0.113.9\";for=192.0.2.1", "192.0.2.1"),
        ("for=192.0.2.1, for=unknown", "10.0.0.1"),
        ("for=192.0.2.1, for=_hidden, for=10.0.0.3", "10.0.0.3"),
        ("for=192.0.2.1, proto=https", "10.0.0.1"),
        // Broken: nothing of the line is believed.
        ("for=192.0.2.1;for=192.0.2.2", "10.0.0.1"),
        ("for=\"192.0.2.1", "10.0.0.1"),
        ("for=\"192.0.2.1\"x", "10.0.0.1"),
        ("for=2001:db8::1", "10.0.0.1"),
        ("for 192.0.2.1", "10.0.0.1"),
        ("for=192.0.2.1;", "10.0.0.1"),
        ("=, for=192.0.2.1", "10.0.0.1"),
        ("", "10.0.0.1"),
    ] {
        assert_eq!(said(&[("forwarded", value)]), client, "{value}");
    }
}

#[test]
fn a_client_cannot_swallow_what_its_proxy_wrote() {
    // The client's part, and then the proxy's in the same line.
    for client in [
        "for=203.0.113.9;x=\"",
        "for=\"203.0.113.9",
        "for=203.0.113.9;x=\"\\\"",
        "\"",
        "x=\"a\\",
    ] {
        for proxy in [
            "for=192.0.2.1",
            "for=\"192.0.2.1:1\"",
            "for=\"192.0.2.1:1\";proto=\"https\"",
        ] {
            let told = said(&[("forwarded", &format!("{client}, {proxy}"))]);
            assert_eq!(told, "10.0.0.1", "{client} {proxy}");
        }
    }
    // In a line of its own the proxy's word stands.
    assert_eq!(
        said(&[("forwarded", "\""), ("forwarded", "for=192.0.2.1")]),
        "192.0.2.1"
    );
}

#[test]
fn the_header_that_the_proxy_does_not_keep_changes_nothing_for_others() {
    for (one, other, client) in [
        ("192.0.2.1", "for=192.0.2.1", "192.0.2.1"),
        (
            "203.0.113.9, 192.0.2.1",
            "for=192.0.2.1, for=10.0.0.3",
            "192.0.2.1",
        ),
        ("203.0.113.9", "for=192.0.2.1", "10.0.0.1"),
        ("192.0.2.1", "for=unknown", "10.0.0.1"),
        ("unknown", "for=192.0.2.1", "10.0.0.1"),
    ] {
        assert_eq!(
            said(&[("x-forwarded-for", one), ("forwarded", other)]),
            client
        );
    }
}

#[test]
fn a_row_of_proxies_has_an_end() {
    let row = |length: usize| format!("192.0.2.1{}", ", 10.0.0.3".repeat(length));
    assert_eq!(said(&[("x-forwarded-for", &row(15))]), "192.0.2.1");
    assert_eq!(said(&[("x-forwarded-for", &row(16))]), "10.0.0.3");
}
