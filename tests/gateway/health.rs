//! A gateway and its KDCs coming and going: what load balancers are told, and what the log says.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::tempdir;

use crate::messages::{Kind, REALM, envelope, framed};
use crate::support::https::{ask, plain};
use crate::support::netns::isolated;
use crate::support::process::{PATIENCE, Process};
use crate::support::realm::{Preauth, Realm};

pub const GATEWAY: &str = "127.0.0.1:8080";

fn health() -> u16 {
    let mut stream = plain(GATEWAY).unwrap();
    let response = ask(&mut stream, "GET /healthz HTTP/1.1\r\n", b"");
    response.unwrap().status
}

/// What a client is told that asks for a ticket.
pub fn log_in() -> u16 {
    let body = envelope(&framed(&Kind::Plain.request(REALM).bytes), Some(REALM));
    let mut stream = plain(GATEWAY).unwrap();
    let response = ask(&mut stream, "POST /KdcProxy HTTP/1.1\r\n", &body);
    response.unwrap().status
}

#[test]
fn a_gateway_finds_its_kdc_by_itself_and_says_that_it_is_gone() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let config = dir.path().join("gateway.toml");
        let text = format!(
            "[gateway]\nlisten = []\nplain-listen = [\"{GATEWAY}\"]\n\
             [realms.\"{REALM}\"]\nkdcs = [\"127.0.0.88\"]\nservices = [\"kdc\"]\n"
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_loopkdc"));
        command.args(["gateway", "--config"]).arg(&config);
        command.env("RUNTIME_DIRECTORY", dir.path());
        let manager = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        command.env("NOTIFY_SOCKET", dir.path().join("notify"));
        let wait_until_shown = |state: &str| {
            let (expected, mut heard) = (format!("STATUS={REALM}: {state}"), [0; 4096]);
            while !heard.starts_with(expected.as_bytes()) {
                manager.recv(&mut heard).unwrap();
            }
        };
        let gateway = Process::start("loopkdc gateway", &mut command, "ready");
        let lost = "WARN no KDC of the realm can be reached any more realm=EXAMPLE.COM";
        assert_eq!(health(), 503);
        gateway.wait_for(lost);
        wait_until_shown("no KDC can be reached");
        let mut realm = Realm::start(dir.path(), REALM, 88, Preauth::Timestamp);
        let until = Instant::now() + PATIENCE;
        while health() == 503 {
            assert!(Instant::now() < until, "it asks no KDC by itself");
            thread::sleep(Duration::from_millis(20));
        }
        assert!(realm.kdc.log().contains("loopkdc-gateway@EXAMPLE.COM"));
        gateway.wait_for("INFO a KDC of the realm can be reached again realm=EXAMPLE.COM");
        wait_until_shown("active, 127.0.0.88:88");
        realm.kdc.terminate();
        for _ in 0..3 {
            assert_eq!(log_in(), 502);
        }
        gateway.wait_for_count(lost, 2);
        let _back = realm.once_more();
        assert_eq!(log_in(), 200);
        gateway.wait_for_count("can be reached again", 2);
        assert_eq!(gateway.count(lost), 2, "{}", gateway.log());
    });
}
