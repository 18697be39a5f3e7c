//! What a terminal shows of a report.

use serde_json::{Value, json};

use super::{Look, render};
use crate::relay::status::Report;
use crate::relay::status::problems;

const NOW: u64 = 1_800_000_000_000;

fn latency() -> Value {
    json!({
        "answers": 312, "p50_ms": 12.3, "p90_ms": 19.1, "p99_ms": 120.7,
        "buckets": [
            {"from_ms": 10.24, "to_ms": 12.288, "count": 200},
            {"from_ms": 114.688, "to_ms": 131.072, "count": 12},
        ],
    })
}

fn none() -> Value {
    json!({"answers": 0, "p50_ms": null, "p90_ms": null, "p99_ms": null, "buckets": []})
}

fn upstream(name: &str, latency: Value) -> Value {
    json!({
        "kind": "proxy", "scheme": "https", "host": name, "port": 443, "name": name,
        "last_fault": null, "replied_since": true, "latency": latency,
    })
}

fn way(upstream: usize, state: &str) -> Value {
    json!({"upstream": upstream, "direct": false, "state": state, "until_at": null, "failures": 0, "fault": null})
}

fn refused() -> Value {
    json!({
        "met_at": NOW - 3000, "what": "cannot connect: Connection refused",
        "hint": "see whether proxies names the right port, and whether it runs: curl -v https://backup.example.com:8443/",
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
            "upstream": "https://kdcproxy.example.com", "outcome": "replied", "replied": true,
            "krb_error": code, "took_ms": 12,
        })
    };
    json!({
        "schema": 1, "version": "0.1.0", "pid": 4242, "written_at": NOW, "started_at": NOW - 11_520_000,
        "uptime_seconds": 11_520, "listeners": listeners,
        "configuration": {
            "file": "/etc/loopkdc/config.toml", "read_at": NOW - 11_520_000, "failed_at": null, "error": null,
            "restart_needed": false,
        },
        "load": {"in_flight": 0, "max_in_flight": 512, "connections": 1, "max_connections": 1024},
        "realms": [{
            "name": "EXAMPLE.COM", "aliases": ["CORP"], "kdc": [way(0, "in-use")], "kpasswd": [way(0, "healthy")],
            "deadline_seconds": 9, "look_ups": [],
        }],
        "upstreams": [upstream("https://kdcproxy.example.com", latency())],
        "network": {
            "heard": true, "changes": 2, "changed_at": NOW - 300_000, "sleeps": 1, "woke_at": NOW - 3_600_000,
            "captive_portal": false,
        },
        "retransmits": {"joined": 20, "replayed": 3},
        "counters": [
            {"name": "attempts", "help": "Copies of requests handed to an upstream.", "value": 316},
            {"name": "too_long", "help": "Longer than allowed.", "value": 2},
            {"name": "replied", "help": "With a reply.", "value": 312},
            {"name": "failed", "help": "With a verdict.", "value": 4},
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
    bad["network"]["heard"] = false.into();
    bad["load"]["in_flight"] = 512.into();
    let mut backup = upstream("https://backup.example.com:8443", none());
    backup["last_fault"] = refused();
    backup["replied_since"] = false.into();
    bad["upstreams"].as_array_mut().unwrap().push(backup);
    let mut rests = way(1, "resting");
    rests["until_at"] = (NOW + 12_000).into();
    rests["failures"] = 4.into();
    rests["fault"] = refused();
    bad["realms"][0]["kdc"].as_array_mut().unwrap().push(rests);
    bad["realms"].as_array_mut().unwrap().push(json!({
        "name": "FOUND.EXAMPLE", "aliases": ["FÜND"], "kdc": [], "kpasswd": [], "deadline_seconds": 9,
        "look_ups": [{
            "what": "proxies", "kdc": [], "kpasswd": [], "expires_at": NOW + 20_000,
            "refused": [{"name": "http://p.example", "why": "it is plain http, and allow-plaintext is not set"}],
            "error": "the name servers did not answer in time",
        }],
    }));
    let failed = |realm: &str, outcome: &str, code: Option<i32>| {
        json!({
            "ended_at": NOW - 60_000, "kind": "TGS-REQ", "realm": realm, "transport": "tcp", "upstream": null,
            "outcome": outcome, "replied": code.is_some(), "krb_error": code, "took_ms": 0,
        })
    };
    let exchanges = bad["exchanges"].as_array_mut().unwrap();
    exchanges.push(failed("OTHER \"X\"", "no upstream for the realm", None));
    exchanges.push(failed("EXAMPLE.COM", "replied", Some(37)));
    bad
}

/// As the daemon makes it of `document`.
fn report(document: Value) -> Report {
    let mut report: Report = serde_json::from_value(document).unwrap();
    report.problems = problems(&report);
    report
}

fn plain(document: Value) -> String {
    let look = Look {
        utf8: true,
        ..Look::default()
    };
    render(&report(document), look)
}

#[test]
fn all_is_well() {
    assert_eq!(
        plain(good()),
        "\
loopkdc 0.1.0, up 3 h 12 min, process 4242
kdc       127.0.0.1:88 (udp, tcp), from the service manager
kpasswd   not offered
from      /etc/loopkdc/config.toml, read 3 h 12 min ago
network   changed 2 times, last 5 min ago; slept once, last 1 h 0 min ago

EXAMPLE.COM, also CORP
  ● https://kdcproxy.example.com            in use

time of answers                         p50      p90      p99   1 ms  …   8 s
  https://kdcproxy.example.com        12 ms    19 ms   121 ms       █  ▁

requests  312 replied, 4 failed, 20 joined, 3 replayed
at once   0 of 512 requests, 1 of 1024 connections
counted   attempts 316, too-long 2

last exchanges
  3 s ago  AS-REQ  EXAMPLE.COM    udp  kdcproxy.example.com  12 ms  replied
  3 s ago  AS-REQ  EXAMPLE.COM    udp  kdcproxy.example.com  12 ms  KRB-ERROR 25
"
    );
}

#[test]
fn each_problem_stands_where_it_belongs_with_its_hint() {
    assert_eq!(
        plain(bad()),
        "\
loopkdc 0.1.0, up 3 h 12 min, process 4242: 9 problems
kdc       127.0.0.1:88 (udp, tcp), from the service manager
kpasswd   not offered
from      /etc/loopkdc/config.toml, read 3 h 12 min ago
  the configuration is wrong, and what it said before holds:
  /etc/loopkdc/config.toml:3:11: not a URL
  hint: loopkdc check --config /etc/loopkdc/config.toml
  [listen] says something else than when the daemon started
  hint: systemctl restart loopkdc
network   changed 2 times, last 5 min ago; slept once, last 1 h 0 min ago
  what answers looks like a login page of this network
  hint: log in: open any page in a browser; then nothing has to be restarted
  changes of the network are not heard of: the first request after one may wait
  for seconds
  hint: let the service have netlink sockets
        (RestrictAddressFamilies=AF_NETLINK): systemctl edit loopkdc

EXAMPLE.COM, also CORP
  ● https://kdcproxy.example.com            in use
  ✗ https://backup.example.com:8443         failed (4 times); rests for 12 s
      cannot connect: Connection refused, 3 s ago
      hint: see whether proxies names the right port, and whether it runs:
            curl -v https://backup.example.com:8443/
  for password changes:
  ○ https://kdcproxy.example.com            healthy
  hint: to see how far each gets: loopkdc doctor EXAMPLE.COM

FOUND.EXAMPLE, also FÜND
  proxies: 0 found in DNS, looked up again in 20 s at the earliest
    not asked: http://p.example, as it is plain http, and allow-plaintext is not
    set
  its proxies cannot be looked up: the name servers did not answer in time
  hint: see whether the name servers answer:
        resolvectl status; or list them in proxies
  nothing is known that its requests could go to

time of answers                         p50      p90      p99   1 ms  …   8 s
  https://kdcproxy.example.com        12 ms    19 ms   121 ms       █  ▁

requests  312 replied, 4 failed, 20 joined, 3 replayed
at once   512 of 512 requests, 1 of 1024 connections
  as many requests are under way as may be, and others wait
  hint: see which upstream is slow: loopkdc status; or raise max-in-flight
counted   attempts 316, too-long 2

last exchanges
  requests came for realm \"OTHER \\\"X\\\"\", which is not configured
  hint: if it should be, add [realms.\"OTHER \\\"X\\\"\"] with its proxies; krb5.conf
        sends it here
  the KDC says that the clock here is more than five minutes off (KRB-ERROR 37)
  hint: set the clock: timedatectl set-ntp true
  3 s ago  AS-REQ  EXAMPLE.COM    udp  kdcproxy.example.com  12 ms  replied
  3 s ago  AS-REQ  EXAMPLE.COM    udp  kdcproxy.example.com  12 ms  KRB-ERROR 25
1 min ago  TGS-REQ \"OTHER \\\"X\\\"\"  tcp  -                      0 ms  failed
           no upstream for the realm
1 min ago  TGS-REQ EXAMPLE.COM    tcp  -                      0 ms  KRB-ERROR 37
"
    );
}

#[test]
fn no_line_is_wider_than_eighty_columns_in_any_look() {
    for document in [good(), bad()] {
        for (colour, utf8) in [(false, false), (false, true), (true, true)] {
            let look = Look {
                colour,
                utf8,
                rows: None,
            };
            let text = render(&report(document.clone()), look);
            let mut plain = text.clone();
            for code in [
                "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m",
            ] {
                plain = plain.replace(code, "");
            }
            assert_eq!(text != plain, colour);
            assert!(!plain.contains('\x1b'), "{plain}");
            assert!(utf8 || plain.is_ascii(), "{plain}");
            let widest = plain.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(80), "{plain}");
            assert!(plain.lines().all(|line| !line.ends_with(' ')), "{plain}");
        }
    }
}

#[test]
fn a_low_terminal_leaves_old_exchanges_out_and_says_so() {
    let mut document = good();
    let exchange = document["exchanges"][0].clone();
    document["exchanges"] = vec![exchange; 50].into();
    let shown = |rows| {
        let look = Look {
            rows,
            ..Look::default()
        };
        render(&report(document.clone()), look)
    };
    assert_eq!(shown(None).matches("AS-REQ").count(), 50);
    let text = shown(Some(40));
    assert_eq!(text.lines().count(), 39, "{text}");
    assert!(
        text.ends_with("older ones: loopkdc status --json\n"),
        "{text}"
    );
    let text = shown(Some(5));
    assert_eq!(text.matches("AS-REQ").count(), 5, "{text}");
}

#[test]
fn what_a_client_or_a_stranger_wrote_gives_a_terminal_no_order() {
    let mut document = bad();
    let evil = "x\x1b]0;owned\x07\u{9b}2J\nrm -rf";
    document["version"] = evil.into();
    document["realms"][0]["name"] = evil.into();
    document["upstreams"][0]["name"] = evil.into();
    document["exchanges"][0]["realm"] = evil.into();
    document["problems"] = json!([{
        "about": "of a later version", "realm": null, "upstream": null, "what": evil, "hint": evil, "new": 1,
    }]);
    let report: Report = serde_json::from_value(document).unwrap();
    let text = render(&report, Look::default());
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

/// Each problem is looked for at each way: of many times many nobody sees the end.
#[test]
fn of_problems_without_an_end_as_many_are_told_as_people_read() {
    let mut document = good();
    let problem = json!({"about": "upstream", "upstream": 0, "what": "odd", "hint": "look"});
    document["problems"] = vec![problem; 20_000].into();
    document["realms"][0]["kdc"] = vec![way(0, "healthy"); 20_000].into();
    let report: Report = serde_json::from_value(document).unwrap();
    let text = render(&report, Look::default());
    assert_eq!(text.matches("hint: look\n").count(), 1000);
    assert!(
        text.contains("19000 further problems: loopkdc status --json\n"),
        "{text}"
    );
}

#[test]
fn words_of_a_later_version_are_left_out() {
    let mut document = good();
    document["realms"][0]["kdc"][0]["state"] = "asleep".into();
    document["more"] = 1.into();
    let text = plain(document);
    assert!(text.contains("in a state of a later version"), "{text}");
}
