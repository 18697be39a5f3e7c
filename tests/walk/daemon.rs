//! The program itself as a process, on ports of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use loopkdc::wire::Service;
use tempfile::TempDir;

use crate::relay::{Reached, Setup};
use crate::support::process::Process;

/// A running `loopkdc run`.
pub struct Daemon {
    pub process: Process,
    config: PathBuf,
    kdc: String,
    kpasswd: String,
    dir: TempDir,
}

impl Reached for Daemon {
    fn shown(&self, service: Service) -> &str {
        match service {
            Service::Kdc => &self.kdc,
            Service::Kpasswd => &self.kpasswd,
        }
    }
}

impl Daemon {
    /// Starts it as a user would, with `--log debug`.
    pub fn start(setup: Setup) -> Self {
        Self::start_by(Command::new(PROGRAM), setup)
    }

    /// Starts it by a command that takes the program's arguments. What it makes at run time is in the setup's own folder.
    pub fn start_by(mut command: Command, setup: Setup) -> Self {
        use_folder(&mut command, setup.dir());
        Self::start_with_environment(command, setup)
    }

    /// The same with the command's environment as it is.
    pub fn start_with_environment(command: Command, setup: Setup) -> Self {
        let config = setup.write();
        Self::spawn(command, config, setup.into_dir())
    }

    /// Stops it, and starts one by another command, with this in the same file.
    pub fn again(mut self, mut command: Command, text: &str) -> Self {
        self.process.signal("TERM");
        self.ended();
        self.write(text);
        use_folder(&mut command, self.dir.path());
        Self::spawn(command, self.config, self.dir)
    }

    fn spawn(mut command: Command, config: PathBuf, dir: TempDir) -> Self {
        command
            .args(["run", "--log", "debug", "--config"])
            .arg(&config);
        // Standard input and output stay what the command makes of them: sockets, perhaps.
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        let process = Process::adopt("loopkdc run", child);
        process.wait_for(" ready ");
        let log = process.log();
        let address = |key: &str| {
            let value = log
                .split_whitespace()
                .find_map(|word| word.strip_prefix(key));
            value.unwrap_or_else(|| panic!("{key} in {log}")).to_owned()
        };
        Self {
            kdc: address("kdc="),
            kpasswd: address("kpasswd="),
            process,
            config,
            dir,
        }
    }

    pub fn config(&self) -> &Path {
        &self.config
    }

    /// What that says.
    pub fn text(&self) -> String {
        fs::read_to_string(&self.config).unwrap()
    }

    /// Says this there.
    pub fn write(&self, text: &str) {
        fs::write(&self.config, text).unwrap();
    }

    /// Where its status is read.
    pub fn status_socket(&self) -> PathBuf {
        self.config.with_file_name("status.sock")
    }

    /// SIGHUP, and waits for the line that says what came of it.
    pub fn reload(&self, outcome: &str) {
        let before = self.process.count(outcome);
        self.process.signal("HUP");
        self.process.wait_for_count(outcome, before + 1);
    }

    /// Resident memory in KiB.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// SIGTERM, and then the exit code and the whole log.
    pub fn terminate(mut self) -> (ExitStatus, String) {
        self.process.signal("TERM");
        self.ended()
    }

    /// Waits for the end after a signal.
    pub fn ended(&mut self) -> (ExitStatus, String) {
        let status = self.process.wait();
        (status, self.process.log())
    }
}

/// What it makes is there, unless the command says where.
fn use_folder(command: &mut Command, dir: &Path) {
    command.env("RUNTIME_DIRECTORY", dir);
    let mut given = command.get_envs();
    if given.all(|(name, _)| name != "STATE_DIRECTORY") {
        command.env("STATE_DIRECTORY", dir.join("state"));
    }
}

/// The program's file.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_loopkdc");

/// `loopkdc` by way of prlimit, with `soft:hard` descriptors at most; a limit left away stays as it is.
pub fn with_descriptors(most: &str) -> Command {
    let mut command = Command::new("prlimit");
    command.arg(format!("--nofile={most}")).arg(PROGRAM);
    command
}
