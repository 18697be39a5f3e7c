//! KDCs that the gateway finds in DNS: a real realm, a name server that says what a test wants, and the native client.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::tempdir;

use crate::office::{HOST, PORT, REALM};
use crate::recorded::isolated;
use crate::support::client::Client;
use crate::support::loopkdc::{Loopkdc, stanza};
use crate::support::nameserver::{NameServer, Record};
use crate::support::proxy::{KdcProxy, certify};
use crate::support::realm::{PASSWORD, Preauth, Realm, SERVICE};
use crate::support::trap::Trap;

/// Where it is served without TLS, for requests that no client makes.
const PLAIN: u16 = 8080;
/// What a realm on loopback needs.
const LOOPBACK: &str = "discover-networks = [\"127.0.0.0/8\"]\n";
/// Never asked for again in a test.
const LONG: u32 = 3600;
/// A look-up is done for no less than this, whatever the zone says.
const SHORTEST: Duration = Duration::from_secs(30);

fn host(host: u8) -> Record {
    Record::A(Ipv4Addr::new(127, 0, 0, host))
}

/// Names for the KDCs `dc1`, on the address that the realm of a test has, and `dc2`, on the one after it.
fn names(ttl: u32) -> NameServer {
    let names = NameServer::start();
    names.says("dc1.example.com", ttl, &[host(HOST)]);
    names.says("dc2.example.com", ttl, &[host(HOST + 1)]);
    names
}

/// The KDCs of EXAMPLE.COM and of its password service: priority, port and host.
fn lead(names: &NameServer, ttl: u32, kdcs: &[(u16, u16, &'static str)]) {
    let records = |port: Option<u16>| {
        let mut records = Vec::new();
        for (priority, found, host) in kdcs {
            records.push(Record::Srv(*priority, port.unwrap_or(*found), host));
        }
        records
    };
    names.says("_kerberos._tcp.EXAMPLE.COM", ttl, &records(None));
    names.says("_kpasswd._tcp.EXAMPLE.COM", ttl, &records(Some(464)));
}

/// A gateway that looks EXAMPLE.COM up, with `lines` about it and more realms in `others`.
fn gateway(dir: &Path, lines: &str, others: &str) -> KdcProxy {
    certify(dir);
    let text = format!(
        "[gateway]\nlisten = [\"127.0.0.1:{PORT}\"]\nplain-listen = [\"127.0.0.1:{PLAIN}\"]\n\
         certificate = \"leaf.pem\"\nkey = \"leaf.key\"\n\
         [realms.\"{REALM}\"]\ndiscover = true\n{lines}{others}"
    );
    KdcProxy::gateway(dir, PORT, &text)
}

/// The status of the answer to an AS-REQ of MIT's, recorded in EXAMPLE.COM.
fn status() -> String {
    let body = include_bytes!("../vectors/mit-kkdcp.envelope");
    let mut stream = TcpStream::connect(("127.0.0.1", PLAIN)).unwrap();
    let head = format!(
        "POST /KdcProxy HTTP/1.0\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn kdcs_and_password_servers_are_found_and_asked_for_once() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let realm = Realm::start(dir.path(), REALM, HOST, Preauth::Spake);
        let names = names(LONG);
        lead(&names, LONG, &[(0, 88, "dc1.example.com")]);
        // Another host, so that only this record can lead there.
        names.says(
            "_kpasswd._tcp.EXAMPLE.COM",
            LONG,
            &[Record::Srv(0, 464, "pw.example.com")],
        );
        names.says("pw.example.com", LONG, &[host(HOST)]);
        let gateway = gateway(dir.path(), LOOPBACK, "");
        let client = Client::by_native_kkdcp(dir.path(), &[REALM], &gateway);
        client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        client.run(&format!("kvno {SERVICE}"), &[]).succeeds();
        let new = "a newer horse";
        let kpasswd = client.run("kpasswd user@EXAMPLE.COM", &[PASSWORD, new, new]);
        kpasswd.succeeds();
        assert_eq!(realm.key_version("user"), 2);
        let mut asked = names.queries();
        asked.retain(|name| name.starts_with('_'));
        asked.sort();
        let once = [
            "_kerberos-master._tcp.EXAMPLE.COM",
            "_kerberos-master._udp.EXAMPLE.COM",
            "_kerberos._tcp.EXAMPLE.COM",
            "_kerberos._udp.EXAMPLE.COM",
            "_kpasswd._tcp.EXAMPLE.COM",
            "_kpasswd._udp.EXAMPLE.COM",
        ];
        assert_eq!(asked, once, "however many requests");
    });
}

#[test]
fn the_next_by_priority_takes_over() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let (first, second) = (dir.path().join("1"), dir.path().join("2"));
        std::fs::create_dir(&first).unwrap();
        std::fs::create_dir(&second).unwrap();
        let mut first = Realm::start(&first, REALM, HOST, Preauth::Spake);
        let second = Realm::start(&second, REALM, HOST + 1, Preauth::Spake);
        let names = names(LONG);
        let records = [(20, 88, "dc2.example.com"), (10, 88, "dc1.example.com")];
        lead(&names, LONG, &records);
        let gateway = gateway(dir.path(), LOOPBACK, "");
        let client = Client::by_native_kkdcp(dir.path(), &[REALM], &gateway);
        client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        first.kdc.wait_for("ISSUE");
        assert_eq!(second.kdc.count("AS_REQ"), 0);
        first.kdc.terminate();
        let kinit = client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
        kinit.succeeds().within(Duration::from_secs(5));
        second.kdc.wait_for("ISSUE");
    });
}

/// Who wants the KDC that takes writes gets the one that the zone says is, and moves nobody else there.
#[test]
fn the_primary_is_told_by_records_of_its_own() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let other = dir.path().join("other");
        std::fs::create_dir(&other).unwrap();
        let replica = Realm::start(dir.path(), REALM, HOST, Preauth::Timestamp);
        let primary = Realm::start(&other, REALM, HOST + 1, Preauth::Timestamp);
        let names = names(LONG);
        let records = [(10, 88, "dc1.example.com"), (20, 88, "dc2.example.com")];
        lead(&names, LONG, &records);
        let named = [Record::Srv(0, 88, "dc2.example.com")];
        names.says("_kerberos-master._udp.EXAMPLE.COM", LONG, &named);
        let gateway = gateway(dir.path(), LOOPBACK, "");
        let client = Client::by_drop_in(dir.path(), &[REALM]);
        for (hint, at_replica, at_primary) in [
            ("", 2, 0),
            ("dclocator-hint = [\"writable\"]\n", 2, 2),
            ("", 4, 2),
        ] {
            let config = stanza(REALM, &gateway.url(), &gateway) + hint;
            let _loopkdc = Loopkdc::with_config(dir.path(), &config);
            client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
            replica.kdc.wait_for_count(" AS_REQ ", at_replica);
            primary.kdc.wait_for_count(" AS_REQ ", at_primary);
            assert_eq!(replica.kdc.count(" AS_REQ "), at_replica, "{hint}");
        }
    });
}

/// Half a minute is the least: it is what this waits for, with nothing to do.
#[test]
fn a_zone_that_changed_is_followed_when_its_time_is_up() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let realm = Realm::start(dir.path(), REALM, HOST, Preauth::Spake);
        let names = names(1);
        lead(&names, 1, &[(0, 88, "dc2.example.com")]);
        let began = Instant::now();
        let gateway = gateway(dir.path(), LOOPBACK, "");
        assert_eq!(status(), "502");
        lead(&names, 1, &[(0, 88, "dc1.example.com")]);
        names.was_asked("_kerberos._tcp", 2, 2 * SHORTEST);
        assert!(began.elapsed() >= SHORTEST, "no sooner");
        gateway.process.wait_for_count("found in DNS", 2);
        assert_eq!(status(), "200");
        realm.kdc.wait_for("AS_REQ");
    });
}

#[test]
fn a_zone_that_changed_is_followed_when_asked_to() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let realm = Realm::start(dir.path(), REALM, HOST, Preauth::Spake);
        let trap = Trap::at(HOST + 1, 88);
        let names = names(LONG);
        lead(&names, LONG, &[(0, 88, "dc1.example.com")]);
        let lines = format!("{LOOPBACK}deadline-seconds = 1\n");
        let gateway = gateway(dir.path(), &lines, "");
        let client = Client::by_native_kkdcp(dir.path(), &[REALM], &gateway);
        client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        trap.is_untouched();
        lead(&names, LONG, &[(0, 88, "dc2.example.com")]);
        gateway.process.signal("HUP");
        gateway.process.wait_for_count("found in DNS", 2);
        let before = realm.kdc.count("AS_REQ");
        let lost = status();
        assert_eq!(lost, "504", "it hangs where the zone leads now");
        assert!(trap.was_entered());
        assert_eq!(realm.kdc.count("AS_REQ"), before);
    });
}

/// A zone leads to other hosts only, unless somebody here says that it may lead further.
#[test]
fn a_zone_leads_to_this_machine_only_if_that_is_allowed() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let traps = [Trap::at(HOST, 88), Trap::at(HOST, 464)];
        let names = names(LONG);
        lead(&names, LONG, &[(0, 88, "dc1.example.com")]);
        let gateway = gateway(dir.path(), "discover-networks = [\"127.0.0.1/32\"]\n", "");
        assert_eq!(status(), "502");
        names.was_asked("dc1.example.com", 1, Duration::ZERO);
        for trap in traps {
            trap.is_untouched();
        }
        gateway.process.wait_for("is refused: loopback");
    });
}

#[test]
fn a_zone_leads_to_no_other_service() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let traps = [389, 22, 443].map(|port| Trap::at(HOST, port));
        let names = names(LONG);
        let records = [389, 22, 443].map(|port| (0, port, "dc1.example.com"));
        lead(&names, LONG, &records);
        let gateway = gateway(dir.path(), LOOPBACK, "");
        assert_eq!(status(), "502");
        for trap in traps {
            trap.is_untouched();
        }
        gateway
            .process
            .wait_for_count("found in DNS and not asked", 3);
        assert!(!names.queries().iter().any(|name| name.starts_with("dc1")));
    });
}

#[test]
fn a_name_server_that_is_silent_about_one_realm_holds_up_no_other() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let _realm = Realm::start(dir.path(), REALM, HOST, Preauth::Spake);
        let names = names(LONG);
        lead(&names, LONG, &[(0, 88, "dc1.example.com")]);
        names.is_silent_about("silent.test");
        let silent = "[realms.\"SILENT.TEST\"]\ndiscover = true\n";
        let began = Instant::now();
        let gateway = gateway(dir.path(), LOOPBACK, silent);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(4), "{took:?} to be ready");
        let client = Client::by_native_kkdcp(dir.path(), &[REALM], &gateway);
        let soon = Duration::from_secs(1);
        let kinit = client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
        kinit.succeeds().within(soon);
        // Nor while it is looked up anew.
        gateway.process.signal("HUP");
        gateway.process.wait_for("configuration read again");
        let kinit = client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
        kinit.succeeds().within(soon);
        gateway.process.wait_for("its KDCs can't be looked up");
    });
}
