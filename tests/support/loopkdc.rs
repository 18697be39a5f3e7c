//! The program itself, on the ports that clients expect.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::Process;
use super::proxy::KdcProxy;

const PROGRAM: &str = env!("CARGO_BIN_EXE_loopkdc");

/// A running `loopkdc run`.
pub(crate) struct Loopkdc {
    /// Its log, with a line for each exchange.
    pub(crate) process: Process,
    config: PathBuf,
}

impl Loopkdc {
    /// Starts it with one realm per proxy, on its default addresses.
    pub(crate) fn start(dir: &Path, realms: &[(&str, &KdcProxy)]) -> Loopkdc {
        Loopkdc::with_config(dir, &stanzas(realms))
    }

    /// Starts it with a configuration file of this text.
    pub(crate) fn with_config(dir: &Path, text: &str) -> Loopkdc {
        Loopkdc::with_environment::<&str>(dir, text, &[])
    }

    /// The same with these variables of its environment.
    pub(crate) fn with_environment<V: AsRef<OsStr>>(
        dir: &Path,
        text: &str,
        environment: &[(&str, V)],
    ) -> Loopkdc {
        let config = dir.join("loopkdc.toml");
        fs::write(&config, text).unwrap();
        let mut command = Command::new(PROGRAM);
        // What it finds out, it keeps where the test can see it.
        command
            .args(arguments(&config))
            .env("STATE_DIRECTORY", dir.join("state"))
            .env("RUNTIME_DIRECTORY", dir)
            .envs(environment.iter().map(|(name, value)| (name, value)));
        let process = Process::start("loopkdc run", &mut command, "ready");
        Loopkdc { process, config }
    }

    /// Lets systemd's tool hold these sockets, given as name and address, and start it when the first client comes. They are TCP
    /// sockets, unless `options` of the tool say something else.
    pub(crate) fn activated(
        dir: &Path,
        realms: &[(&str, &KdcProxy)],
        options: &[&str],
        sockets: &[(&str, &str)],
    ) -> Loopkdc {
        Loopkdc::activated_with(dir, &stanzas(realms), options, sockets)
    }

    /// The same with a configuration file of this text.
    pub(crate) fn activated_with(
        dir: &Path,
        text: &str,
        options: &[&str],
        sockets: &[(&str, &str)],
    ) -> Loopkdc {
        let config = dir.join("loopkdc.toml");
        fs::write(&config, text).unwrap();
        let names: Vec<&str> = sockets.iter().map(|(name, _)| *name).collect();
        let mut command = Command::new("systemd-socket-activate");
        command.args(options);
        for (name, folder) in [
            ("STATE_DIRECTORY", dir.join("state")),
            ("RUNTIME_DIRECTORY", dir.into()),
        ] {
            command.arg(format!("--setenv={name}={}", folder.display()));
        }
        for (_, address) in sockets {
            command.args(["--listen", address]);
        }
        command.arg("--fdname").arg(names.join(":"));
        command.arg(PROGRAM).args(arguments(&config));
        let process = Process::spawn("systemd-socket-activate", &mut command);
        process.wait_for_count("Listening on", sockets.len());
        Loopkdc { process, config }
    }

    /// What `loopkdc status --json` says of it.
    pub(crate) fn status(&self) -> serde_json::Value {
        let socket = self.config.with_file_name("status.sock");
        let mut command = Command::new(PROGRAM);
        let output = command
            .args(["status", "--json", "--socket"])
            .arg(socket)
            .output();
        serde_json::from_slice(&output.unwrap().stdout).unwrap()
    }

    /// Where its configuration is, for a change before SIGHUP.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }
}

fn arguments(config: &Path) -> [&OsStr; 5] {
    let level = OsStr::new("debug");
    [
        "run".as_ref(),
        "--log".as_ref(),
        level,
        "--config".as_ref(),
        config.as_ref(),
    ]
}

fn stanzas(realms: &[(&str, &KdcProxy)]) -> String {
    let stanza = |(realm, proxy): &(&str, &KdcProxy)| stanza(realm, &proxy.url(), proxy);
    realms.iter().map(stanza).collect()
}

/// The lines of a configuration that send `realm` to `url`, with the proxy's authority.
pub(crate) fn stanza(realm: &str, url: &str, proxy: &KdcProxy) -> String {
    let ca = proxy.ca_file.display();
    format!("[realms.\"{realm}\"]\nproxies = [\"{url}\"]\nca-file = \"{ca}\"\n")
}
