//! Stock clients, MIT's and Heimdal's, before an upstream that fails as a script says: what their users read, and when.
//!
//! Bounds are generous, since a loaded machine may take its time; the times are printed.

use std::time::Duration;

use loopkdc::wire::Service;
use tempfile::TempDir;

use crate::certificates::Leaf;
use crate::messages::{REALM, krb_error};
use crate::relay::{Reached, Running, Setup};
use crate::support::client::{Client, Outcome};
use crate::support::heimdal::heimdal;
use crate::support::netns::isolated;
use crate::support::realm::{PASSWORD, Preauth, Realm};
use crate::upstream::{Act, Plan, Post, Upstream};

/// Where 0.2 s are due.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How much later than due an answer may come.
const LATE: Duration = Duration::from_millis(1500);
const MIT_UNREACHABLE: &str = "Cannot contact any KDC for realm 'EXAMPLE.COM'";
const MIT_KPASSWD_UNREACHABLE: &str = "Cannot contact any KDC for requested realm";
const HEIMDAL_UNREACHABLE: &str = "unable to reach any KDC in realm EXAMPLE.COM";

/// Runs `body` in a network of its own, where nothing answers to DNS.
fn alone<F: Future<Output = ()>>(body: F) {
    tokio::runtime::Runtime::new().unwrap().block_on(body);
}

/// Somebody whose krb5.conf lists `relays`, in this order.
fn user(dir: &TempDir, relays: &[&Running]) -> Client {
    let mut stanza = String::new();
    for relay in relays {
        let (kdc, kpasswd) = (relay.address(Service::Kdc), relay.address(Service::Kpasswd));
        stanza.push_str(&format!(
            "kdc = {kdc}\nprimary_kdc = {kdc}\nmaster_kdc = {kdc}\nkpasswd_server = {kpasswd}\n"
        ));
    }
    let file = format!(
        "[libdefaults]\ndefault_realm = {REALM}\ndns_canonicalize_hostname = false\n[realms]\n{REALM} = {{\n{stanza}}}\n"
    );
    Client::new(dir.path(), &[file])
}

fn mit_kinit(user: &Client) -> Outcome {
    user.run("kinit user@EXAMPLE.COM", &[PASSWORD])
}

fn heimdal_kinit(user: &Client) -> Outcome {
    heimdal(
        user,
        "kinit",
        &["--password-file=STDIN", "user@EXAMPLE.COM"],
        &[PASSWORD],
    )
}

/// Both makers' kinit, and how each says that no KDC can be reached.
type Kinit = (&'static str, fn(&Client) -> Outcome, &'static str);
const KINITS: [Kinit; 2] = [
    ("MIT", mit_kinit, MIT_UNREACHABLE),
    ("Heimdal", heimdal_kinit, HEIMDAL_UNREACHABLE),
];

#[test]
fn kinit_says_at_once_that_no_kdc_can_be_reached() {
    isolated(|| {
        alone(async {
            let status = |status| Plan::always(Act::status(status)).start();
            let faults = [
                ("refused", Plan::granting().start_down()),
                ("HTML", status(200)),
                ("302", status(302)),
                ("403", status(403)),
                ("500", status(500)),
                ("503", status(503)),
                (
                    "bad certificate",
                    Plan::granting().showing(Leaf::Untrusted).start(),
                ),
                ("reset", Plan::always(Act::Reset).start()),
            ];
            for (fault, upstream) in &faults {
                let relay = Setup::by(&[upstream]).start();
                let dir = tempfile::tempdir().unwrap();
                let user = user(&dir, &[&relay]);
                for (maker, kinit, words) in KINITS {
                    let outcome = kinit(&user).fails_with(words).within(AT_ONCE);
                    eprintln!("{fault}: {maker} kinit ends after {:?}", outcome.took);
                }
            }
        });
    });
}

#[test]
fn the_second_kdc_line_is_tried_at_once() {
    isolated(|| {
        alone(async {
            let down = Plan::granting().start_down();
            let up = Plan::always(Act::Reply(krb_error(6, None))).start();
            let relays = [&down, &up].map(|upstream| Setup::by(&[upstream]).start());
            let dir = tempfile::tempdir().unwrap();
            let user = user(&dir, &[&relays[0], &relays[1]]);
            for ((maker, kinit, _), words) in KINITS.into_iter().zip([
                "not found in Kerberos database",
                "Client (user@EXAMPLE.COM) unknown",
            ]) {
                let before = up.posts();
                let outcome = kinit(&user).fails_with(words).within(AT_ONCE);
                assert!(up.posts() > before);
                eprintln!("second KDC: {maker} kinit ends after {:?}", outcome.took);
            }
        });
    });
}

#[test]
fn kinit_ends_with_the_deadline_where_the_upstream_is_silent() {
    isolated(|| {
        alone(async {
            for (maker, kinit, words) in KINITS {
                let upstream = Plan::always(Act::Silence).start();
                let relay = Setup::by(&[&upstream]).deadline(3).start();
                let dir = tempfile::tempdir().unwrap();
                let deadline = Duration::from_secs(3);
                let outcome = kinit(&user(&dir, &[&relay]))
                    .fails_with(words)
                    .within(deadline + LATE);
                assert!(outcome.took >= deadline);
                assert_eq!(upstream.posts(), 1, "copies of one request");
                eprintln!(
                    "silent for {deadline:?}: {maker} kinit ends after {:?}",
                    outcome.took
                );
            }
        });
    });
}

/// A real KDC behind an upstream that can be told to fail.
struct Office {
    realm: Realm,
    upstream: Upstream,
    _relay: Running,
    user: Client,
    _dir: TempDir,
}

impl Office {
    /// `script` says what is done instead of asking the KDC, if anything.
    fn open(plan: impl FnOnce(Script) -> Plan, deadline: u32, open: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let realm = Realm::start(dir.path(), REALM, 2, Preauth::Timestamp);
        let (kdc, kpasswd) = (realm.kdc_address(), realm.kpasswd_address());
        let plan = plan(Box::new(move |post| {
            let is_change = !matches!(post.message()[0], 0x6a | 0x6c);
            Act::Forward(if is_change { kpasswd } else { kdc })
        }));
        let upstream = if open {
            plan.start()
        } else {
            plan.start_down()
        };
        let relay = Setup::by(&[&upstream]).deadline(deadline).start();
        Self {
            user: user(&dir, &[&relay]),
            realm,
            upstream,
            _relay: relay,
            _dir: dir,
        }
    }
}

type Script = Box<dyn Fn(&Post) -> Act + Send + Sync>;

#[test]
fn the_next_kinit_works_once_the_upstream_is_back() {
    isolated(|| {
        alone(async {
            let mut office = Office::open(Plan::new, 9, false);
            for (maker, kinit, words) in KINITS {
                kinit(&office.user).fails_with(words);
                eprintln!("{maker} kinit has failed");
            }
            office.upstream.open();
            for (maker, kinit, _) in KINITS {
                let outcome = kinit(&office.user).succeeds();
                eprintln!("{maker} kinit works after {:?}", outcome.took);
            }
        });
    });
}

#[test]
fn kvno_of_three_services_ends_five_seconds_after_the_deadline_at_most() {
    isolated(|| {
        alone(async {
            let silence_on_tgs = |forward: Script| {
                Plan::new(move |post| match post.message()[0] {
                    0x6c => Act::Silence,
                    _ => forward(post),
                })
            };
            let office = Office::open(silence_on_tgs, 3, true);
            mit_kinit(&office.user).succeeds();
            let line = "kvno host/a.example.com host/b.example.com host/c.example.com";
            let outcome = office
                .user
                .run(line, &[])
                .fails_with("Cannot contact any KDC");
            eprintln!(
                "silent for 3 s: kvno of three services ends after {:?}",
                outcome.took
            );
            outcome.within(Duration::from_secs(8) + LATE);
        });
    });
}

#[test]
fn kpasswd_prints_why_only_the_change_fails() {
    isolated(|| {
        alone(async {
            let refuse_changes = |forward: Script| {
                Plan::new(move |post| match post.message()[0] {
                    0x6a | 0x6c => forward(post),
                    _ => Act::status(403),
                })
            };
            let office = Office::open(refuse_changes, 9, true);
            let new = "a newer horse";
            let words = "(HTTP 403), perhaps a captive portal's; open any page in a browser: the network may want a login. Your password was not changed";
            office
                .user
                .run("kpasswd user@EXAMPLE.COM", &[PASSWORD, new, new])
                .says(words);
            heimdal(
                &office.user,
                "kpasswd",
                &["user@EXAMPLE.COM"],
                &[PASSWORD, new, new],
            )
            .says(words);
            assert_eq!(office.realm.key_version("user"), 1);
        });
    });
}

#[test]
fn kpasswd_says_that_no_kdc_can_be_reached_when_the_whole_tunnel_is_down() {
    isolated(|| {
        alone(async {
            let upstream = Plan::granting().start_down();
            let relay = Setup::by(&[&upstream]).start();
            let dir = tempfile::tempdir().unwrap();
            let user = user(&dir, &[&relay]);
            let outcome = user.run("kpasswd user@EXAMPLE.COM", &[PASSWORD]);
            let outcome = outcome.fails_with(MIT_KPASSWD_UNREACHABLE).within(AT_ONCE);
            eprintln!("refused: MIT kpasswd ends after {:?}", outcome.took);
            let outcome = heimdal(&user, "kpasswd", &["user@EXAMPLE.COM"], &[PASSWORD]);
            let outcome = outcome.fails_with(HEIMDAL_UNREACHABLE).within(AT_ONCE);
            eprintln!("refused: Heimdal kpasswd ends after {:?}", outcome.took);
        });
    });
}
