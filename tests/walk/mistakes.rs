//! A configuration with a mistake where nobody sees it, as a service manager starts the daemon: served all the same, told, and taken
//! by itself once it is mended.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use loopkdc::wire::Service;
use tempfile::tempdir;

use crate::activation::Sockets;
use crate::clients::Heard;
use crate::daemon::{Daemon, PROGRAM};
use crate::manager::Manager;
use crate::messages::{Kind, REALM, said, told};
use crate::relay::{Reached, Setup, Transport};
use crate::starting::run;
use crate::status::document;
use crate::upstream::{Plan, Upstream};

const LISTEN: &str = "[listen]\n";
const MISTAKE: &str = "[listen]\nnonsense = 1\n";
const KEPT: &str = "the configuration is kept for the next start";
const MENDED: &str = "the configuration is mended, and in effect";
const STAYS: &str = "the old configuration stays";
const LAST_GOOD: &str = "the configuration is invalid, and the last good one, of 20";

fn good(upstream: &Upstream) -> Setup {
    Setup::by(&[upstream])
}

fn mistaken(upstream: &Upstream) -> Setup {
    good(upstream).listen("nonsense = 1")
}

fn start(sockets: &Sockets, setup: Setup) -> Daemon {
    Daemon::start_by(sockets.hand_over(), setup)
}

impl Daemon {
    /// What is written there, with `to` in place of `from`.
    fn rewrite(&self, from: &str, to: &str) {
        self.write(&self.text().replace(from, to));
    }

    /// Started anew by `command`, with `to` in place of `from` in its file.
    fn again_with(self, command: Command, from: &str, to: &str) -> Self {
        let text = self.text().replace(from, to);
        self.again(command, &text)
    }

    fn kept(&self) -> String {
        let state = self.config().with_file_name("state");
        fs::read_to_string(state.join("last-good.toml")).unwrap()
    }
}

/// The files that the configuration names are gone when it is served.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_one_is_served_until_the_mistake_is_mended() {
    let upstream = Plan::granting().start();
    let sockets = Sockets::open();
    let first = start(&sockets, good(&upstream));
    first.process.wait_for(KEPT);
    let ca = first.config().with_file_name("ca.pem");
    let certificates = fs::read(&ca).unwrap();
    fs::remove_file(&ca).unwrap();

    let second = first.again_with(sockets.hand_over(), LISTEN, MISTAKE);
    second
        .process
        .wait_for("the last good configuration is served: ");
    sockets.are_served().await;
    let shown = document(&second);
    let error = shown["configuration"]["error"].as_str().unwrap();
    assert!(error.contains("unknown key"), "{error}");
    let what = shown["problems"][0]["what"].as_str().unwrap();
    assert!(what.starts_with(LAST_GOOD), "{what}");

    second.rewrite(MISTAKE, LISTEN);
    second.process.wait_for("ca.pem does not exist");
    fs::write(&ca, certificates).unwrap();
    second.process.wait_for(MENDED);
    let shown = document(&second);
    assert!(shown["configuration"]["error"].is_null());
    assert_eq!(shown["problems"].as_array().unwrap().len(), 0, "{shown}");
    sockets.are_served().await;
    assert_eq!(upstream.posts(), 8);
}

/// What was right in one file is nothing to who names another.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_one_of_another_file_is_not_served() {
    let upstream = Plan::granting().start();
    let (sockets, state) = (Sockets::open(), tempdir().unwrap());
    let start = |setup| {
        let mut command = sockets.hand_over();
        command.env("STATE_DIRECTORY", state.path());
        Daemon::start_by(command, setup)
    };
    let first = start(good(&upstream));
    first.process.wait_for(KEPT);
    first.terminate();
    let second = start(mistaken(&upstream));
    second
        .process
        .wait_for("the last good configuration is another file's");
    let shown = document(&second);
    assert!(shown["configuration"]["read_at"].is_null(), "{shown}");
    let request = Kind::Plain.request(REALM);
    assert_eq!(second.ask(Transport::Tcp, &request).await, Heard::Reset);
    assert_eq!(upstream.posts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_one_every_client_is_told_at_once_that_no_kdc_can_be_reached() {
    let upstream = Plan::granting().start();
    let sockets = Sockets::open();
    let daemon = start(&sockets, mistaken(&upstream));
    let request = Kind::Plain.request(REALM);
    let answer = daemon.ask(Transport::Udp, &request).await.message();
    assert_eq!(said(&answer).code, 52);
    assert_eq!(daemon.ask(Transport::Tcp, &request).await, Heard::Reset);
    for transport in Transport::BOTH {
        let answer = daemon.ask(transport, &Kind::Change.request(REALM)).await;
        let told = told(&answer.message());
        assert_eq!(told.result, 2);
        assert!(told.words.contains("was not changed"), "{told:?}");
    }
    let shown = document(&daemon);
    let problems = shown["problems"].as_array().unwrap();
    let what = problems[0]["what"].as_str().unwrap();
    let served =
        "the configuration is invalid, and every client is told that no KDC can be reached: ";
    assert!(what.starts_with(served), "{what}");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(shown["configuration"]["read_at"].is_null(), "{shown}");

    daemon.rewrite(MISTAKE, LISTEN);
    daemon.process.wait_for(MENDED);
    sockets.are_served().await;
}

/// What is valid and can't be listened on takes nobody's place in what is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_cannot_be_is_a_mistake_too() {
    let upstream = Plan::granting().start();
    let sockets = Sockets::open();
    let first = start(&sockets, good(&upstream));
    first.process.wait_for(KEPT);

    let line = "[listen]\nstatus-socket = \"/dev/null/status.sock\"\n";
    let second = first.again_with(sockets.hand_over(), LISTEN, line);
    sockets.are_served().await;
    second.reload(STAYS);
    let shown = document(&second);
    let error = shown["configuration"]["error"].as_str().unwrap();
    assert!(error.contains("/dev/null/status.sock"), "{error}");
    // Who mends what stands in its way has to say so.
    assert_eq!(shown["configuration"]["restart_needed"], true);
    assert!(!second.kept().contains(line));

    // Another mistake meanwhile is forgotten, this one is not.
    second.rewrite(line, &line.replace(LISTEN, MISTAKE));
    second.process.wait_for("unknown key `nonsense`");
    second.rewrite("nonsense = 1\n", "");
    second.process.wait_for_count(STAYS, 3);
    second.rewrite(line, LISTEN);
    second.process.wait_for(MENDED);
    assert_eq!(document(&second)["configuration"]["restart_needed"], false);
    sockets.are_served().await;
}

/// What was at work last comes back: its realms by the addresses that were open then.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_reload_has_taken_is_kept_with_the_sockets_of_the_start() {
    let (upstream, other) = (Plan::granting().start(), Plan::granting().start());
    let sockets = Sockets::open();
    let first = start(&sockets, good(&upstream));
    first.process.wait_for(KEPT);
    first.rewrite(&upstream.url(), &other.url());
    let line = "[listen]\nstatus-socket = \"/dev/null/status.sock\"\n";
    first.rewrite(LISTEN, line);
    first.reload("configuration read again");
    let shown = document(&first);
    assert_eq!(shown["configuration"]["restart_needed"], true);

    let mut daemon = first;
    // It still is after another start by it.
    for (from, to) in [(LISTEN, MISTAKE), ("nonsense = 1", "nonsense = 2")] {
        daemon = daemon.again_with(sockets.hand_over(), from, to);
        sockets.are_served().await;
        let what = document(&daemon)["problems"][0]["what"].to_string();
        assert!(what.contains(LAST_GOOD), "{what}");
    }
    assert_eq!((upstream.posts(), other.posts()), (0, 8));
    // A reload changes what is kept, and not what is listened on.
    daemon.rewrite("nonsense = 2\n", "");
    daemon.process.wait_for(MENDED);
    let daemon = daemon.again_with(sockets.hand_over(), LISTEN, MISTAKE);
    sockets.are_served().await;
    assert!(daemon.status_socket().exists());
}

/// By hand, too, once it runs: what is mended after a reload that failed needs no second one.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_failed_needs_no_second_one() {
    let upstream = Plan::granting().start();
    let daemon = Daemon::start(good(&upstream));
    daemon.rewrite(LISTEN, MISTAKE);
    daemon.reload(STAYS);
    // Another mistake is told; the same is not again.
    daemon.rewrite("nonsense", "other");
    daemon.process.wait_for_count(STAYS, 2);
    daemon.rewrite("other = 1\n", "");
    daemon.process.wait_for(MENDED);
    assert_eq!(daemon.process.count(STAYS), 2);
    assert_eq!(daemon.process.count(KEPT), 0);
    assert!(document(&daemon)["configuration"]["error"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_shows_what_is_wrong() {
    let upstream = Plan::granting().start();
    let state = tempdir().unwrap();
    let variables = [("STATE_DIRECTORY", state.path().to_str().unwrap())];
    let (_manager, first) = Manager::start_watching(good(&upstream), &variables);
    first.process.wait_for(KEPT);

    let manager = Manager::open();
    let second = first.again_with(manager.command(&variables), LISTEN, MISTAKE);
    let shows_the_mistake = || {
        let status = manager.hear();
        let is_told = status[0].starts_with(&format!("STATUS={LAST_GOOD}"));
        assert!(is_told && status.len() == 1, "{status:?}");
    };
    shows_the_mistake();
    assert_eq!(manager.hear(), ["READY=1"]);
    second.rewrite(MISTAKE, LISTEN);
    assert_eq!(manager.hear(), ["STATUS="]);

    second.rewrite(LISTEN, MISTAKE);
    second.reload(STAYS);
    assert_eq!(manager.hear()[0], "RELOADING=1");
    shows_the_mistake();
    assert_eq!(manager.hear(), ["READY=1"]);
    second.rewrite(MISTAKE, LISTEN);
    assert_eq!(manager.hear(), ["STATUS="]);
    second.terminate();
    assert_eq!(manager.hear(), ["STOPPING=1"]);
}

/// Who types the command sees why it ends.
#[tokio::test(flavor = "multi_thread")]
async fn by_hand_a_mistake_ends_it_with_78() {
    let upstream = Plan::granting().start();
    let sockets = Sockets::open();
    let mut first = start(&sockets, good(&upstream));
    first.process.wait_for(KEPT);
    first.process.signal("TERM");
    first.ended();
    first.rewrite(LISTEN, MISTAKE);
    let (code, log) = run(Command::new(PROGRAM)
        .env("STATE_DIRECTORY", first.config().with_file_name("state"))
        .args(["run", "--config"])
        .arg(first.config()));
    assert_eq!(code, Some(78), "{log}");
    assert!(log.contains("unknown key `nonsense`"), "{log}");
}

/// No port is opened that nobody has asked for, as it might be a KDC's.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_no_mistake_that_opens_others() {
    let upstream = Plan::granting().start();
    let (state, relay) = (tempdir().unwrap(), Daemon::start(good(&upstream)));
    let taken = relay.address(Service::Kdc);
    let setup = good(&upstream).listen(&format!("kdc = [\"{taken}\"]"));
    let notify = state.path().join("notify");
    let _manager = UnixDatagram::bind(&notify).unwrap();
    let (code, log) = run(Command::new(PROGRAM)
        .env("STATE_DIRECTORY", state.path())
        .env("NOTIFY_SOCKET", &notify)
        .args(["run", "--config"])
        .arg(setup.write()));
    assert_eq!(code, Some(78), "{log}");
    assert!(log.contains("cannot listen on"), "{log}");
}
