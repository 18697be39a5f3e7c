//! KDC proxies of other makers, and what stands before one: a login, a service's ticket and a password change through each.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::tempdir;

use crate::recorded::isolated;
use crate::support::apache::{self, Site};
use crate::support::client::Client;
use crate::support::loopkdc::{Loopkdc, stanza};
use crate::support::process::Process;
use crate::support::proxy::{self, KdcProxy, Route};
use crate::support::realm::{PASSWORD, Preauth, Realm, SERVICE};
use crate::table::{About, Software, comes_through};

/// What a front end speaks at which port.
const FRONTS: [Front; 2] = [
    Front {
        port: 443,
        alpn: "http/1.1",
        logged: "HTTP/1.1",
    },
    Front {
        port: 444,
        alpn: "h2",
        logged: "HTTP/2.0",
    },
];
/// Where kdcproxy listens behind it.
const BEHIND: u16 = 8443;
const OTHER: &str = "a newer horse";

/// A front end that speaks one version of HTTP.
struct Front {
    port: u16,
    alpn: &'static str,
    logged: &'static str,
}

/// A folder, a realm, and kdcproxy under gunicorn, whose certificate a front end shows as well.
struct Behind {
    dir: tempfile::TempDir,
    realm: Realm,
    proxy: KdcProxy,
    client: Client,
}

impl Behind {
    fn new() -> Self {
        let dir = tempdir().unwrap();
        let realm = Realm::start(dir.path(), "EXAMPLE.COM", 88, Preauth::Timestamp);
        let proxy = KdcProxy::start(dir.path(), BEHIND, &[Route::to(&realm)]);
        let client = Client::by_drop_in(dir.path(), &[realm.name]);
        Self {
            dir,
            realm,
            proxy,
            client,
        }
    }

    /// Where the certificate is.
    fn files(&self) -> &Path {
        self.proxy.ca_file.parent().unwrap()
    }

    /// A login, a service's ticket and a change of the password by `url`, with these lines for the realm.
    fn serves(&self, url: &str, lines: &str, old: &str, new: &str) {
        let config = stanza(self.realm.name, url, &self.proxy) + lines;
        let _loopkdc = Loopkdc::with_config(self.dir.path(), &config);
        let client = &self.client;
        client.run("kinit user@EXAMPLE.COM", &[old]).succeeds();
        client.run(&format!("kvno {SERVICE}"), &[]).succeeds();
        let change = client.run("kpasswd user@EXAMPLE.COM", &[old, new, new]);
        change.succeeds();
        client.run("kinit user@EXAMPLE.COM", &[new]).succeeds();
    }

    /// The same by a front end for each version of HTTP, which writes it down.
    fn serves_by(&self, start: impl Fn(&Path, &Front) -> Process) {
        for (front, (old, new)) in FRONTS.iter().zip([(PASSWORD, OTHER), (OTHER, PASSWORD)]) {
            let process = start(self.files(), front);
            let url = format!("https://localhost:{}/KdcProxy", front.port);
            self.serves(&url, "", old, new);
            assert!(process.count(front.logged) > 4, "{}", process.log());
        }
    }
}

fn kdcproxy() -> Software {
    Software::debian("kdcproxy", "python3-kdcproxy")
}

#[test]
fn gunicorn() {
    isolated(|| {
        let behind = Behind::new();
        behind.serves(&behind.proxy.url(), "", PASSWORD, OTHER);
        let gunicorn = Software::debian("gunicorn", "gunicorn");
        comes_through(
            About::Proxies,
            "kdcproxy under gunicorn",
            &[kdcproxy(), gunicorn],
        );
    });
}

#[test]
fn uwsgi() {
    isolated(|| {
        let behind = Behind::new();
        let says = ["--add-header", "Connection: close"];
        let routes = [Route::to(&behind.realm)];
        let proxy = KdcProxy::under_uwsgi(behind.dir.path(), 8444, &routes, &says);
        let behind = Behind { proxy, ..behind };
        behind.serves(&behind.proxy.url(), "", PASSWORD, OTHER);
        let uwsgi = Software::debian("uWSGI", "uwsgi-core");
        let what = "kdcproxy under uWSGI that says that it closes (`--add-header`)";
        comes_through(About::Proxies, what, &[kdcproxy(), uwsgi]);
    });
}

/// As FreeIPA has it.
#[test]
fn mod_wsgi() {
    isolated(|| {
        let behind = Behind::new();
        behind.serves_by(|files, front| {
            let script = format!(
                "import os\nos.environ['KDCPROXY_CONFIG'] = '{}/kdcproxy.conf'\nfrom kdcproxy import application\n",
                files.display()
            );
            let script = written(files, "kdcproxy.wsgi", &script);
            let lines = format!(
                "WSGIDaemonProcess kdcproxy processes=2 threads=4\nWSGIProcessGroup kdcproxy\n\
                 WSGIApplicationGroup %{{GLOBAL}}\nWSGIScriptAlias /KdcProxy {}\n",
                script.display()
            );
            apache(files, behind.dir.path(), front, &["wsgi"], &lines)
        });
        let software = [
            kdcproxy(),
            Software::rolling("Apache", "apache2"),
            Software::debian("mod_wsgi", "libapache2-mod-wsgi-py3"),
        ];
        let what = "kdcproxy under Apache (mod_wsgi), HTTP/1.1 and HTTP/2";
        comes_through(About::Proxies, what, &software);
    });
}

#[test]
fn apache_before_it() {
    isolated(|| {
        let behind = Behind::new();
        behind.serves_by(|files, front| {
            let lines = format!(
                "SSLProxyEngine On\nSSLProxyVerify none\nSSLProxyCheckPeerName Off\n\
                 ProxyPass /KdcProxy https://127.0.0.1:{BEHIND}/KdcProxy\n"
            );
            apache(
                files,
                behind.dir.path(),
                front,
                &["proxy", "proxy_http"],
                &lines,
            )
        });
        let software = [Software::rolling("Apache", "apache2"), kdcproxy()];
        let what = "Apache before kdcproxy, HTTP/1.1 and HTTP/2";
        comes_through(About::Proxies, what, &software);
    });
}

fn apache(files: &Path, above: &Path, front: &Front, modules: &[&str], lines: &str) -> Process {
    let Front { port, alpn, .. } = front;
    let (own, shown) = (files.join(port.to_string()), files.display());
    fs::create_dir(&own).unwrap();
    let lines = format!(
        "Protocols {alpn}\nSSLEngine On\nSSLCertificateFile {shown}/leaf.pem\n\
         SSLCertificateKeyFile {shown}/leaf.key\n{lines}"
    );
    let site = Site {
        listen: &format!("127.0.0.1:{port}"),
        modules: &[&["ssl", "http2", "env"], modules].concat(),
        log: "%H status=%>s",
        lines: &lines,
        location: "Require all granted",
    };
    apache::start(&own, above, &site)
}

#[test]
fn nginx_before_it() {
    isolated(|| {
        Behind::new().serves_by(|files, front| {
            let (port, shown) = (front.port, files.display());
            let http2 = if front.alpn == "h2" { " http2" } else { "" };
            let conf = format!(
                "daemon off; master_process off; pid {shown}/nginx.pid; error_log stderr notice;\n\
                 events {{}}\nhttp {{ log_format version '$server_protocol'; access_log /dev/stdout version;\n\
                 client_body_temp_path {shown}/body; proxy_temp_path {shown}/proxy;\n\
                 server {{ listen 127.0.0.1:{port} ssl{http2}; ssl_certificate {shown}/leaf.pem; ssl_certificate_key {shown}/leaf.key;\n\
                 location /KdcProxy {{ proxy_pass https://127.0.0.1:{BEHIND}/KdcProxy; }} }} }}\n"
            );
            let mut command = Command::new("/usr/sbin/nginx");
            command.args(["-e", "stderr", "-c"]).arg(written(files, "nginx.conf", &conf));
            Process::start("nginx", &mut command, "using the \"epoll\" event method")
        });
        let software = [Software::debian("nginx", "nginx-light"), kdcproxy()];
        let what = "nginx before kdcproxy, HTTP/1.1 and HTTP/2";
        comes_through(About::Proxies, what, &software);
    });
}

#[test]
fn haproxy_before_it() {
    isolated(|| {
        Behind::new().serves_by(|files, front| {
            let pem = ["leaf.pem", "leaf.key"].map(|name| fs::read_to_string(files.join(name)).unwrap());
            let pem = written(files, "both.pem", &pem.concat());
            let Front { port, alpn, .. } = front;
            let conf = format!(
                "global\n log stdout format raw local0\ndefaults\n mode http\n log global\n log-format %HV\n\
                 timeout connect 2s\n timeout client 20s\n timeout server 20s\n\
                 listen kdcproxy\n bind 127.0.0.1:{port} ssl crt {} alpn {alpn}\n\
                 server behind 127.0.0.1:{BEHIND} ssl verify none\n",
                pem.display()
            );
            let mut command = Command::new("/usr/sbin/haproxy");
            command.arg("-W").arg("-f").arg(written(files, "haproxy.cfg", &conf));
            Process::start("haproxy", &mut command, "Loading success")
        });
        let software = [Software::debian("HAProxy", "haproxy"), kdcproxy()];
        let what = "HAProxy before kdcproxy, HTTP/1.1 and HTTP/2";
        comes_through(About::Proxies, what, &software);
    });
}

/// A VPN server that is a KDC proxy as well. It asks KDCs alone: of a change of a password it says 502.
#[test]
fn ocserv() {
    isolated(|| {
        let behind = Behind::new();
        let kdc = behind.realm.kdc_address();
        let shown = behind.files().display();
        let conf = format!(
            "auth = \"plain[passwd={shown}/nobody]\"\nlisten-host = 127.0.0.1\ntcp-port = 443\nrun-as-user = nobody\nrun-as-group = nogroup\n\
             socket-file = {shown}/ocserv.sock\nserver-cert = {shown}/leaf.pem\nserver-key = {shown}/leaf.key\n\
             device = vpns\nipv4-network = 192.0.2.0\nipv4-netmask = 255.255.255.0\nkkdcp = \"/KdcProxy EXAMPLE.COM tcp@{kdc}\"\n"
        );
        written(behind.files(), "nobody", "");
        let mut command = Command::new("/usr/sbin/ocserv");
        command.args(["--foreground", "--log-stderr", "--debug", "2", "--config"]);
        command.arg(written(behind.files(), "ocserv.conf", &conf));
        let _ocserv = Process::start("ocserv", &mut command, "initialized ocserv");
        let others = format!("kpasswd-proxies = [{:?}]\n", behind.proxy.url());
        behind.serves("https://localhost/KdcProxy", &others, PASSWORD, OTHER);
        let ocserv = Software::debian("ocserv", "ocserv");
        let what = "ocserv, beside kdcproxy for changes of passwords";
        comes_through(About::Proxies, what, &[ocserv, kdcproxy()]);
    });
}

/// What is self-signed is an authority by openssl's default, and is trusted as itself.
#[test]
fn certificates_of_openssl() {
    const OWN: &str = "openssl req -x509 -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.pem -subj /CN=x -addext subjectAltName=DNS:localhost
        openssl x509 -in leaf.pem -noout -text | grep CA:TRUE; cp leaf.pem ca.pem";
    const CHAIN: &str = "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=root
        sign() { openssl req -newkey rsa:2048 -nodes -keyout $1.key -out $1.csr -subj /CN=$1; echo $3 >ext
        openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -extfile ext -out $1.pem; }
        sign mid ca basicConstraints=CA:TRUE; sign leaf mid subjectAltName=DNS:localhost; cat mid.pem >>leaf.pem";
    isolated(|| {
        let mut behind = Behind::new();
        let made = [(OWN, PASSWORD, OTHER), (CHAIN, OTHER, PASSWORD)];
        for (port, (script, old, new)) in (8444..).zip(made) {
            let dir = behind.dir.path().join(port.to_string());
            fs::create_dir(&dir).unwrap();
            let mut shell = Command::new("sh");
            let output = shell.args(["-ec", script]).current_dir(&dir).output();
            let output = output.unwrap();
            assert!(output.status.success(), "{output:?}");
            let gateway = proxy::gateway(port, &[Route::to(&behind.realm)]);
            behind.proxy = KdcProxy::gateway(&dir, port, &gateway);
            behind.serves(&behind.proxy.url(), "", old, new);
        }
        let openssl = Software::rolling("OpenSSL", "openssl");
        let what = "loopkdc gateway: a self-signed certificate (CA:TRUE) in `ca-file`, and one with its intermediate";
        comes_through(About::Proxies, what, &[openssl]);
    });
}

fn written(files: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let file = files.join(name);
    fs::write(&file, text).unwrap();
    file
}
