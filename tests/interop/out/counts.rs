//! nginx in front of a gateway, which refuses what would be one too many at once, or says later that there was too much to do.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use tempfile::tempdir;

use super::{PLAIN, plain_gateway};
use crate::recorded::isolated;
use crate::support::authority::Authority;
use crate::support::client::Client;
use crate::support::loopkdc::{Loopkdc, stanza};
use crate::support::process::Process;
use crate::support::proxy::{KdcProxy, Route};
use crate::support::realm::{PASSWORD, Preauth, Realm};
use crate::table::{About, Software, comes_through};

const AT_ONCE: usize = 40;

/// Starts nginx with its files in `dir`, and these lines for its server.
fn front(dir: &Path, lines: &str) -> Process {
    let files = dir.display();
    let configuration = format!(
        "daemon off;\nuser root;\npid {files}/nginx.pid;\nerror_log stderr notice;\nevents {{}}\n\
         http {{\n  log_format status status=$status;\n  access_log {files}/access.log status;\n\
         limit_conn_zone $server_name zone=all:1m;\n  limit_conn_status 429;\n\
         server {{\n    listen 127.0.0.1:8443 ssl;\n    server_name localhost;\n    ssl_certificate {files}/leaf.pem;\n\
         ssl_certificate_key {files}/leaf.key;\n{lines}  }}\n}}\n"
    );
    let file = dir.join("nginx.conf");
    fs::write(&file, configuration).unwrap();
    let mut nginx = Command::new("nginx");
    nginx.arg("-c").arg(&file);
    Process::start("nginx", &mut nginx, "start worker process")
}

/// Has `body` use a realm behind a gateway behind nginx with these lines, in which GATEWAY stands for the gateway; nginx's files are
/// in the folder.
fn behind(lines: &str, body: impl FnOnce(&Path, &Realm, &Client)) {
    let dir = tempdir().unwrap();
    let dir = dir.path();
    let authority = Authority::new();
    authority.write(&dir.join("ca.pem"));
    authority.certify(dir, &["localhost"]);
    let realm = Realm::start(dir, "EXAMPLE.COM", 88, Preauth::Timestamp);
    let gateway = KdcProxy::gateway(dir, PLAIN, &plain_gateway(&[Route::to(&realm)]));
    let gateway_url = format!("http://127.0.0.1:{PLAIN}");
    let _nginx = front(dir, &lines.replace("GATEWAY", &gateway_url));
    let url = "https://localhost:8443/KdcProxy";
    let _loopkdc = Loopkdc::with_config(dir, &stanza(realm.name, url, &gateway));
    let client = Client::by_drop_in(dir, &[realm.name]);
    body(dir, &realm, &client);
}

#[test]
fn a_crowd_gets_its_tickets_of_a_proxy_that_serves_one_at_a_time() {
    let one_at_a_time = "limit_conn all 1;\nlocation /KdcProxy { proxy_pass GATEWAY; }\n";
    isolated(|| {
        behind(one_at_a_time, |dir, realm, client| {
            thread::scope(|scope| {
                for number in 0..AT_ONCE {
                    let cache = dir.join(number.to_string());
                    let line = format!("kinit -c {} user@{}", cache.display(), realm.name);
                    scope.spawn(move || client.run(&line, &[PASSWORD]).succeeds());
                }
            });
            let statuses = fs::read_to_string(dir.join("access.log")).unwrap();
            assert!(statuses.contains("status=429"), "nginx refused nothing");
            assert_eq!(realm.kdc.count("ISSUE: authtime"), AT_ONCE);
            let what =
                "nginx: requests refused with 429, as there were too many at once (limit_conn)";
            let nginx = Software::rolling("nginx", "nginx-light");
            comes_through(About::Proxies, what, &[nginx]);
        });
    });
}

/// Why a password does not go again after a 503, whatever it says: the KDC may have it by then, as here.
#[test]
fn what_is_too_much_for_a_front_may_have_reached_the_kdc() {
    let gives_up = "location /KdcProxy { proxy_pass GATEWAY; proxy_read_timeout 1s; error_page 504 = @busy; }\n\
                    location @busy { add_header Retry-After 1 always; return 503; }\n";
    isolated(|| {
        behind(gives_up, |dir, realm, client| {
            let mut kinit = client.begin("kinit user@EXAMPLE.COM");
            kinit.asks("Password for user@EXAMPLE.COM");
            realm.kdc.signal("STOP");
            kinit.types(&[PASSWORD]);
            kinit.ends().fails_with("Cannot contact any KDC");
            realm.kdc.signal("CONT");
            realm.kdc.wait_for("ISSUE: authtime");
            assert_eq!(realm.kdc.count("AS_REQ ("), 2);
            let statuses = fs::read_to_string(dir.join("access.log")).unwrap();
            let refused = statuses.matches("status=503").count();
            assert_eq!((statuses.lines().count(), refused), (2, 1), "{statuses}");
        });
    });
}
