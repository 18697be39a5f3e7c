//! `--reachable-file`: which realms can be reached, for programs that must not try while one cannot.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::daemon::{Daemon, PROGRAM};
use crate::eventually;
use crate::messages::{Kind, REALM, referral};
use crate::relay::{Reached, Setup, Transport};
use crate::status::document;
use crate::upstream::{Act, Plan};

const VARIABLE: &str = "LOOPKDC_REACHABLE_FILE";

/// A daemon that keeps the file beside its configuration; its umask is the service's.
fn start(setup: Setup) -> (Daemon, PathBuf) {
    let file = setup.dir().join("reachable");
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask 077; exec \"$0\" \"$@\"", PROGRAM])
        .env(VARIABLE, &file);
    (Daemon::start_by(command, setup), file)
}

fn says(file: &PathBuf) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_asks_by_itself_and_names_the_realms_as_they_are_configured() {
    let (up, refusing) = (
        Plan::granting().start(),
        Plan::always(Act::status(503)).start(),
    );
    let setup = Setup::new().realm("Example.ORG", &[&up], "aliases = [\"ORG\"]");
    let setup = setup
        .realm(REALM, &[&refusing], "")
        .realm("*.EXAMPLE.NET", &[&up], "");
    let (daemon, file) = start(setup);
    // It is there before anybody is told that the daemon is.
    assert!(file.exists());
    eventually(|| says(&file) == "Example.ORG\nORG\n").await;
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    refusing.until_posts(1).await;
    eventually(|| document(&daemon)["realms"][1]["reachable"] == false).await;
    let document = document(&daemon);
    let realms = document["realms"].as_array().unwrap();
    let told: Vec<_> = realms
        .iter()
        .map(|realm| {
            (
                realm["name"].as_str().unwrap(),
                realm["reachable"].as_bool(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("Example.ORG", Some(true)),
            (REALM, Some(false)),
            ("*.EXAMPLE.NET", None)
        ]
    );
    assert_eq!(document["exchanges"][0]["transport"], "own");
    assert_eq!((up.posts(), refusing.posts()), (1, 1));
    let (status, log) = daemon.terminate();
    assert_eq!(status.code(), Some(0));
    assert!(!file.exists(), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_failure_that_a_client_meets_takes_the_realm_off_at_once() {
    let upstream = Plan::new(|post| match post.number {
        2 => Act::status(503),
        _ => post.granted(),
    })
    .start();
    let (daemon, file) = start(Setup::by(&[&upstream]));
    let name = format!("{REALM}\n");
    eventually(|| says(&file) == name).await;
    daemon
        .ask(Transport::Tcp, &Kind::Plain.request(REALM))
        .await;
    // Before the client hears of it.
    assert_eq!(says(&file), "");
    daemon
        .ask(Transport::Tcp, &Kind::Plain.request(REALM))
        .await
        .message();
    eventually(|| says(&file) == name).await;
    assert_eq!(upstream.posts(), 3);
}

/// Programs that begin again at once find no realm in the file, while all others see that there is one.
#[tokio::test(flavor = "multi_thread")]
async fn a_realm_that_refers_to_one_that_cannot_be_reached_is_taken_off_before_the_client_hears() {
    let (trusted, upstream) = (
        Plan::granting().start(),
        Plan::new(|post| match post.number {
            2 => Act::Reply(referral(68, "TRUSTED.EXAMPLE")),
            3 => Act::Reply(referral(68, "ELSEWHERE.EXAMPLE")),
            _ => post.granted(),
        })
        .start(),
    );
    let setup = Setup::by(&[&upstream]).realm("TRUSTED.EXAMPLE", &[&trusted], "");
    let (daemon, file) = start(setup);
    let both = format!("{REALM}\nTRUSTED.EXAMPLE\n");
    eventually(|| says(&file) == both).await;
    for left in [&*both, "TRUSTED.EXAMPLE\n"] {
        daemon
            .ask(Transport::Tcp, &Kind::Plain.request(REALM))
            .await
            .message();
        assert_eq!(says(&file), left);
    }
    assert_eq!(document(&daemon)["realms"][0]["reachable"], true);
    assert_eq!(
        (upstream.posts(), trusted.posts()),
        (3, 1),
        "asked by itself"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_which_realms_are_asked_about() {
    let upstream = Plan::granting().start();
    let (daemon, file) = start(Setup::by(&[&upstream]));
    eventually(|| says(&file) == format!("{REALM}\n")).await;
    let text = fs::read_to_string(daemon.config()).unwrap();
    fs::write(daemon.config(), text.replace(REALM, "OTHER.EXAMPLE")).unwrap();
    daemon.reload("configuration read again");
    eventually(|| says(&file) == "OTHER.EXAMPLE\n").await;
    assert_eq!(upstream.posts(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_unless_the_file_is_wanted() {
    let upstream = Plan::granting().start();
    let mut command = Command::new(PROGRAM);
    command.env(VARIABLE, "");
    let daemon = Daemon::start_by(command, Setup::by(&[&upstream]));
    let reachable = |expected: Option<bool>| {
        assert_eq!(
            document(&daemon)["realms"][0]["reachable"].as_bool(),
            expected
        );
    };
    reachable(None);
    daemon
        .ask(Transport::Tcp, &Kind::Plain.request(REALM))
        .await
        .message();
    reachable(Some(true));
    assert_eq!(upstream.posts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_of_a_file_begins_a_line_of_the_log() {
    let upstream = Plan::granting().start();
    let mut command = Command::new(PROGRAM);
    command.env(VARIABLE, "/nowhere/a\n WARN forged\u{1b}[2J");
    let (_, log) = Daemon::start_by(command, Setup::by(&[&upstream])).terminate();
    let told = "can't be said file=/nowhere/a\u{fffd} WARN forged\u{fffd}[2J";
    assert!(log.contains(told), "{log}");
}
