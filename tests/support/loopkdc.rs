//! The program itself, on the ports that clients expect.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::Process;
use super::proxy::KdcProxy;

/// A running `loopkdc run`.
pub(crate) struct Loopkdc {
    /// Its log, with a line for each exchange.
    pub(crate) process: Process,
    config: PathBuf,
}

impl Loopkdc {
    /// Starts it with one realm per proxy, on its default addresses.
    pub(crate) fn start(dir: &Path, realms: &[(&str, &KdcProxy)]) -> Loopkdc {
        let stanza = |(realm, proxy): &(&str, &KdcProxy)| stanza(realm, &proxy.url(), proxy);
        Loopkdc::with_config(dir, &realms.iter().map(stanza).collect::<String>())
    }

    /// Starts it with a configuration file of this text.
    pub(crate) fn with_config(dir: &Path, text: &str) -> Loopkdc {
        let config = dir.join("loopkdc.toml");
        fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_loopkdc"));
        command
            .args(["run", "--log", "debug", "--config"])
            .arg(&config);
        let process = Process::start("loopkdc run", &mut command, "ready");
        Loopkdc { process, config }
    }

    /// Where its configuration is, for a change before SIGHUP.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }
}

/// The lines of a configuration that send `realm` to `url`, with the proxy's authority.
pub(crate) fn stanza(realm: &str, url: &str, proxy: &KdcProxy) -> String {
    let ca = proxy.ca_file.display();
    format!("[realms.\"{realm}\"]\nproxies = [\"{url}\"]\nca-file = \"{ca}\"\n")
}
