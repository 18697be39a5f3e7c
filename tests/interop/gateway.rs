//! `loopkdc gateway` as whoever runs it has it: files, signals, sockets, and what they do to real clients.

mod crowds;
mod guessing;
mod let_in;
mod policies;
mod realms;
mod signals;
mod sockets;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::{TempDir, tempdir};

use crate::office::PORT;
use crate::support::authority::Authority;
use crate::support::https::Site;
use crate::support::proxy::KdcProxy;
use crate::support::realm::Realm;

/// A gateway's folder, with its certificate.
struct Home {
    dir: TempDir,
    authority: Authority,
}

impl Home {
    fn new() -> Self {
        let (dir, authority) = (tempdir().unwrap(), Authority::new());
        authority.write(&dir.path().join("ca.pem"));
        authority.certify(dir.path(), &["localhost"]);
        Self { dir, authority }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn start(&self, configuration: &str) -> KdcProxy {
        KdcProxy::gateway(self.dir.path(), PORT, configuration)
    }

    /// Another configuration in the place of the one that it runs with.
    fn configure(&self, configuration: &str) {
        fs::write(self.path("gateway.toml"), configuration).unwrap();
    }

    fn site<'a>(&self, ca_file: &'a Path) -> Site<'a> {
        Site {
            address: format!("127.0.0.1:{PORT}"),
            name: "localhost",
            ca_file,
            identity: None,
        }
    }
}

/// A configuration that says this besides where it listens and what with.
fn configuration(more: &str, realms: &str) -> String {
    format!(
        "[gateway]\nlisten = [\"127.0.0.1:{PORT}\"]\ncertificate = \"leaf.pem\"\nkey = \"leaf.key\"\n{more}{realms}"
    )
}

/// A realm whose KDC is there.
fn served(realm: &Realm) -> String {
    let (kdc, kpasswd) = (realm.kdc_address(), realm.kpasswd_address());
    let name = realm.name;
    format!("[realms.\"{name}\"]\nkdcs = [\"{kdc}\"]\nkpasswd-servers = [\"{kpasswd}\"]\n")
}
