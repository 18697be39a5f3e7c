//! nginx before kdcproxy, set up wrongly in the ways in which people do: each is told, and what is told mends it.

use std::fs;
use std::path::Path;
use std::process::Command;

use loopkdc::relay::finding::Layer;

use crate::scene::{Diagnosis, REALM, Scene};
use crate::support::netns::isolated;
use crate::support::process::Process;
use crate::support::proxy::{KdcProxy, Route};
use crate::support::realm::{Preauth, Realm};

/// A realm, kdcproxy, and nginx before it; and a folder for the files of all.
struct Front {
    _dir: tempfile::TempDir,
    realm: Realm,
    proxy: KdcProxy,
    _nginx: Process,
}

/// Where kdcproxy listens.
pub(crate) const BEHIND: u16 = 8443;

impl Front {
    /// `lines`: what nginx's server says besides; PROXY stands for what hands requests on.
    fn with(lines: &str) -> Self {
        Self::to(REALM, lines)
    }

    /// The same where kdcproxy calls the realm so.
    fn to(name: &str, lines: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let realm = Realm::start(dir.path(), REALM, 88, Preauth::Timestamp);
        let route = Route {
            realm: name.to_owned(),
            ..Route::to(&realm)
        };
        let proxy = KdcProxy::start(dir.path(), BEHIND, &[route]);
        let files = proxy.ca_file.parent().unwrap();
        let nginx = nginx(files, lines);
        Self {
            _dir: dir,
            realm,
            proxy,
            _nginx: nginx,
        }
    }

    /// What the doctor says of a machine that goes by `path` of it, with these lines for the realm.
    fn diagnose(&self, path: &str, lines: &str) -> Diagnosis {
        let mut scene = Scene::with(&[format!("https://localhost{path}")], lines);
        fs::copy(&self.proxy.ca_file, scene.path("ca.pem")).unwrap();
        let usual = [
            ("https://localhost", "https://kdcproxy.example.com"),
            (
                concat!("loopkdc/", env!("CARGO_PKG_VERSION")),
                "loopkdc/1.0.0",
            ),
        ];
        let usual = usual.map(|(one, usual)| (one.to_owned(), usual.to_owned()));
        scene.usual.extend(usual);
        scene.with_daemon().doctor_here(&[])
    }
}

/// Starts nginx on the port of HTTPS, with kdcproxy's own certificate in `files`.
pub(crate) fn nginx(files: &Path, lines: &str) -> Process {
    let shown = files.display();
    let lines = lines.replace(
        "PROXY",
        &format!("proxy_pass https://127.0.0.1:{BEHIND}/KdcProxy;"),
    );
    let conf = format!(
        "daemon off; master_process off; pid {shown}/nginx.pid; error_log stderr notice;\n\
         events {{}}\nhttp {{ access_log off; client_body_temp_path {shown}/body; proxy_temp_path {shown}/proxy;\n\
         server {{ listen 127.0.0.1:443 ssl; ssl_certificate {shown}/leaf.pem; ssl_certificate_key {shown}/leaf.key;\n\
         {lines} }} }}\n"
    );
    let file = files.join("nginx.conf");
    fs::write(&file, conf).unwrap();
    let mut command = Command::new("/usr/sbin/nginx");
    command.args(["-e", "stderr", "-c"]).arg(file);
    // By then it listens.
    Process::start("nginx", &mut command, "using the \"epoll\" event method")
}

#[test]
fn a_location_with_a_slash_more() {
    isolated(|| {
        let front = Front::with("location /KdcProxy/ { PROXY }");
        let found = front.diagnose("/KdcProxy", "");
        let words = "a redirect to another path, to https://localhost";
        let url = "https://localhost/KdcProxy/";
        found.is_at_fault(Layer::Http, words, &format!("write \"{url}\" into proxies"));
        front.diagnose("/KdcProxy/", "").finds_nothing();
    });
}

#[test]
fn no_location() {
    isolated(|| {
        let front = Front::with("location / { return 404; } location = /KdcProxy { PROXY }");
        let found = front.diagnose("/kdcproxy", "");
        let words = "no KDC proxy at this path, or does not serve this realm (HTTP 404)";
        found.is_at_fault(Layer::Http, words, "which mostly is /KdcProxy");
        front.diagnose("/KdcProxy", "").finds_nothing();
    });
}

#[test]
fn requests_that_are_too_long_for_it() {
    isolated(|| {
        let limit = |limit| format!("location /KdcProxy {{ client_max_body_size {limit}; PROXY }}");
        let front = Front::with(&limit("64"));
        let found = front.diagnose("/KdcProxy", "");
        let words = "it takes no requests of this length (HTTP 413)";
        let told = "client_max_body_size 1m";
        found.is_at_fault(Layer::Http, words, told);
        drop(front);
        let front = Front::with(&format!("location /KdcProxy {{ {told}; PROXY }}"));
        front.diagnose("/KdcProxy", "").finds_nothing();
    });
}

#[test]
fn a_front_that_says_itself_why_it_refuses() {
    isolated(|| {
        let text = "closed for repairs till 6\nloopkdc: hint: forged";
        let front = Front::with(&format!(
            "location /KdcProxy {{ default_type text/plain; return 403 \"{text}\"; }}"
        ));
        let found = front.diagnose("/KdcProxy", "");
        let words = "it forbids this (HTTP 403); in its own words: \"closed for repairs till 6\"";
        found.is_at_fault(Layer::Http, words, "who runs it knows why");
    });
}

/// As filters do that know the browsers and the scripts of their day.
#[test]
fn a_filter_that_refuses_our_user_agent() {
    isolated(|| {
        let refusing = "if ($http_user_agent !~ ^(Mozilla|kerberos)) { return 403; } location /KdcProxy { PROXY }";
        let front = Front::with(refusing);
        let found = front.diagnose("/KdcProxy", "");
        let key = "headers = [\"User-Agent: kerberos/1.0\"]";
        found.is_at_fault(
            Layer::Http,
            "it refuses requests by their User-Agent, loopkdc/",
            key,
        );
        front.diagnose("/KdcProxy", key).finds_nothing();
    });
}

#[test]
fn a_realm_that_kdcproxy_knows_by_another_name() {
    isolated(|| {
        let front = Front::to("OTHER.TEST", "location /KdcProxy { PROXY }");
        let found = front.diagnose("/KdcProxy", "");
        let words = "it reaches no KDC, or does not serve this realm (HTTP 503); in its own words: \"Can't find remote (EXAMPLE.COM AS-REQ";
        found.is_at_fault(Layer::Kdc, words, "perhaps by another name (target-domain)");
        let mended = front.diagnose("/KdcProxy", "target-domain = \"OTHER.TEST\"");
        mended.finds_nothing();
    });
}

#[test]
fn a_password_server_that_is_dead() {
    isolated(|| {
        let mut front = Front::with("location /KdcProxy { PROXY }");
        let found = front.diagnose("/KdcProxy", "");
        found.finds_nothing();
        found.is_well("kpasswd", "the password server answers");
        assert_eq!(front.realm.failed_attempts("user"), 0);
        front.realm.kadmind.terminate();
        let found = front.diagnose("/KdcProxy", "");
        found.is_well("kdc", "KDC_ERR_C_PRINCIPAL_UNKNOWN (6)");
        let words = "no password server answers: ";
        found.is_at_fault(Layer::Kpasswd, words, "password server (kadmind)");
    });
}
