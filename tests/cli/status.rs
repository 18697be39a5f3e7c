//! `loopkdc status` where no daemon answers, or something else does.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::hints::assert_leads_on;
use crate::{Ended, Home};

/// The longest that it may take, whatever answers.
const MOST: Duration = Duration::from_secs(5);

impl Home {
    fn socket(&self) -> PathBuf {
        self.path().join("status.sock")
    }

    /// Has `answer` answer whoever connects to the socket, each once.
    fn answering(self, answer: impl Fn(UnixStream) + Send + 'static) -> Self {
        let listener = UnixListener::bind(self.socket()).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap());
            }
        });
        self
    }

    /// Asks at the socket.
    fn ask(&self, args: &[&str]) -> Ended {
        let socket = self.socket();
        let before = Instant::now();
        let ended =
            self.loopkdc(&[&["status", "--socket", socket.to_str().unwrap()], args].concat());
        assert!(
            before.elapsed() < MOST + Duration::from_secs(5),
            "it took its time: {ended:?}"
        );
        for line in ended.stderr.lines() {
            if let Some(hint) = line.strip_prefix("loopkdc: hint: ") {
                assert_leads_on(hint);
            }
        }
        ended
    }

    /// Asks, and is told in `words` why nothing is shown.
    fn refused(&self, words: &str) {
        for args in [&[][..], &["--json"]] {
            let Ended {
                code,
                stdout,
                stderr,
            } = self.ask(args);
            assert_eq!((code, stdout.as_str()), (Some(69), ""), "{stderr}");
            assert!(stderr.contains(words), "{stderr}");
            assert!(stderr.contains("hint: "), "{stderr}");
            assert!(
                stderr.chars().all(|c| c == '\n' || !c.is_control()),
                "{stderr:?}"
            );
        }
    }
}

fn says(octets: &'static [u8]) -> impl Fn(UnixStream) + Send + 'static {
    move |mut stream| drop(stream.write_all(octets))
}

#[test]
fn without_a_daemon_it_says_where_it_looked_and_how_to_start_one() {
    let home = Home::new("");
    home.refused("no daemon answers at ");
    // What a daemon that crashed left behind.
    drop(UnixListener::bind(home.socket()).unwrap());
    home.refused("no daemon answers at ");
    let told = home.ask(&[]).stderr;
    let units = told.contains("systemctl status loopkdc.socket");
    assert_eq!(units, Path::new("/run/systemd/system").exists(), "{told}");
    assert!(told.contains("loopkdc run"), "{told}");
}

#[test]
fn the_users_own_place_comes_before_the_systems() {
    let home = Home::new("");
    let own = home.path().join("loopkdc");
    std::fs::create_dir(&own).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_loopkdc"));
    let listener = UnixListener::bind(own.join("status.sock")).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"{\"schema\": 3, \"version\": \"9.9\"}")
            .unwrap();
    });
    let output = command
        .arg("status")
        .env("XDG_RUNTIME_DIR", home.path())
        .output();
    let told = Ended::new(&output.unwrap());
    assert!(
        told.stderr.contains("the daemon is loopkdc 9.9"),
        "{told:?}"
    );
}

/// That of the configuration, which nobody has to repeat.
#[test]
fn the_socket_is_where_the_configuration_says() {
    let home = Home::new("").answering(says(b"{\"schema\": 3, \"version\": \"9.9\"}"));
    let folder = home.path().join(".config/loopkdc");
    std::fs::create_dir_all(&folder).unwrap();
    let text = format!("[listen]\nstatus-socket = {:?}\n", home.socket());
    std::fs::write(folder.join("config.toml"), text).unwrap();
    let told = home.loopkdc(&["status"]);
    assert!(
        told.stderr.contains("the daemon is loopkdc 9.9"),
        "{told:?}"
    );
}

#[test]
fn a_newer_daemon_is_told_and_its_document_printed_as_it_is() {
    const NEWER: &[u8] = b"{\"schema\":3,\"version\":\"9.9\",\"realms\":\"elsewhere\"}\n";
    let home = Home::new("").answering(says(NEWER));
    let Ended { code, stderr, .. } = home.ask(&[]);
    assert_eq!(code, Some(69));
    assert!(
        stderr.starts_with("loopkdc: error: the daemon is loopkdc 9.9, whose status (schema 3) is newer than this command\n"),
        "{stderr}"
    );
    let Ended { code, stdout, .. } = home.ask(&["--json"]);
    assert_eq!((code, stdout.as_bytes()), (Some(0), NEWER));
}

/// JSON has controls of ISO 6429 and turns of the direction of writing as they are; a terminal that is shown them would obey.
#[test]
fn what_another_wrote_gives_the_terminal_no_order_in_json_either() {
    let said =
        "{\"schema\": 3, \"version\": \"\u{9b}2J\u{7f}\u{202e}x\u{200b}\",\r \"e\u{301}\": 1}";
    let home = Home::new("").answering(says(said.as_bytes()));
    let Ended { code, stdout, .. } = home.ask(&["--json"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        stdout,
        "{\"schema\": 3, \"version\": \"\\u009b2J\\u007f\\u202ex\\u200b\",  \"e\u{301}\": 1}"
    );
    let told = home.ask(&[]).stderr;
    let shown = "loopkdc \u{fffd}2J\u{fffd}\u{fffd}x\u{fffd}, whose";
    assert!(told.contains(shown), "{told:?}");
}

#[test]
fn what_is_no_daemon_is_told_as_such() {
    for octets in [
        &b""[..],
        b"SSH-2.0-elsewhere\r\n",
        b"\xff\xfe",
        b"[]",
        b"{\"schema\": \"\x1b[2J\"}",
        b"{\"schema\": 1}",
        b"{\"schema\": 1, \"schema\": 1}",
        b"{\"schema\": 1e999}",
    ] {
        Home::new("")
            .answering(says(octets))
            .refused("gives no status of loopkdc");
    }
    let deep = |mut stream: UnixStream| drop(stream.write_all(&[b'['; 1024 * 1024]));
    Home::new("")
        .answering(deep)
        .refused("gives no status of loopkdc");
}

#[test]
fn who_never_ends_is_not_listened_to_for_ever() {
    let endless = |mut stream: UnixStream| while stream.write_all(&[b' '; 65536]).is_ok() {};
    Home::new("").answering(endless).refused("octets came");
    // What is written after that goes nowhere.
    let slow = |mut stream: UnixStream| {
        while stream.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    };
    let home = Home::new("").answering(slow);
    let Ended { code, stderr, .. } = home.ask(&[]);
    assert_eq!(code, Some(69));
    assert!(stderr.contains("does not answer in time"), "{stderr}");
}

#[test]
fn who_never_says_a_word_is_not_waited_for() {
    let silent = |mut stream: UnixStream| drop(stream.read_to_end(&mut Vec::new()));
    let home = Home::new("").answering(silent);
    let told = home.ask(&[]);
    assert_eq!(told.code, Some(69));
    assert!(told.stderr.contains("does not answer in time"), "{told:?}");
}

/// Nobody accepts, and the backlog takes one.
#[test]
fn who_does_not_accept_is_not_waited_for() {
    let home = Home::new("");
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    socket
        .bind(&SockAddr::unix(home.socket()).unwrap())
        .unwrap();
    socket.listen(0).unwrap();
    let waiting = UnixStream::connect(home.socket()).unwrap();
    let told = home.ask(&[]);
    assert_eq!(told.code, Some(69));
    assert!(told.stderr.contains("does not answer in time"), "{told:?}");
    drop(waiting);
}

#[test]
fn a_watch_wants_a_terminal() {
    let home = Home::new("");
    let Ended { code, stderr, .. } = home.ask(&["--watch"]);
    assert_eq!(code, Some(78));
    assert_eq!(
        stderr,
        "loopkdc: error: --watch draws on a terminal, and stdout is none\nloopkdc: hint: for programs: loopkdc status --json\n"
    );
}
