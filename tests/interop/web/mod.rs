//! Web logins by ticket (RFC 4559): Apache with mod_auth_gssapi, reached by curl and by Chromium.

mod browser;
mod delegation;
mod login;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::office::Office;
use crate::support::apache::{self, Site, TICKETS, wants_ticket};
use crate::support::client::{Client, Outcome};
use crate::support::netns::bind_over;
use crate::support::process::Process;
use crate::support::realm::{More, PASSWORD, Realm};
use crate::table::Software;

/// Where the web server is, under each of its names.
const ADDRESS: &str = "127.0.0.80";
/// Tells who is logged in, and where the server keeps the credentials that it was handed.
const PAGE: &str = "<p>user: <!--#echo var=\"REMOTE_USER\" --></p>\n\
    <p>credentials: <!--#echo var=\"KRB5CCNAME\" --></p>\n";
/// Names are taken as they are typed, without a question to DNS.
const AS_TYPED: &str = "[libdefaults]\n dns_canonicalize_hostname = false\n";

/// A web server that wants a ticket for every page.
struct WebServer {
    process: Process,
}

impl WebServer {
    /// Starts it with its files in `dir`: `www.` and `trusted.` in the domain of `realm`, of which the KDC marks the second
    /// OK-AS-DELEGATE (RFC 5896).
    fn start(dir: &Path, realm: &Realm) -> WebServer {
        let own = dir.join("web");
        fs::create_dir_all(own.join("pages")).unwrap();
        fs::write(own.join("pages/index.html"), PAGE).unwrap();
        fs::create_dir(own.join("delegated")).unwrap();
        let [www, trusted] = ["www", "trusted"].map(|host| site(host, realm));
        // A line for each, as Chromium makes the service's name from the first name on a line.
        let hosts =
            format!("127.0.0.1 localhost\n::1 localhost\n{ADDRESS} {www}\n{ADDRESS} {trusted}\n");
        fs::write(own.join("hosts"), hosts).unwrap();
        bind_over(&own.join("hosts"), Path::new("/etc/hosts"));
        let keytab = own.join("keytab");
        realm.admin(&format!(
            "addprinc -randkey HTTP/{www}\n\
             addprinc -randkey +ok_as_delegate HTTP/{trusted}\n\
             ktadd -k {} HTTP/{www} HTTP/{trusted}\n",
            keytab.display()
        ));
        fs::set_permissions(own.join("delegated"), Permissions::from_mode(0o777)).unwrap();
        let process = apache(&own, dir);
        WebServer { process }
    }
}

/// The name of a host in the domain of `realm`.
fn site(host: &str, realm: &Realm) -> String {
    format!("{host}.{}", realm.name.to_lowercase())
}

fn apache(dir: &Path, above: &Path) -> Process {
    let files = dir.display();
    let site = Site {
        listen: &format!("{ADDRESS}:80"),
        modules: &[&["dir", "include"], &TICKETS[..]].concat(),
        log: "%{Host}i user=%u status=%>s token=%{Authorization}i",
        lines: &format!("DocumentRoot {files}/pages\nDirectoryIndex index.html"),
        location: &format!(
            "{}\
             Options +Includes\nForceType text/html\nSetOutputFilter INCLUDES\n\
             GssapiConnectionBound On\nGssapiSignalPersistentAuth On\nGssapiUseS4U2Proxy Off\n\
             GssapiDelegCcacheDir {files}/delegated",
            wants_ticket(dir)
        ),
    };
    apache::start(dir, above, &site)
}

/// A laptop, the tunnel, the realm, and a web server of it.
struct Intranet {
    office: Office,
    server: WebServer,
}

impl Intranet {
    fn open() -> Intranet {
        let other = format!("addprinc -pw \"{PASSWORD}\" other\n");
        let mut office = Office::furnished(More {
            admin: &other,
            ..More::default()
        });
        office.client.also(AS_TYPED);
        let server = WebServer::start(office.dir(), &office.realm);
        Intranet { office, server }
    }
}

/// What [`PAGE`] says to `user`: whether the server was handed credentials.
fn has_credentials(page: Outcome, user: &str) -> bool {
    let page = page.succeeds().says(&format!("user: {user}<")).text;
    let [some, none] = ["credentials: FILE:", "credentials: (none)"].map(|it| page.contains(it));
    assert_ne!(some, none, "{page}");
    some
}

/// Runs curl with these arguments; it fails where the server refuses.
fn curl(client: &Client, args: &[&str]) -> Outcome {
    client.finish(curl_command(args), &[])
}

fn curl_command(args: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command
        .args([
            "-q",
            "-sS",
            "--fail",
            "--noproxy",
            "*",
            "--negotiate",
            "-u",
            ":",
        ])
        .args(args);
    command
}

/// What the web rows run.
fn software(browser: Software) -> [Software; 3] {
    [
        browser,
        Software::rolling("Apache", "apache2"),
        Software::debian("mod_auth_gssapi", "libapache2-mod-auth-gssapi"),
    ]
}

fn with_curl() -> [Software; 3] {
    software(Software::debian("curl", "curl"))
}
