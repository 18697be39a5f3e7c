//! A configuration with a mistake where nobody sees it, as a service manager starts the daemon: served all the same, told, and taken
//! by itself once it is mended.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
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

const MISTAKE: &str = "nonsense = 1\n";
const KEPT: &str = "the configuration is kept for the next start";
const MENDED: &str = "the configuration is mended, and in effect";

fn good(upstream: &Upstream) -> Setup {
    Setup::by(&[upstream])
}

fn mistaken(upstream: &Upstream) -> Setup {
    good(upstream).listen(MISTAKE)
}

fn mend(daemon: &Daemon) {
    let text = fs::read_to_string(daemon.config()).unwrap();
    fs::write(daemon.config(), text.replace(MISTAKE, "")).unwrap();
}

/// Starts it with `sockets`; what it keeps is in `state`.
fn start(sockets: &Sockets, state: &Path, setup: Setup) -> Daemon {
    let mut command = sockets.hand_over();
    command.env("STATE_DIRECTORY", state);
    Daemon::start_by(command, setup)
}

/// The configuration, the files that it names and the folder that they were in are gone when it is served.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_one_is_served_until_the_mistake_is_mended() {
    let upstream = Plan::granting().start();
    let (sockets, state) = (Sockets::open(), tempdir().unwrap());
    let first = start(&sockets, state.path(), good(&upstream));
    first.process.wait_for(KEPT);
    first.terminate();

    let second = start(&sockets, state.path(), mistaken(&upstream));
    second
        .process
        .wait_for("the last good configuration is served: ");
    sockets.are_served().await;
    let shown = document(&second);
    let error = shown["configuration"]["error"].as_str().unwrap();
    assert!(error.contains("unknown key"), "{error}");
    let what = shown["problems"][0]["what"].as_str().unwrap();
    let served = "the configuration is invalid, and the last good one, of 20";
    assert!(what.starts_with(served), "{what}");

    mend(&second);
    second.process.wait_for(MENDED);
    second.process.wait_for(KEPT);
    let shown = document(&second);
    assert!(shown["configuration"]["error"].is_null());
    assert_eq!(shown["problems"].as_array().unwrap().len(), 0, "{shown}");
    sockets.are_served().await;
    assert_eq!(upstream.posts(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_one_every_client_is_told_at_once_that_no_kdc_can_be_reached() {
    let upstream = Plan::granting().start();
    let (sockets, state) = (Sockets::open(), tempdir().unwrap());
    let daemon = start(&sockets, state.path(), mistaken(&upstream));
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
    assert_eq!(shown["configuration"]["read_at"], 0);

    mend(&daemon);
    daemon.process.wait_for(MENDED);
    sockets.are_served().await;
}

/// What is valid and can't be listened on takes nobody's place in what is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_cannot_be_is_a_mistake_too() {
    let upstream = Plan::granting().start();
    let (sockets, state) = (Sockets::open(), tempdir().unwrap());
    let first = start(&sockets, state.path(), good(&upstream));
    first.process.wait_for(KEPT);
    first.terminate();

    let line = "status-socket = \"/dev/null/status.sock\"";
    let second = start(&sockets, state.path(), good(&upstream).listen(line));
    sockets.are_served().await;
    second.reload("the old configuration stays");
    let shown = document(&second);
    let error = shown["configuration"]["error"].as_str().unwrap();
    assert!(error.contains("/dev/null/status.sock"), "{error}");
    let kept = fs::read_to_string(state.path().join("last-good.toml")).unwrap();
    assert!(!kept.contains(line), "{kept}");

    let text = fs::read_to_string(second.config()).unwrap();
    fs::write(second.config(), text.replace(line, "")).unwrap();
    second.process.wait_for(MENDED);
    assert_eq!(document(&second)["configuration"]["restart_needed"], false);
    sockets.are_served().await;
}

/// By hand, too, once it runs: what is mended after a reload that failed needs no second one.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_failed_needs_no_second_one() {
    let upstream = Plan::granting().start();
    let daemon = Daemon::start(good(&upstream));
    let text = fs::read_to_string(daemon.config()).unwrap();
    fs::write(daemon.config(), format!("{text}{MISTAKE}")).unwrap();
    daemon.reload("the old configuration stays");
    // Another mistake is told; the same is not again.
    fs::write(daemon.config(), format!("{text}other = 1\n")).unwrap();
    daemon
        .process
        .wait_for_count("the old configuration stays", 2);
    fs::write(daemon.config(), text).unwrap();
    daemon.process.wait_for(MENDED);
    assert_eq!(daemon.process.count("the old configuration stays"), 2);
    assert_eq!(daemon.process.count(KEPT), 0);
    assert!(document(&daemon)["configuration"]["error"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_shows_what_is_wrong() {
    let upstream = Plan::granting().start();
    let state = tempdir().unwrap();
    let variables = [("STATE_DIRECTORY", state.path().to_str().unwrap())];
    let (_, first) = Manager::start_watching(good(&upstream), &variables);
    first.process.wait_for(KEPT);
    first.terminate();

    let (manager, second) = Manager::start_watching(mistaken(&upstream), &variables);
    let [status] = &manager.hear()[..] else {
        panic!("one line")
    };
    let served = "STATUS=the configuration is invalid, and the last good one, of 20";
    assert!(status.starts_with(served), "{status}");
    assert_eq!(manager.hear(), ["READY=1"]);
    mend(&second);
    assert_eq!(manager.hear(), ["STATUS="]);
    second.terminate();
    assert_eq!(manager.hear(), ["STOPPING=1"]);
}

/// Who types the command sees why it ends.
#[tokio::test(flavor = "multi_thread")]
async fn by_hand_a_mistake_ends_it_with_78() {
    let upstream = Plan::granting().start();
    let (sockets, state) = (Sockets::open(), tempdir().unwrap());
    let first = start(&sockets, state.path(), good(&upstream));
    first.process.wait_for(KEPT);
    first.terminate();
    let setup = mistaken(&upstream);
    let (code, log) = run(Command::new(PROGRAM)
        .env("STATE_DIRECTORY", state.path())
        .args(["run", "--config"])
        .arg(setup.write()));
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
