//! Delegation if approved by policy (RFC 5896): by OK-AS-DELEGATE (RFC 4120 2.8) a KDC tells a user's programs which services
//! may have the user's credentials.

use std::path::Path;

use tempfile::tempdir;

use super::{AS_TYPED, Intranet, WebServer, curl, has_credentials, with_curl};
use crate::recorded::isolated;
use crate::support::client::Client;
use crate::support::loopkdc::Loopkdc;
use crate::support::proxy::{KdcProxy, Maker, Route};
use crate::support::realm::{More, PASSWORD, Preauth, Realm, SERVICE};
use crate::table::{About, Software, comes_through};

const TRUSTED: &str = "http://trusted.example.com/";
const WWW: &str = "http://www.example.com/";

/// Whether the web server has credentials of `user` after a login with `--delegation` of this kind.
fn hands_over(client: &Client, kind: &str, user: &str, page: &str) -> bool {
    has_credentials(curl(client, &["--delegation", kind, page]), user)
}

#[test]
fn klist_shows_who_may_have_credentials() {
    isolated(|| {
        let intranet = Intranet::open();
        let office = &intranet.office;
        let client = &office.client;
        client
            .run("kinit -f user@EXAMPLE.COM", &[PASSWORD])
            .succeeds();
        for (service, is_marked) in [
            ("HTTP/trusted.example.com@EXAMPLE.COM", true),
            ("HTTP/www.example.com@EXAMPLE.COM", false),
        ] {
            client.run(&format!("kvno {service}"), &[]).succeeds();
            let flags = client.flags(&client.cache(), service);
            assert_eq!(flags.contains('O'), is_marked, "{service}: {flags}");
        }
        let what = "MIT: `klist -f` shows `O` for a service with ok_as_delegate and for no other";
        comes_through(About::Delegation, what, &[Software::mit()]);
    });
}

#[test]
fn curl_delegates_by_policy() {
    isolated(|| {
        let intranet = Intranet::open();
        let office = &intranet.office;
        let client = &office.client;
        let user = "user@EXAMPLE.COM";
        client
            .run(&format!("kinit -f {user}"), &[PASSWORD])
            .succeeds();
        for (kind, to_trusted, to_www) in [
            ("none", false, false),
            ("policy", true, false),
            ("always", true, true),
        ] {
            let handed = [TRUSTED, WWW].map(|page| hands_over(client, kind, user, page));
            assert_eq!(handed, [to_trusted, to_www], "{kind}");
        }
        is_of_use(client, office.dir(), user);
        let what = "curl: `--delegation policy` hands credentials to a service with ok_as_delegate and to no other, \
                    `always` to both";
        comes_through(About::Delegation, what, &with_curl());
    });
}

/// The web server can do with the credentials what the user could.
fn is_of_use(client: &Client, dir: &Path, user: &str) {
    let delegated = dir.join("web/delegated").join(user);
    let list = format!("klist -f -c {}", delegated.display());
    client.run(&list, &[]).succeeds().says("Flags: Ff");
    let kvno = format!("kvno -c {} {SERVICE}", delegated.display());
    client.run(&kvno, &[]).succeeds().says("kvno = 1");
}

/// The path from the user's realm to the server's: who stands behind whom.
const PATH: &str =
    "[capaths]\n HERE.EXAMPLE = {\n BETWEEN.EXAMPLE = .\n THERE.EXAMPLE = BETWEEN.EXAMPLE\n }\n";
const HOPS: [&str; 2] = [
    "krbtgt/BETWEEN.EXAMPLE@HERE.EXAMPLE",
    "krbtgt/THERE.EXAMPLE@BETWEEN.EXAMPLE",
];

/// OK-AS-DELEGATE is the word of the server's KDC: it counts as far as the KDCs on the way there are believed.
#[test]
fn curl_delegates_across_realms_if_every_ticket_on_the_path_is_marked() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let names = ["HERE.EXAMPLE", "BETWEEN.EXAMPLE", "THERE.EXAMPLE"];
        let realms = [0, 1, 2].map(|number| {
            let more = More {
                krb5: PATH,
                ..More::default()
            };
            let host = 88 + number as u8;
            Realm::with(dir.path(), names[number], host, Preauth::Spake, more)
        });
        let [here, between, there] = &realms;
        here.is_trusted_by(between);
        between.is_trusted_by(there);
        let routes = realms.each_ref().map(Route::to);
        let proxy = KdcProxy::of(Maker::Ours, dir.path(), 8443, &routes);
        let _loopkdc = Loopkdc::start(dir.path(), &names.map(|name| (name, &proxy)));
        let mut client = Client::by_drop_in(dir.path(), &names);
        client.also(PATH);
        client.also(AS_TYPED);
        let _server = WebServer::start(dir.path(), there);

        let user = "user@HERE.EXAMPLE";
        for marked in [[false, false], [true, false], [false, true], [true, true]] {
            for ((realm, hop), is_marked) in [here, between].iter().zip(HOPS).zip(marked) {
                let sign = if is_marked { '+' } else { '-' };
                realm.admin(&format!("modprinc {sign}ok_as_delegate {hop}\n"));
            }
            client
                .run(&format!("kinit -f {user}"), &[PASSWORD])
                .succeeds();
            let page = "http://trusted.there.example/";
            let handed = hands_over(&client, "policy", user, page);
            let flags = client.flags(&client.cache(), "HTTP/trusted.there.example@THERE.EXAMPLE");
            let all = marked == [true, true];
            assert_eq!((handed, flags.contains('O')), (all, all), "{marked:?}");
            assert!(hands_over(&client, "always", user, page), "{marked:?}");
        }
        let what = "curl: across two realms, only if every ticket on the path has the flag";
        comes_through(About::Delegation, what, &with_curl());
    });
}
