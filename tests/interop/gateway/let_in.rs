//! Who is let in: certificates that openssl's own authority issues and revokes, and bearer tokens, with real clients.

use std::fs;
use std::io::{Read, Write};
use std::process::Command;
use std::time::Instant;

use super::{Home, configuration, served};
use crate::office::{HOST, PORT, REALM};
use crate::support::client::Client;
use crate::support::https::Site;
use crate::support::loopkdc::{Loopkdc, stanza};
use crate::support::netns::isolated;
use crate::support::openssl_ca::OpensslCa;
use crate::support::process::PATIENCE;
use crate::support::proxy::KdcProxy;
use crate::support::realm::{PASSWORD, Preauth, Realm};

const LAPTOPS: &str = "client-ca-file = \"clients/ca.pem\"\nclient-crl-file = \"clients/crl.pem\"\n\
    clients = [{ san = \"*.laptops.example.com\", realms = [\"EXAMPLE.COM\"] }]\n";
const ASK: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n";

/// The status of a POST by curl with this certificate, or 0 without an answer. What is let in is no Kerberos.
fn post(gateway: &KdcProxy, ca: &OpensslCa, name: Option<&str>) -> u16 {
    let mut command = Command::new("curl");
    // Over HTTP/2 curl 7.88 loses an answer that comes before its body has left, and is followed by RST_STREAM (RFC 9113 8.1).
    command.args([
        "-s",
        "--http1.1",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "--data",
        "no Kerberos",
    ]);
    command.arg("--cacert").arg(&gateway.ca_file);
    if let Some(name) = name {
        command.arg("--cert").arg(ca.path(&format!("{name}.pem")));
        command.arg("--key").arg(ca.path(&format!("{name}.key")));
    }
    let output = command.arg(gateway.url()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).parse().unwrap()
}

/// How many of the sessions that openssl wants to resume over this version of TLS are.
fn resumed(gateway: &KdcProxy, ca: &OpensslCa, version: &str) -> usize {
    let session = ca.path("session");
    let _ = fs::remove_file(&session);
    let mut resumed = 0;
    for _ in 0..3 {
        let mut command = Command::new("openssl");
        command.args(["s_client", version, "-ign_eof", "-connect"]);
        command.arg(format!("127.0.0.1:{PORT}"));
        command
            .arg("-cert")
            .arg(ca.path("a.laptops.example.com.pem"));
        command
            .arg("-key")
            .arg(ca.path("a.laptops.example.com.key"));
        command.arg("-CAfile").arg(&gateway.ca_file);
        command.arg("-sess_out").arg(&session);
        if session.exists() {
            command.arg("-sess_in").arg(&session);
        }
        let input = ca.path("ask");
        fs::write(&input, "GET /healthz HTTP/1.0\r\n\r\n").unwrap();
        let output = command.stdin(fs::File::open(&input).unwrap()).output();
        let said = String::from_utf8_lossy(&output.unwrap().stdout).into_owned();
        assert!(said.contains("loopkdc: "), "{said}");
        resumed += usize::from(said.contains("Reused, "));
    }
    resumed
}

/// Goes on to ask until the connection has ended: one in silence would end by itself.
fn ask_until_it_ends(connection: &mut (impl Read + Write)) {
    let until = Instant::now() + PATIENCE;
    let mut is_answered = || {
        let asked = connection.write_all(ASK);
        asked
            .and_then(|()| connection.read(&mut [0; 1024]))
            .is_ok_and(|octets| octets > 0)
    };
    while is_answered() {
        assert!(Instant::now() < until, "it is served all the same");
    }
}

/// One is revoked while both keep a connection.
#[test]
fn a_revoked_certificate_is_let_in_no_more() {
    isolated(|| {
        let home = Home::new();
        let ca = OpensslCa::new(home.path("clients"));
        let [a, b, phone] = [
            "a.laptops.example.com",
            "b.laptops.example.com",
            "a.phones.example.com",
        ];
        for name in [a, b, phone] {
            ca.issue(name);
        }
        let realms = "[realms.\"EXAMPLE.COM\"]\nkdcs = [\"127.0.0.1:88\"]\n";
        let gateway = home.start(&configuration(LAPTOPS, realms));
        for (name, status) in [
            (Some(a), 400),
            (Some(b), 400),
            (Some(phone), 403),
            (None, 403),
        ] {
            assert_eq!(post(&gateway, &ca, name), status, "{name:?}");
        }
        let files = [a, b].map(|name| [".pem", ".key"].map(|end| ca.path(&format!("{name}{end}"))));
        let mut kept = files.each_ref().map(|[certificate, key]| {
            let site = Site {
                identity: Some((certificate, key)),
                ..home.site(&gateway.ca_file)
            };
            site.connect().unwrap()
        });
        let mut answer = [0; 1024];
        for stream in &mut kept {
            stream.write_all(ASK).unwrap();
            assert!(stream.read(&mut answer).unwrap() > 0);
        }
        for version in ["-tls1_2", "-tls1_3"] {
            assert_eq!(resumed(&gateway, &ca, version), 0, "{version}");
        }
        ca.revoke(a);
        ca.list("");
        gateway.process.signal("HUP");
        let [of_a, of_b] = &mut kept;
        ask_until_it_ends(of_a);
        of_b.write_all(ASK).unwrap();
        assert!(of_b.read(&mut answer).unwrap() > 0);
        assert_eq!(post(&gateway, &ca, Some(a)), 0);
        assert_eq!(post(&gateway, &ca, Some(b)), 400);
    });
}

#[test]
fn a_list_that_is_past_its_time_lets_nobody_in() {
    isolated(|| {
        let home = Home::new();
        let ca = OpensslCa::new(home.path("clients"));
        let a = "a.laptops.example.com";
        ca.issue(a);
        let realms = "[realms.\"EXAMPLE.COM\"]\nkdcs = [\"127.0.0.1:88\"]\n";
        let gateway = home.start(&configuration(LAPTOPS, realms));
        assert_eq!(post(&gateway, &ca, Some(a)), 400);
        let (certificate, key) = (ca.path(&format!("{a}.pem")), ca.path(&format!("{a}.key")));
        let site = Site {
            identity: Some((&certificate, &key)),
            ..home.site(&gateway.ca_file)
        };
        ca.list("-crlsec 8");
        gateway.process.signal("HUP");
        gateway.process.wait_for("certificate replaced");
        let mut kept = site.connect().unwrap();
        kept.write_all(ASK).unwrap();
        let mut answer = [0; 1024];
        assert!(kept.read(&mut answer).unwrap() > 0);
        gateway.process.wait_for("client-crl-file is past its time");
        ask_until_it_ends(&mut kept);
        assert_eq!(post(&gateway, &ca, Some(a)), 0);
        ca.list("");
        gateway.process.signal("HUP");
        gateway.process.wait_for_count("certificate replaced", 2);
        assert_eq!(post(&gateway, &ca, Some(a)), 400);
        assert_eq!(gateway.process.count("client-crl-file is past its time"), 1);
    });
}

/// A laptop has a certificate, another a token: `loopkdc run` shows them.
#[test]
fn logins_of_who_is_let_in_succeed_and_others_reach_no_kdc() {
    isolated(|| {
        let home = Home::new();
        let dir = home.dir.path();
        let ca = OpensslCa::new(home.path("clients"));
        let [laptop, visitor] = ["a.laptops.example.com", "a.visitors.example.com"];
        for name in [laptop, visitor] {
            ca.issue(name);
        }
        let realm = Realm::start(dir, REALM, HOST, Preauth::Timestamp);
        // printf %s TOKEN | sha256sum
        let tokens =
            "server 3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0 never CORP\n";
        fs::write(home.path("tokens.txt"), tokens).unwrap();
        let clients = LAPTOPS.replace(
            "}]",
            "}, { san = \"*.visitors.example.com\", realms = [\"VISITORS.EXAMPLE\"] }]",
        );
        let configuration = configuration(
            &(clients + "tokens-file = \"tokens.txt\"\n"),
            &(served(&realm) + "aliases = [\"CORP\"]\n"),
        );
        let gateway = home.start(&configuration);
        let certificate = |name: &str| {
            let [pem, key] = ["pem", "key"].map(|end| ca.path(&format!("{name}.{end}")));
            format!("client-certificate = {pem:?}\nclient-key = {key:?}\n")
        };
        for (token, text) in [("good", "token"), ("bad", "another")] {
            fs::write(home.path(token), text).unwrap();
        }
        let token = |name: &str| format!("bearer-token-file = {:?}\n", home.path(name));
        for (number, (shown, name)) in [
            (certificate(laptop), Some(laptop)),
            (token("good"), Some("server")),
            (certificate(visitor), None),
            (token("bad"), None),
            (String::new(), None),
        ]
        .into_iter()
        .enumerate()
        {
            let dir = home.path(&number.to_string());
            fs::create_dir(&dir).unwrap();
            let config = stanza(REALM, &gateway.url(), &gateway) + &shown;
            let _loopkdc = Loopkdc::with_config(&dir, &config);
            let client = Client::by_drop_in(&dir, &[REALM]);
            let asked = realm.kdc.count("AS_REQ");
            let kinit = client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
            if let Some(name) = name {
                kinit.succeeds();
                gateway
                    .process
                    .wait_for(&format!(" name={name} kind=AS-REQ "));
            } else {
                kinit.fails_with("Cannot contact any KDC");
                assert_eq!(realm.kdc.count("AS_REQ"), asked, "{shown}");
            }
        }
    });
}
