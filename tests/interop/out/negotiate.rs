//! `auth = "negotiate"`: a user's messages come through a front end that wants tickets of the laptop, and what keeps them from
//! it is told.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::front::{self, Front, HOST};
use crate::recorded;
use crate::support::client::{Client, Outcome};
use crate::support::loopkdc::Loopkdc;
use crate::support::netns::isolated;
use crate::support::process::Process;
use crate::support::proxy::{KdcProxy, Route};
use crate::support::realm::{PASSWORD, Preauth, Realm, SERVICE};

const REALM: &str = "EXAMPLE.COM";
const USER: &str = "user@EXAMPLE.COM";
/// Whose tickets the laptop shows.
const LAPTOP: &str = "host/laptop.example.com";
/// What every program on the laptop is told, so that none asks DNS.
const AS_TYPED: &str = "[libdefaults]\n dns_canonicalize_hostname = false\n dns_lookup_kdc = false\n\
     [domain_realm]\n .example.com = EXAMPLE.COM\n";
/// The same, and the KDC itself: how the laptop's own ticket comes.
const DIRECT: &str = "[realms]\n EXAMPLE.COM = {\n kdc = 127.0.0.88\n }\n";

/// A laptop abroad, and the office behind its front end.
struct Scene {
    client: Client,
    loopkdc: Loopkdc,
    front: Front,
    realm: Realm,
    dir: TempDir,
}

/// How the laptop gets its own ticket.
struct Own<'a> {
    /// Lines of the realm's table.
    lines: &'a str,
    /// A krb5.conf besides what all programs are told; nothing: that of users.
    krb5: Option<&'a str>,
}

/// With the keytab, and the ticket straight from the KDC.
const WELL: Own = Own {
    lines: "auth = \"negotiate\"\nkeytab = \"laptop.keytab\"\n",
    krb5: Some(DIRECT),
};

impl Scene {
    fn open(own: &Own) -> Scene {
        Scene::behind(front::apache, own)
    }

    fn behind(start: fn(&Path, &Path) -> Process, own: &Own) -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let realm = Realm::start(dir.path(), REALM, 88, Preauth::Timestamp);
        let front = Front::by(start, dir.path(), &realm, &[Route::to(&realm)]);
        give_keytab(&realm, dir.path());
        let config = front.stanza(REALM) + own.lines;
        let mut client = Client::by_drop_in(dir.path(), &[REALM]);
        client.also(AS_TYPED);
        let krb5 = match own.krb5 {
            Some(text) => {
                let file = dir.path().join("daemon.conf");
                fs::write(&file, format!("{AS_TYPED}{text}")).unwrap();
                file.display().to_string()
            }
            None => {
                let files: Vec<_> = client
                    .files()
                    .map(|file| file.display().to_string())
                    .collect();
                files.join(":")
            }
        };
        let loopkdc = Loopkdc::with_environment(dir.path(), &config, &[("KRB5_CONFIG", &krb5)]);
        Scene {
            client,
            loopkdc,
            front,
            realm,
            dir,
        }
    }

    fn kinit(&self) -> Outcome {
        self.client.run(&format!("kinit {USER}"), &[PASSWORD])
    }

    /// What a user does all day.
    fn serves(&self) {
        self.kinit().succeeds();
        self.client.run(&format!("kvno {SERVICE}"), &[]).succeeds();
        self.client
            .run(
                &format!("kpasswd {USER}"),
                &[PASSWORD, "new horse", "new horse"],
            )
            .succeeds()
            .says("Password changed");
        self.client
            .run(&format!("kinit {USER}"), &["new horse"])
            .succeeds();
    }

    /// `kinit` fails at once, and the log says why.
    fn fails_at_once(&self, why: &str) {
        let kinit = self.kinit();
        assert!(kinit.took < Duration::from_secs(3), "{:?}", kinit.took);
        kinit.fails_with("Cannot contact any KDC");
        self.loopkdc.process.wait_for("INFO proxy down");
        let log = self.loopkdc.process.log();
        let told = log.lines().find(|line| line.contains("INFO proxy down"));
        assert!(told.is_some_and(|line| line.contains(why)), "{log}");
        assert_eq!(self.front.gateway.process.count(" client="), 0);
    }
}

fn give_keytab(realm: &Realm, dir: &Path) {
    let keytab = dir.join("laptop.keytab");
    let said = realm.admin(&format!(
        "addprinc -randkey {LAPTOP}\nktadd -k {} {LAPTOP}\n",
        keytab.display()
    ));
    assert!(said.contains("added to keytab"), "{said}");
}

#[test]
fn a_users_messages_come_through_with_the_laptops_tickets() {
    isolated(|| {
        let scene = Scene::open(&WELL);
        scene.serves();
        let shown = format!("user={LAPTOP}@{REALM} status=200");
        // kinit asks twice, kvno once, kpasswd twice before its change, and the last kinit twice.
        scene.front.process.wait_for_count(&shown, 8);
        assert_eq!(scene.front.process.count("status=401"), 0);
        // One ticket for all of them.
        let log = scene.realm.kdc.log();
        let (issued, own) = ("ISSUE: authtime ", format!(" for HTTP/{HOST}@{REALM}"));
        let own = log
            .lines()
            .filter(|line| line.contains(issued) && line.contains(&own));
        assert_eq!(own.count(), 1, "{log}");
        assert!(
            !scene.loopkdc.process.log().contains("Negotiate "),
            "a token is no line's business"
        );
    });
}

/// As IIS does where extended protection is required. Before the first answer nobody knows its certificate.
#[test]
fn a_front_end_that_wants_tickets_bound_to_its_certificate_is_shown_them() {
    isolated(|| {
        let scene = Scene::behind(front::bound, &WELL);
        scene.serves();
        scene.front.process.wait_for_count("status=200", 8);
        assert_eq!(scene.front.process.count("status=401"), 1);
    });
}

#[test]
fn a_credential_cache_will_do() {
    isolated(|| {
        let own = Own {
            lines: "auth = \"negotiate\"\nccache = \"laptop.cache\"\n",
            krb5: Some(DIRECT),
        };
        let scene = Scene::open(&own);
        // Nobody has put a ticket there yet.
        scene.fails_at_once("the credential that it wants is not available: ");
        let (dir, conf) = (scene.dir.path(), scene.dir.path().join("daemon.conf"));
        let mut kinit = std::process::Command::new("kinit");
        kinit
            .args(["-k", "-t"])
            .arg(dir.join("laptop.keytab"))
            .arg("-c")
            .arg(dir.join("laptop.cache"));
        kinit
            .arg(format!("{LAPTOP}@{REALM}"))
            .env("KRB5_CONFIG", conf);
        assert!(kinit.status().unwrap().success());
        // A failure is remembered for two seconds.
        while !scene.kinit().success {}
        scene.serves();
    });
}

#[test]
fn the_laptops_ticket_may_come_by_another_entry() {
    recorded::isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        let [users, machines] = [(REALM, 88), ("MACHINES.EXAMPLE", 89)]
            .map(|(name, host)| Realm::start(dir.path(), name, host, Preauth::Timestamp));
        let front = Front::start(dir.path(), &machines, &[Route::to(&users)]);
        give_keytab(&machines, dir.path());
        let open = KdcProxy::start(dir.path(), 8443, &[Route::to(&machines)]);
        let config = format!(
            "{}{}{}",
            front.stanza(REALM),
            WELL.lines,
            crate::support::loopkdc::stanza(machines.name, &open.url(), &open)
        );
        let mut client = Client::by_drop_in(dir.path(), &[REALM, machines.name]);
        client.also(&format!("[domain_realm]\n {HOST} = {}\n", machines.name));
        client.also(AS_TYPED);
        let files: Vec<_> = client
            .files()
            .map(|file| file.display().to_string())
            .collect();
        let krb5 = files.join(":");
        let _loopkdc = Loopkdc::with_environment(dir.path(), &config, &[("KRB5_CONFIG", &krb5)]);
        client.run(&format!("kinit {USER}"), &[PASSWORD]).succeeds();
        client.run(&format!("kvno {SERVICE}"), &[]).succeeds();
        let shown = format!("user={LAPTOP}@{} status=200", machines.name);
        front.process.wait_for_count(&shown, 3);
    });
}

#[test]
fn a_ticket_that_would_have_to_come_through_the_front_end_is_told_at_once() {
    isolated(|| {
        let own = Own { krb5: None, ..WELL };
        let scene = Scene::open(&own);
        scene.fails_at_once("the ticket that it wants would have to come through it");
        let told = scene.client.run(&format!("kpasswd {USER}"), &[PASSWORD]);
        assert!(told.took < Duration::from_secs(3), "{:?}", told.took);
        told.fails_with("Cannot contact any KDC");
    });
}

#[test]
fn a_front_end_that_wants_tickets_is_told_with_the_setting_to_use() {
    isolated(|| {
        let own = Own {
            lines: "",
            krb5: Some(DIRECT),
        };
        let scene = Scene::open(&own);
        scene.fails_at_once("it wants a Kerberos ticket (HTTP 401)");
    });
}

#[test]
fn keys_that_are_of_no_use_are_told() {
    isolated(|| {
        let scene = Scene::open(&WELL);
        // Other keys in the realm than in the file.
        scene.realm.admin(&format!("cpw -randkey {LAPTOP}\n"));
        scene.fails_at_once(
            "the credential that it wants is not available: Preauthentication failed",
        );
    });
}

#[test]
fn a_ticket_that_is_not_taken_is_told() {
    isolated(|| {
        let scene = Scene::open(&WELL);
        // The front end has other keys than the realm by now.
        scene.realm.admin(&format!("cpw -randkey HTTP/{HOST}\n"));
        scene.fails_at_once("it does not take the ticket that it is shown (HTTP 401)");
    });
}
