//! The gateway as a process of its own, so that its memory and its descriptors are its own too.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use tempfile::TempDir;

use crate::certificates::{Leaf, signed};
use crate::support::process::Process;

/// Nobody is asked to wait: what else bounds a client is what is tested.
pub const NO_QUOTAS: &str = "client-requests-per-second = 0\nclient-max-in-flight = 0\nfailed-logins-per-minute = 0\n\
     failed-logins-per-principal = 0\n";

pub struct Gateway {
    pub process: Process,
    pub tls: SocketAddr,
    pub plain: SocketAddr,
    _dir: TempDir,
}

impl Gateway {
    /// With these realms, and without quotas.
    pub fn start(realms: &str) -> Self {
        Self::with(NO_QUOTAS, realms)
    }

    /// With these lines in its own table, and these realms.
    pub fn with(lines: &str, realms: &str) -> Self {
        let command = Command::new(env!("CARGO_BIN_EXE_loopkdc"));
        Self::by(command, lines, realms)
    }

    /// The same, with so many descriptors.
    pub fn with_descriptors(most: usize, realms: &str) -> Self {
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={most}:{most}"));
        command.arg(env!("CARGO_BIN_EXE_loopkdc"));
        Self::by(command, NO_QUOTAS, realms)
    }

    fn by(mut command: Command, lines: &str, realms: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = signed(Leaf::Right);
        fs::write(dir.path().join("gateway.pem"), certificate.pem()).unwrap();
        fs::write(dir.path().join("gateway-key.pem"), key.serialize_pem()).unwrap();
        let file = dir.path().join("gateway.toml");
        let text = format!(
            "[gateway]\nlisten = [\"127.0.0.1:0\"]\nplain-listen = [\"127.0.0.1:0\"]\n\
             certificate = \"gateway.pem\"\nkey = \"gateway-key.pem\"\n\
             access-log-lines-per-second = 1000000\n{lines}{realms}"
        );
        fs::write(&file, text).unwrap();
        command
            .env("RUNTIME_DIRECTORY", dir.path())
            .args(["gateway", "--log", "debug", "--config"])
            .arg(&file);
        let process = Process::start("loopkdc gateway", &mut command, "ready");
        let log = process.log();
        let address = |name: &str| {
            let mut words = log.split_whitespace();
            let word = words.find_map(|word| word.strip_prefix(name)).expect(name);
            word.parse().unwrap()
        };
        Self {
            tls: address("https="),
            plain: address("plain="),
            process,
            _dir: dir,
        }
    }

    /// The most memory that it has ever had, in KiB.
    pub fn peak(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.unwrap().trim().trim_end_matches(" kB");
        number.parse().unwrap()
    }

    /// Fails the test unless it has had at most `mib` more than `before`.
    #[track_caller]
    pub fn grew_at_most(&self, mib: usize, before: usize) {
        let grown = (self.peak() - before) / 1024;
        assert!(grown <= mib, "{grown} MiB more");
        eprintln!("{grown} MiB more, of {mib} that it may have");
    }

    /// From now on it may open no descriptor from this number on.
    pub fn limit_descriptors(&self, most: usize) {
        let status = Command::new("prlimit")
            .arg(format!("--pid={}", self.process.id()))
            .arg(format!("--nofile={most}:"))
            .status();
        assert!(status.unwrap().success());
    }
}

/// A realm that is served by `kdcs`, each of which changes passwords too.
pub fn realm(name: &str, kdcs: &[SocketAddr]) -> String {
    let kdcs: Vec<_> = kdcs.iter().map(SocketAddr::to_string).collect();
    format!(
        "[realms.\"{name}\"]\nkdcs = {kdcs:?}\nkpasswd-servers = {kdcs:?}\ndeadline-seconds = 2\n"
    )
}
