//! What stands in front of a gateway and wants a ticket for each request (RFC 4559): Apache with mod_auth_gssapi.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{PLAIN, plain_gateway};
use crate::support::apache::{self, Site, TICKETS, wants_ticket};
use crate::support::authority::Authority;
use crate::support::netns::bind_over;
use crate::support::process::Process;
use crate::support::proxy::{KdcProxy, Route};
use crate::support::realm::Realm;

/// The front end's name, and the address that it has.
pub(super) const HOST: &str = "kdcproxy.example.com";
const ADDRESS: &str = "127.0.0.80";

/// A front end, and the gateway behind it.
pub(super) struct Front {
    pub(super) process: Process,
    pub(super) gateway: KdcProxy,
    dir: PathBuf,
}

impl Front {
    /// Starts both for `routes`. Tickets for the front end are those of `realm`.
    pub(super) fn start(dir: &Path, realm: &Realm, routes: &[Route]) -> Front {
        Front::by(apache, dir, realm, routes)
    }

    /// The same with another front end: with its files in a folder of its own, which lies in `dir`.
    pub(super) fn by(
        start: fn(&Path, &Path) -> Process,
        dir: &Path,
        realm: &Realm,
        routes: &[Route],
    ) -> Front {
        let own = dir.join("front");
        fs::create_dir(&own).unwrap();
        let hosts = format!("127.0.0.1 localhost\n::1 localhost\n{ADDRESS} {HOST}\n");
        fs::write(own.join("hosts"), hosts).unwrap();
        bind_over(&own.join("hosts"), Path::new("/etc/hosts"));
        let authority = Authority::new();
        authority.write(&own.join("ca.pem"));
        authority.certify(&own, &[HOST]);
        let keytab = own.join("keytab");
        let said = realm.admin(&format!(
            "addprinc -randkey HTTP/{HOST}\nktadd -k {} HTTP/{HOST}\n",
            keytab.display()
        ));
        assert!(said.contains("added to keytab"), "{said}");
        let gateway = KdcProxy::gateway(&own, PLAIN, &plain_gateway(routes));
        let process = start(&own, dir);
        Front {
            process,
            gateway,
            dir: own,
        }
    }

    /// The lines of a configuration that send `realm` there.
    pub(super) fn stanza(&self, realm: &str) -> String {
        let ca = self.dir.join("ca.pem");
        format!(
            "[realms.\"{realm}\"]\nproxies = [\"https://{HOST}/KdcProxy\"]\nca-file = \"{}\"\n",
            ca.display()
        )
    }
}

pub(super) fn apache(dir: &Path, above: &Path) -> Process {
    let files = dir.display();
    let lines = format!(
        "SSLEngine On\nSSLCertificateFile {files}/leaf.pem\nSSLCertificateKeyFile {files}/leaf.key\n\
         ProxyPass /KdcProxy http://127.0.0.1:{PLAIN}/KdcProxy"
    );
    let site = Site {
        listen: &format!("{ADDRESS}:443"),
        modules: &[&["proxy", "proxy_http", "ssl"], &TICKETS[..]].concat(),
        log: "user=%u status=%>s",
        lines: &lines,
        location: &wants_ticket(dir),
    };
    apache::start(dir, above, &site)
}

/// One that takes tickets alone that are bound to its certificate.
pub(super) fn bound(dir: &Path, _: &Path) -> Process {
    let program = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/interop/programs/bound.py"
    );
    let mut command = Command::new("/usr/bin/python3");
    command
        .args([program, ADDRESS])
        .args(["leaf.pem", "leaf.key"].map(|name| dir.join(name)))
        .arg(PLAIN.to_string())
        .env("KRB5_KTNAME", dir.join("keytab"))
        .env("KRB5_CONFIG", "/dev/null")
        .env("KRB5RCACHENAME", "none:");
    Process::start("the front end", &mut command, "ready")
}
