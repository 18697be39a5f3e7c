//! Where it listens, and whom it lets in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::{Home, configuration, served};
use crate::office::{HOST, REALM};
use crate::recorded::isolated;
use crate::support::authority::Authority;
use crate::support::client::Client;
use crate::support::https::{self, Site};
use crate::support::process::PATIENCE;
use crate::support::realm::{PASSWORD, Preauth, Realm};

const HEALTH: &str = "GET /healthz HTTP/1.1\r\n";

#[test]
fn metrics_tell_what_was_asked_and_when_the_certificate_expires() {
    isolated(|| {
        let home = Home::new();
        let realm = Realm::start(home.dir.path(), REALM, HOST, Preauth::Timestamp);
        let (leaf, key) = home.authority.leaf(&["localhost"], |params| {
            params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        });
        fs::write(home.path("leaf.pem"), leaf).unwrap();
        fs::write(home.path("leaf.key"), key).unwrap();
        let metrics = "metrics-listen = \"127.0.0.1:9464\"\n";
        let gateway = home.start(&configuration(metrics, &served(&realm)));
        let client = Client::by_native_kkdcp(home.dir.path(), &[REALM], &gateway);
        client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        gateway.was_asked(2);
        let scrape = || {
            let mut stream = https::plain("127.0.0.1:9464").unwrap();
            https::ask(&mut stream, "GET /metrics HTTP/1.1\r\n", b"").unwrap()
        };
        let has = |line: &str| {
            let response = scrape();
            assert_eq!(response.status, 200);
            let text = response.text();
            assert!(text.lines().any(|other| other == line), "{line}: {text}");
        };
        let outcome = |outcome: &str| {
            format!(
                "loopkdc_requests_total{{kind=\"AS-REQ\",realm=\"{REALM}\",outcome=\"{outcome}\"}} 1"
            )
        };
        has(&outcome("krb_error"));
        has(&outcome("reply"));
        has("loopkdc_certificate_expiry_seconds 2208988800");
        has("loopkdc_upstream_up{upstream=\"127.0.0.88:88\"} 1");
    });
}

#[test]
fn a_certificate_is_required_of_clients() {
    isolated(|| {
        let home = Home::new();
        let [own, others] = ["own", "others"].map(|name| home.path(name));
        for (dir, authority) in [(&own, &home.authority), (&others, &Authority::new())] {
            fs::create_dir(dir).unwrap();
            authority.certify_client(dir);
        }
        let required = "client-ca-file = \"ca.pem\"\nrequire-client-cert = true\n";
        let gateway = home.start(&configuration(required, ""));
        let [own, others] =
            [own, others].map(|dir| (dir.join("client.pem"), dir.join("client.key")));
        let ask = |identity: Option<&(PathBuf, PathBuf)>| {
            let site = Site {
                identity: identity.map(|(certificate, key)| (&**certificate, &**key)),
                ..home.site(&gateway.ca_file)
            };
            site.ask(HEALTH, b"")
        };
        assert_eq!(ask(Some(&own)).unwrap().status, 200);
        assert!(ask(None).is_err());
        assert!(ask(Some(&others)).is_err());
    });
}

/// For a reverse proxy on the same machine and in the same group.
#[test]
fn a_unix_socket_is_for_the_group_alone() {
    isolated(|| {
        let home = Home::new();
        let socket = home.path("gateway.sock");
        let listen = format!(
            "plain-listen = [\"unix:{}\"]\ntrusted-proxies = [\"unix\"]\n",
            socket.display()
        );
        let mut gateway = home.start(&configuration(&listen, ""));
        let mode = fs::metadata(&socket).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        let ask = |head: &str| {
            let mut stream = UnixStream::connect(&socket).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            https::ask(&mut stream, head, b"").unwrap()
        };
        assert_eq!(ask(HEALTH).status, 200);
        let forwarded = "GET / HTTP/1.1\r\nX-Forwarded-For: 192.0.2.77\r\n";
        assert_eq!(ask(forwarded).status, 404);
        gateway.process.wait_for(" client=192.0.2.77 ");
        assert!(gateway.process.terminate().success());
        // The next one finds what this one left behind, and takes its place.
        let _gateway = home.start(&configuration(&listen, ""));
        assert_eq!(ask(HEALTH).status, 200);
    });
}
