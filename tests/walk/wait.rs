//! `loopkdc wait`, by the daemon that runs, or that is yet to run.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use tempfile::{TempDir, tempdir};
use tokio::task::spawn_blocking;

use crate::daemon::{Daemon, PROGRAM};
use crate::messages::{REALM, as_req, tgs_req};
use crate::relay::{Reached as _, Setup, Transport};
use crate::support::hints::assert_leads_on;
use crate::support::process::Process;
use crate::upstream::{Act, Plan, Upstream};

fn wait(args: &[&str], config: &Path) -> Process {
    let mut command = Command::new(PROGRAM);
    command.arg("wait").args(args).arg("--config").arg(config);
    Process::spawn("loopkdc wait", &mut command)
}

/// Of somebody who has these folders, and no file of MIT's.
fn wait_in(home: &TempDir, args: &[&str]) -> Process {
    let mut command = Command::new(PROGRAM);
    command
        .arg("wait")
        .args(args)
        .env("KRB5_CONFIG", "/dev/null");
    command.env("XDG_RUNTIME_DIR", home.path());
    command.env("XDG_CONFIG_HOME", home.path());
    Process::spawn("loopkdc wait", &mut command)
}

/// A home in which that is found, and nothing else.
fn home() -> TempDir {
    let home = tempdir().unwrap();
    fs::create_dir(home.path().join("loopkdc")).unwrap();
    home
}

/// The daemon's status is read there from now on.
fn shows_status(daemon: &Daemon, home: &TempDir) {
    let usual = home.path().join("loopkdc/status.sock");
    symlink(daemon.status_socket(), usual).unwrap();
}

/// Its exit code, and what it says.
async fn ended(mut process: Process) -> (Option<i32>, String) {
    spawn_blocking(move || (process.wait().code(), process.log()))
        .await
        .unwrap()
}

/// At a Unix socket, so that its address is known before it runs.
fn by_unix(upstreams: &[&Upstream]) -> Setup {
    let setup = Setup::by(upstreams);
    let socket = setup.dir().join("kdc.sock");
    setup.listen(&format!("kdc = [\"unix:{}\"]", socket.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_and_a_proxy_that_are_not_there_are_waited_for() {
    let mut upstream = Plan::granting().start_down();
    let setup = by_unix(&[&upstream]);
    let waiting = wait(&[], &setup.write());
    let daemon = Daemon::start(setup);
    daemon.process.wait_for("Connection refused");
    upstream.open();
    assert_eq!(ended(waiting).await, (Some(0), String::new()));
    assert_eq!(upstream.posts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_our_own_is_none_of_a_kdc() {
    // 403 is told as KDC_ERR_POLICY, which a KDC may say, too.
    let (refusing, upstream) = (Act::status(403), Act::status(503));
    let (refusing, upstream) = (
        Plan::always(refusing).start(),
        Plan::always(upstream).start(),
    );
    let setup = by_unix(&[&upstream]).realm("REFUSED.EXAMPLE", &[&refusing], "");
    let setup = setup.defaults("on-failure = \"explain\"");
    let config = setup.write();
    let _daemon = Daemon::start(setup);
    let (code, _) = ended(wait(&["--timeout", "1", "REFUSED.EXAMPLE"], &config)).await;
    assert_eq!(code, Some(75));
    let (code, said) = ended(wait(&["--timeout", "1", REALM], &config)).await;
    assert_eq!(code, Some(75));
    let expected = format!(
        "loopkdc: error: {REALM}: no KDC could be reached within 1 s\n\
         loopkdc: hint: see why: loopkdc doctor {REALM}"
    );
    assert_eq!(said, expected);
    // At once, and after 0.2, 0.4 and perhaps 0.8 seconds, of which chance takes off a quarter.
    assert!((2..=4).contains(&upstream.posts()), "{}", upstream.posts());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_realms_are_waited_for_unless_one_is_named() {
    let (up, down) = (Plan::granting().start(), Plan::granting().start_down());
    let setup = by_unix(&[&up]).realm("OTHER.EXAMPLE", &[&down], "");
    let config = setup.write();
    let _daemon = Daemon::start(setup);
    let (code, said) = ended(wait(&["--timeout", "1"], &config)).await;
    assert_eq!(code, Some(75), "{said}");
    assert!(
        said.contains("error: OTHER.EXAMPLE: no KDC could be reached"),
        "{said}"
    );
    let (code, said) = ended(wait(&["--timeout", "30", REALM], &config)).await;
    assert_eq!((code, &*said), (Some(0), ""));
}

/// What the daemon says itself comes before what a file does.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_asked_where_it_says_that_it_listens() {
    let upstream = Plan::granting().start();
    let daemon = Daemon::start(Setup::by(&[&upstream]));
    let home = home();
    shows_status(&daemon, &home);
    let (code, said) = ended(wait_in(&home, &["--timeout", "20", REALM])).await;
    assert_eq!((code, &*said), (Some(0), ""));
}

/// A reply from before says nothing of now.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_to_somebody_else_ends_it() {
    let upstream = Plan::new(|post| {
        let who = b"loopkdc-wait";
        let mut parts = post.message().windows(who.len());
        if parts.any(|part| part == who) {
            return Act::status(503);
        }
        post.granted()
    });
    let upstream = upstream.start();
    let setup = Setup::by(&[&upstream]);
    let setup = setup.realm("OTHER.EXAMPLE", &[&upstream], "aliases = [\"CORP\"]");
    let daemon = Daemon::start(setup);
    let home = home();
    shows_status(&daemon, &home);
    daemon.ask(Transport::Tcp, &as_req(REALM, &[])).await;
    let (code, _) = ended(wait_in(&home, &["--timeout", "2", REALM])).await;
    assert_eq!(code, Some(75));
    let waiting = wait_in(&home, &["--timeout", "20", REALM]);
    let refused = daemon.process.count("exchange kind=AS-REQ");
    daemon
        .process
        .wait_for_count("exchange kind=AS-REQ", refused + 1);
    daemon.ask(Transport::Tcp, &tgs_req(REALM)).await;
    assert_eq!(ended(waiting).await, (Some(0), String::new()));
    // By whichever name of the realm.
    for (waited_for, asked) in [("CORP", "OTHER.EXAMPLE"), ("OTHER.EXAMPLE", "CORP")] {
        let waiting = wait_in(&home, &["--timeout", "20", waited_for]);
        let refused = daemon.process.count("exchange kind=AS-REQ");
        daemon
            .process
            .wait_for_count("exchange kind=AS-REQ", refused + 1);
        daemon.ask(Transport::Tcp, &tgs_req(asked)).await;
        assert_eq!(ended(waiting).await, (Some(0), String::new()));
    }
}

/// The daemon may serve the last good one, and is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_the_configuration_keeps_nobody_from_waiting() {
    let upstream = Plan::granting().start();
    let home = home();
    fs::write(home.path().join("loopkdc/config.toml"), "nonsense = 1\n").unwrap();
    let (code, said) = ended(wait_in(&home, &[])).await;
    assert_eq!(code, Some(78));
    assert!(
        said.starts_with("loopkdc: error: ") && said.contains("unknown key"),
        "{said}"
    );
    let waiting = wait_in(&home, &["--timeout", "20", REALM]);
    waiting.wait_for("loopkdc: warning: ");
    let daemon = Daemon::start(Setup::by(&[&upstream]));
    shows_status(&daemon, &home);
    let (code, said) = ended(waiting).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("unknown key"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_the_time_is_up_with_what_to_do() {
    let upstream = Plan::granting().start_down();
    let config = by_unix(&[&upstream]);
    let (code, said) = ended(wait(&["--timeout", "1"], &config.write())).await;
    assert_eq!(code, Some(75));
    let mut lines = said.lines();
    let error = format!("loopkdc: error: {REALM}: no daemon answered within 1 s");
    assert_eq!(lines.next(), Some(&*error));
    for hint in lines {
        assert_leads_on(hint.strip_prefix("loopkdc: hint: ").unwrap());
    }
    let (code, said) = ended(wait(&["NOWHERE"], &config.write())).await;
    assert_eq!(code, Some(78));
    assert!(
        said.starts_with("loopkdc: error: realm NOWHERE is not configured"),
        "{said}"
    );
}
