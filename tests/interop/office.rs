//! The usual scene: one realm, one proxy in front of it, one laptop.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::client::Client;
use crate::support::loopkdc::Loopkdc;
use crate::support::proxy::{KdcProxy, Maker, Route};
use crate::support::realm::{More, Preauth, Realm};

/// The realm of most tests.
pub(crate) const REALM: &str = "EXAMPLE.COM";
/// The last octet of its servers' address, away from 127.0.0.1, where the program listens.
pub(crate) const HOST: u8 = 88;
/// Where its proxy listens.
pub(crate) const PORT: u16 = 8443;

/// How the laptop's messages reach the proxy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    /// Through the program, by UDP first.
    Udp,
    /// Through the program, by TCP.
    Tcp,
    /// Past the program, by libkrb5's own client.
    Native,
}

impl Way {
    /// What libkrb5's trace says when it goes this way.
    pub(crate) fn traced(self) -> &'static str {
        match self {
            Way::Udp => "Sending initial UDP request to dgram 127.0.0.1:88",
            Way::Tcp => "Sending TCP request to stream 127.0.0.1:88",
            Way::Native => "Sending HTTPS request to https 127.0.0.1:8443",
        }
    }
}

/// Everything that one test needs; all of it ends with the test.
pub(crate) struct Office {
    pub(crate) client: Client,
    _loopkdc: Option<Loopkdc>,
    pub(crate) proxy: KdcProxy,
    pub(crate) realm: Realm,
    pub(crate) way: Way,
    dir: TempDir,
}

impl Office {
    /// Opens with another maker's proxy and SPAKE offered.
    pub(crate) fn open(way: Way) -> Office {
        Office::with(way, Maker::Kdcproxy, Preauth::Spake)
    }

    /// Opens with this proxy and this preauthentication offered.
    pub(crate) fn with(way: Way, maker: Maker, preauth: Preauth) -> Office {
        let dir = tempfile::tempdir().unwrap();
        let realm = Realm::start(dir.path(), REALM, HOST, preauth);
        Office::of(way, maker, realm, dir)
    }

    /// Opens with the program, `loopkdc gateway` and a realm that has `more`.
    pub(crate) fn furnished(more: More) -> Office {
        let dir = tempfile::tempdir().unwrap();
        let realm = Realm::with(dir.path(), REALM, HOST, Preauth::Spake, more);
        Office::of(Way::Udp, Maker::Ours, realm, dir)
    }

    /// Opens with this realm, whose files are in `dir`.
    fn of(way: Way, maker: Maker, realm: Realm, dir: TempDir) -> Office {
        let proxy = KdcProxy::of(maker, dir.path(), PORT, &[Route::to(&realm)]);
        let (loopkdc, client) = match way {
            Way::Native => (None, Client::by_native_kkdcp(dir.path(), &[REALM], &proxy)),
            Way::Udp | Way::Tcp => {
                let loopkdc = Loopkdc::start(dir.path(), &[(REALM, &proxy)]);
                (Some(loopkdc), Client::by_drop_in(dir.path(), &[REALM]))
            }
        };
        let mut office = Office {
            client,
            _loopkdc: loopkdc,
            proxy,
            realm,
            way,
            dir,
        };
        if way == Way::Tcp {
            office
                .client
                .also("[libdefaults]\n udp_preference_limit = 1\n");
        }
        office
    }

    /// A file of keys, as the host of these services has it.
    pub(crate) fn keytab(&self, services: &[&str]) -> PathBuf {
        let file = self.dir().join("keytab");
        let (path, services) = (file.display(), services.join(" "));
        let said = self
            .realm
            .admin(&format!("ktadd -norandkey -k {path} {services}\n"));
        assert!(said.contains("added to keytab"), "{said}");
        file
    }

    /// A folder for what a test needs.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// Makes six tests of each function: with either proxy, over UDP, over TCP, and by the native client.
macro_rules! every_way {
    ($($(#[$meta:meta])* fn $name:ident($office:ident) $body:block)*) => {$(
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports, reason = "a body may need nothing of its module")]
            use super::*;
            use $crate::office::{Office, Way};
            use $crate::recorded::isolated;
            use $crate::support::proxy::Maker;
            use $crate::support::realm::Preauth;

            fn body(way: Way, maker: Maker) {
                let $office = Office::with(way, maker, Preauth::Spake);
                $body
            }

            every_way!(@by gateway, Maker::Ours);
            every_way!(@by kdcproxy, Maker::Kdcproxy);
        }
    )*};
    (@by $by:ident, $maker:expr) => {
        mod $by {
            use super::*;

            #[test]
            fn over_udp() {
                isolated(|| body(Way::Udp, $maker));
            }

            #[test]
            fn over_tcp() {
                isolated(|| body(Way::Tcp, $maker));
            }

            #[test]
            fn native() {
                isolated(|| body(Way::Native, $maker));
            }
        }
    };
}
