//! What a terminal shows of a report.

use serde_json::{Value, json};

use super::render;
use crate::relay::status::{StatusDocument, problems};

const NOW: u64 = 1_800_000_000_000;

fn latency() -> Value {
    json!({"answers": 312, "p50_ms": 12.3, "p90_ms": 19.1, "p99_ms": 120.7})
}

fn none() -> Value {
    json!({"answers": 0, "p50_ms": null, "p90_ms": null, "p99_ms": null})
}

fn upstream(name: &str, latency: Value) -> Value {
    json!({
        "kind": "proxy", "name": name, "last_fault": null, "replied_since": true, "latency": latency,
    })
}

fn candidate(upstream: usize, state: &str) -> Value {
    json!({"upstream": upstream, "direct": false, "primary": false, "state": state, "retry_at": null, "failures": 0, "fault": null})
}

fn finding(what: &str, upstream: Option<&str>, hints: Value) -> Value {
    json!({
        "severity": "fault", "what": what, "hints": hints, "figure": null,
        "subject": {"layer": "tcp", "realm": null, "upstream": upstream, "file": null},
    })
}

fn refused() -> Value {
    let hints = json!([
        {"text": "see whether proxies names the right port, and whether it runs"},
        {"command": ["curl", "-v", "https://backup.example.com:8443/"]},
    ]);
    let upstream = "https://backup.example.com:8443";
    json!({
        "seen_at": NOW - 3000,
        "finding": finding("cannot connect: Connection refused", Some(upstream), hints),
    })
}

/// One where all is well.
fn good() -> Value {
    let listeners = ["udp", "tcp"].map(|transport| {
        json!({"service": "kdc", "transport": transport, "address": "127.0.0.1:88", "inherited": true})
    });
    let exchange = |ago: u64, code: Option<i32>| {
        json!({
            "ended_at": NOW - ago, "kind": "AS-REQ", "realm": "EXAMPLE.COM", "transport": "udp",
            "upstream": "https://kdcproxy.example.com", "outcome": "replied", "fault": null,
            "krb_error": code, "took_ms": 12, "attempts": [],
        })
    };
    json!({
        "schema": 2, "version": "0.1.0", "pid": 4242, "written_at": NOW, "started_at": NOW - 11_520_000,
        "uptime_seconds": 11_520, "listeners": listeners,
        "configuration": {
            "file": "/etc/loopkdc/config.toml", "read_at": NOW - 11_520_000, "failed_at": null, "error": null,
            "restart_needed": false,
        },
        "load": {"in_flight": 0, "max_in_flight": 512, "connections": 1, "max_connections": 1024},
        "realms": [{
            "name": "EXAMPLE.COM", "aliases": ["CORP"], "kdc": [candidate(0, "active")], "kpasswd": [candidate(0, "up")],
            "deadline_seconds": 9, "look_ups": [],
        }],
        "upstreams": [upstream("https://kdcproxy.example.com", latency())],
        "network": {
            "watched": true, "changes": 2, "changed_at": NOW - 300_000, "sleeps": 1, "woke_at": NOW - 3_600_000,
            "captive_portal": false,
        },
        "counters": [
            {"name": "attempts", "help": "Copies of requests handed to an upstream.", "value": 316},
            {"name": "too_long", "help": "Longer than allowed.", "value": 2},
            {"name": "replied", "help": "With a reply.", "value": 312},
            {"name": "failed", "help": "With a verdict.", "value": 4},
            {"name": "joined", "help": "Copies.", "value": 20},
            {"name": "replayed", "help": "From the cache.", "value": 3},
        ],
        "exchanges": [exchange(3000, None), exchange(3100, Some(25))],
        "problems": [],
    })
}

/// One with a fault of each kind that is not an upstream's alone.
fn bad() -> Value {
    let mut bad = good();
    bad["configuration"]["error"] = "/etc/loopkdc/config.toml:3:11: not a URL".into();
    bad["configuration"]["restart_needed"] = true.into();
    bad["network"]["captive_portal"] = true.into();
    bad["network"]["watched"] = false.into();
    bad["load"]["in_flight"] = 512.into();
    let mut backup = upstream("https://backup.example.com:8443", none());
    backup["last_fault"] = refused();
    backup["replied_since"] = false.into();
    bad["upstreams"].as_array_mut().unwrap().push(backup);
    let mut down = candidate(1, "down");
    down["retry_at"] = (NOW + 12_000).into();
    down["failures"] = 4.into();
    down["fault"] = refused();
    bad["realms"][0]["kdc"].as_array_mut().unwrap().push(down);
    bad["realms"].as_array_mut().unwrap().push(json!({
        "name": "FOUND.EXAMPLE", "aliases": ["FÜND"], "kdc": [], "kpasswd": [], "deadline_seconds": 9,
        "look_ups": [{
            "what": "proxies", "kdc": [], "kpasswd": [], "expires_at": NOW + 20_000,
            "rejected": [{"name": "http://p.example", "why": "it is plain http, and allow-plaintext is not set"}],
            "error": "the name servers did not answer in time",
        }],
    }));
    let failed = |realm: &str, outcome: &str, code: Option<i32>| {
        json!({
            "ended_at": NOW - 60_000, "kind": "TGS-REQ", "realm": realm, "transport": "tcp", "upstream": null,
            "outcome": outcome, "fault": null, "krb_error": code, "took_ms": 0, "attempts": [],
        })
    };
    let exchanges = bad["exchanges"].as_array_mut().unwrap();
    exchanges.push(failed("OTHER \"X\"", "no-upstream", None));
    exchanges.push(failed("EXAMPLE.COM", "replied", Some(37)));
    bad
}

/// As the daemon makes it of `document`.
fn made(document: Value) -> StatusDocument {
    let mut document: StatusDocument = serde_json::from_value(document).unwrap();
    document.problems = problems(&document);
    document
}

/// What is shown, without colours.
fn shown(document: &StatusDocument, width: usize) -> String {
    let text = render(document, width);
    anstream::adapter::strip_str(&text).to_string()
}

fn plain(document: Value) -> String {
    shown(&made(document), 80)
}

#[test]
fn all_is_well() {
    assert_eq!(
        plain(good()),
        "\
loopkdc 0.1.0, up 3 h 12 min, process 4242
  kdc            udp 127.0.0.1:88, tcp 127.0.0.1:88, from the service manager
  kpasswd        not offered
  configuration  /etc/loopkdc/config.toml, read 3 h 12 min ago
  network        changes: 2, last 5 min ago; sleeps: 1, last 1 h 0 min ago
  counted        attempts 316, too-long 2, replied 312, failed 4, joined 20,
                 replayed 3
  in progress    0 of 512 requests, 1 of 1024 connections

EXAMPLE.COM, also CORP
  ● https://kdcproxy.example.com  active; 312 answers, p50 12 ms, p99 121 ms

last exchanges
  3 s ago  AS-REQ  EXAMPLE.COM  udp  12 ms  kdcproxy.example.com: replied
  3 s ago  AS-REQ  EXAMPLE.COM  udp  12 ms  kdcproxy.example.com:
                                            KDC_ERR_PREAUTH_REQUIRED (25)
"
    );
}

#[test]
fn each_problem_is_told_with_its_hint() {
    assert_eq!(
        plain(bad()),
        "\
loopkdc 0.1.0, up 3 h 12 min, process 4242
  kdc            udp 127.0.0.1:88, tcp 127.0.0.1:88, from the service manager
  kpasswd        not offered
  configuration  /etc/loopkdc/config.toml, read 3 h 12 min ago
  network        changes: 2, last 5 min ago; sleeps: 1, last 1 h 0 min ago
  counted        attempts 316, too-long 2, replied 312, failed 4, joined 20,
                 replayed 3
  in progress    512 of 512 requests, 1 of 1024 connections

8 problems
  FAULT  config     the configuration is invalid, and the last good one, of
                    2027-01-15T04:48:00Z, is served:
                    /etc/loopkdc/config.toml:3:11: not a URL
                    hint: once it is mended, it is taken by itself; see what is
                          wrong
                          loopkdc check --config /etc/loopkdc/config.toml
  warn   config     [listen] was changed, which takes effect after a restart
                    hint: systemctl restart loopkdc
  FAULT  http       what answers looks like a login page of this network
                    hint: log in: open any page in a browser; then nothing has
                          to be restarted
  warn   daemon     changes of the network are not seen: the first request after
                    one may wait for seconds
                    hint: let the service have netlink sockets
                          (RestrictAddressFamilies=AF_NETLINK)
                          systemctl edit loopkdc
  FAULT  tcp        https://backup.example.com:8443: cannot connect: Connection
                    refused
                    hint: see whether proxies names the right port, and whether
                          it runs
                          curl -v https://backup.example.com:8443/
  FAULT  names      FOUND.EXAMPLE: its proxies cannot be looked up: the name
                    servers did not answer in time
                    hint: list them in proxies, or see whether the name servers
                          answer
                          resolvectl status
  warn   config     requests came for realm \"OTHER \\\"X\\\"\", which is not
                    configured
                    hint: if it should be, add [realms.\"OTHER \\\"X\\\"\"] with its
                          proxies; krb5.conf sends it here
  FAULT  clock      the KDC says that the clock here is more than five minutes
                    off: KRB_AP_ERR_SKEW (37)
                    hint: set the clock
                          timedatectl set-ntp true

EXAMPLE.COM, also CORP
  ● https://kdcproxy.example.com     active; 312 answers, p50 12 ms, p99 121 ms
  ✗ https://backup.example.com:8443  down, retried in 12 s: cannot connect:
                                     Connection refused (4 times, last 3 s ago)
  for password changes:
  ○ https://kdcproxy.example.com  up; 312 answers, p50 12 ms, p99 121 ms
  hint: to see how far each gets
        loopkdc doctor EXAMPLE.COM

FOUND.EXAMPLE, also FÜND
  proxies: 0 found in DNS, looked up again in 20 s at the earliest
    not used: http://p.example, as it is plain http, and allow-plaintext is not
    set
  no proxy and no KDC is known for it

last exchanges
    3 s ago  AS-REQ   EXAMPLE.COM    udp  12 ms  kdcproxy.example.com: replied
    3 s ago  AS-REQ   EXAMPLE.COM    udp  12 ms  kdcproxy.example.com:
                                                 KDC_ERR_PREAUTH_REQUIRED (25)
  1 min ago  TGS-REQ  \"OTHER \\\"X\\\"\"  tcp   0 ms  no proxy or KDC for the realm
  1 min ago  TGS-REQ  EXAMPLE.COM    tcp   0 ms  KRB_AP_ERR_SKEW (37)
"
    );
}

/// The gateway of before, whose certificate is valid for so many days more.
fn gateway(days: i64) -> Value {
    let mut gateway = bad();
    gateway["daemon"] = "gateway".into();
    gateway["listeners"] = json!([
        {"service": "https", "transport": "tcp", "address": "0.0.0.0:443", "inherited": true},
    ]);
    gateway["certificate_until"] = (NOW as i64 + days * 86_400_000 + 1000).into();
    gateway
}

#[test]
fn a_gateway_is_told_of_in_its_own_words() {
    let text = plain(gateway(30));
    let head = "\
loopkdc gateway 0.1.0, up 3 h 12 min, process 4242
  https          tcp 0.0.0.0:443, from the service manager
  http           not offered
  metrics        not offered
  configuration  /etc/loopkdc/config.toml, read 3 h 12 min ago
  certificate    valid for 30 d 0 h more
";
    assert!(text.starts_with(head), "{text}");
    for words in [
        "4 problems",
        "loopkdc check --gateway --config /etc/loopkdc/config.toml",
        "systemctl reload loopkdc-gateway",
        "[gateway] was changed",
        "systemctl restart loopkdc-gateway",
        "loopkdc doctor --gateway EXAMPLE.COM",
        "no KDC is known for it",
    ] {
        assert!(text.contains(words), "{words:?}: {text}");
    }
    // What anybody can bring about, or is of a laptop alone.
    for words in [
        "login page",
        "not configured",
        "netlink",
        "off: KRB_AP_ERR_SKEW",
        "certificate is",
    ] {
        assert!(!text.contains(words), "{words:?}: {text}");
    }
}

#[test]
fn the_end_of_a_gateways_certificate_is_told_in_time() {
    for (days, said) in [
        (
            13,
            "warn   tls        the gateway's certificate is about to expire",
        ),
        (
            -2,
            "FAULT  tls        the gateway's certificate has expired",
        ),
    ] {
        let text = plain(gateway(days));
        assert!(text.contains(said), "{said}: {text}");
        assert!(text.contains(&format!(" {days} days\n")), "{text}");
        assert!(text.contains("loopkdc doctor --gateway"), "{text}");
    }
    assert!(!plain(gateway(14)).contains("certificate is"));
}

#[test]
fn a_change_of_a_password_is_told_while_it_is_remembered() {
    let mut changed = good();
    changed["realms"][0]["primary_until"] = (NOW + 540_000).into();
    let told = "\n  a password was changed: logins ask for the primary KDC for 9 min more\n";
    assert!(plain(changed).contains(told));
}

#[test]
fn what_leads_to_the_primary_kdc_is_marked() {
    let mut document = good();
    document["realms"][0]["kdc"][0]["primary"] = true.into();
    let text = plain(document);
    let marked = "● https://kdcproxy.example.com (primary)  active";
    assert!(text.contains(marked), "{text}");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for document in [good(), bad()] {
        for width in [60, 80, 160] {
            let text = shown(&made(document.clone()), width);
            // What is to be copied is not broken.
            let whole = ["loopkdc check", "curl -v", "RestrictAddressFamilies="];
            let is_whole = |line: &&str| whole.iter().any(|of| line.contains(of));
            let mut others = text.lines().filter(|line| !is_whole(line));
            assert!(
                others.all(|line| line.chars().count() <= width),
                "{width}: {text}"
            );
            assert!(text.lines().all(|line| !line.ends_with(' ')), "{text}");
        }
    }
}

#[test]
fn old_exchanges_are_left_out_and_it_says_so() {
    let mut document = good();
    let exchange = document["exchanges"][0].clone();
    document["exchanges"] = vec![exchange; 50].into();
    let text = plain(document);
    assert_eq!(text.matches("AS-REQ").count(), 10, "{text}");
    assert!(
        text.ends_with("  40 older ones: loopkdc status --json\n"),
        "{text}"
    );
}

#[test]
fn attempts_stand_below_their_exchange() {
    let mut document = good();
    document["exchanges"][0]["attempts"] = json!([
        {"upstream": "https://backup.example.com:8443", "why": "first", "fault": "no answer in time", "took_ms": 3000},
        {"upstream": "https://kdcproxy.example.com", "why": "failover", "fault": null, "took_ms": 12},
    ]);
    let text = plain(document);
    let lines: Vec<_> = text.lines().collect();
    let first = lines
        .iter()
        .position(|line| line.contains("3 s ago"))
        .unwrap();
    assert_eq!(
        lines[first..first + 4],
        [
            "  3 s ago  AS-REQ    EXAMPLE.COM  udp    12 ms  kdcproxy.example.com: replied",
            "           first                       3000 ms  backup.example.com:8443: no",
            "                                                answer in time",
            "           failover                      12 ms  kdcproxy.example.com",
        ],
        "{text}"
    );
}

#[test]
fn what_a_client_or_a_stranger_wrote_gives_a_terminal_no_order() {
    let mut document = bad();
    let evil = "x\x1b]0;owned\x07\u{9b}2J\nrm -rf";
    document["version"] = evil.into();
    document["realms"][0]["name"] = evil.into();
    document["upstreams"][0]["name"] = evil.into();
    document["exchanges"][0]["realm"] = evil.into();
    let mut problem = finding(
        evil,
        Some(evil),
        json!([{"text": evil}, {"command": [evil]}]),
    );
    problem["subject"]["layer"] = "of a later version".into();
    problem["new"] = 1.into();
    document["problems"] = vec![problem].into();
    let document: StatusDocument = serde_json::from_value(document).unwrap();
    let text = shown(&document, 80);
    assert!(
        text.chars().all(|c| c == '\n' || !c.is_control()),
        "{text:?}"
    );
    assert!(!text.lines().any(|line| line.starts_with("rm ")), "{text}");
    assert!(
        text.contains("owned"),
        "what is not known where to put is shown all the same"
    );
}

#[test]
fn words_of_a_later_version_are_left_out() {
    let mut document = good();
    document["realms"][0]["kdc"][0]["state"] = "asleep".into();
    document["exchanges"][0]["outcome"] = "postponed".into();
    document["more"] = 1.into();
    let text = plain(document);
    assert!(text.contains("in a state of a later version"), "{text}");
}

#[test]
fn times_are_as_exact_as_people_want_them() {
    for (seconds, expected) in [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h 0 min"),
        (86_399, "23 h 59 min"),
        (90_000, "1 d 1 h"),
    ] {
        assert_eq!(super::span(seconds * 1000), expected);
    }
    assert_eq!(super::ago(5000, 4500), "just now");
    assert_eq!(super::ago(5000, 1000), "4 s ago");
    assert_eq!(
        super::ago(5000, 9000),
        "just now",
        "a clock that was set back"
    );
}
