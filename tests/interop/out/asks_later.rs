//! Apache in front of a gateway, which asks for a client certificate once it has seen what is asked for: by renegotiation in TLS 1.2, after
//! the handshake in TLS 1.3, and over HTTP/2 not at all.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::tempdir;

use super::{PLAIN, plain_gateway};
use crate::recorded::isolated;
use crate::support::apache::{self, Site};
use crate::support::authority::Authority;
use crate::support::client::Client;
use crate::support::loopkdc::{Loopkdc, stanza};
use crate::support::process::Process;
use crate::support::proxy::{KdcProxy, Route};
use crate::support::realm::{PASSWORD, Preauth, Realm};
use crate::table::{About, Software, comes_through};

const ASKS: &str = "SSLVerifyClient require\n";

/// Starts Apache at `port`: what it is told for all of it, and for what it serves.
fn front(dir: &Path, port: u16, server: &str, location: &str) -> Process {
    let own = dir.join(port.to_string());
    fs::create_dir(&own).unwrap();
    let files = dir.display();
    let lines = format!(
        "SSLEngine On\nSSLCertificateFile {files}/leaf.pem\nSSLCertificateKeyFile {files}/leaf.key\n\
         SSLCACertificateFile {files}/ca.pem\n{server}\n\
         ProxyPass /KdcProxy http://127.0.0.1:{PLAIN}/KdcProxy"
    );
    let site = Site {
        listen: &format!("127.0.0.1:{port}"),
        modules: &["proxy", "proxy_http", "ssl", "http2"],
        log: "status=%>s",
        lines: &lines,
        location: &format!("{location}Require all granted"),
    };
    apache::start(&own, dir, &site)
}

/// What the doctor says.
fn doctor(loopkdc: &Loopkdc) -> String {
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_loopkdc"));
    doctor
        .args(["doctor", "--json", "--config"])
        .arg(loopkdc.config());
    String::from_utf8(doctor.output().unwrap().stdout).unwrap()
}

#[test]
fn a_certificate_that_is_asked_for_later_is_named_and_asked_for_at_once_it_serves() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let dir = dir.path();
        let authority = Authority::new();
        authority.write(&dir.join("ca.pem"));
        authority.certify(dir, &["localhost"]);
        authority.certify_client(dir);
        let realm = Realm::start(dir, "EXAMPLE.COM", 88, Preauth::Timestamp);
        let gateway = KdcProxy::gateway(dir, PLAIN, &plain_gateway(&[Route::to(&realm)]));
        let client = Client::by_drop_in(dir, &[realm.name]);
        let kinit = || client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
        let by = |port: u16| {
            let url = format!("https://localhost:{port}/KdcProxy");
            let config = stanza(realm.name, &url, &gateway)
                + "client-certificate = \"client.pem\"\nclient-key = \"client.key\"\n";
            Loopkdc::with_config(dir, &config)
        };
        for (port, (protocols, tls)) in (8443..).step_by(2).zip([
            ("http/1.1", "TLSv1.3"),
            ("http/1.1", "TLSv1.2"),
            ("h2 http/1.1", "TLSv1.3"),
            ("h2 http/1.1", "TLSv1.2"),
        ]) {
            let server = format!("Protocols {protocols}\nSSLProtocol {tls}\n");
            let _later = front(dir, port, &server, ASKS);
            let loopkdc = by(port);
            kinit().fails_with("Cannot contact any KDC");
            let words = "did not ask for the client certificate in the handshake";
            for told in [doctor(&loopkdc), loopkdc.status().to_string()] {
                assert!(told.contains(words), "{protocols}, {tls}: {told}");
            }
            assert!(loopkdc.process.log().contains(words));
            drop(loopkdc);
            let _at_once = front(dir, port + 1, &(server + ASKS), "");
            let loopkdc = by(port + 1);
            kinit().succeeds();
            assert!(!doctor(&loopkdc).contains(words), "{protocols}, {tls}");
        }
        let what = "Apache: a client certificate over TLS 1.2 and 1.3, HTTP/1.1 and 2, asked for in the handshake";
        let apache = Software::rolling("Apache", "apache2");
        comes_through(About::Proxies, what, &[apache]);
    });
}
