//! The daemon at work, and its configuration: read anew at a signal, kept for the next start and, while there is a mistake in it,
//! looked at until that is mended.

use std::time::{Duration, Instant};

use super::last_good::LastGood;
use super::opened::UnusableConfig;
use super::{Relay, routes};
use crate::config::{Config, ConfigText, Listen, Sources, state_places};
use crate::daemon::logging::ADMIN;
use crate::daemon::{Daemon, log_mistake, log_warnings, notify};
use crate::relay::failure::Failure;

/// How often a configuration with a mistake is looked at: it should be taken before who has mended it asks for a ticket.
const LOOK: Duration = Duration::from_secs(1);
/// Where it takes long to read, as it has a key to be decrypted, reading it takes at most this part of the time.
const SHARE: u32 = 20;

/// The daemon, and where its configuration came from.
pub(super) struct RunDaemon<'a> {
    pub(super) relay: Relay,
    sources: &'a Sources,
    listen: Listen,
    /// A service manager starts it: the next start may need what is good now.
    is_managed: bool,
    /// What is wrong with the configuration, if it cannot be used.
    mistake: Option<Failure>,
    /// The `[listen]` that could not be used at the start, and why: as long as that stands there, nothing is mended.
    unusable: Option<(Listen, Failure)>,
    /// What the mended one says, until it has said so twice: an editor may be writing.
    mended: Option<ConfigText>,
}

impl<'a> RunDaemon<'a> {
    /// It serves `config`, in place of one with a `mistake` if there is one.
    pub(super) fn new(
        relay: Relay,
        sources: &'a Sources,
        config: &Config,
        mistake: Option<UnusableConfig>,
        is_managed: bool,
    ) -> Self {
        let mut daemon = Self {
            relay,
            sources,
            listen: config.listen.clone(),
            is_managed,
            mistake: None,
            unusable: None,
            mended: None,
        };
        if let Some(mistake) = mistake {
            daemon.relay.status.goes_by(mistake.last_good);
            daemon.tell(&mistake.failure);
            let listen = mistake.listen.filter(|listen| *listen != config.listen);
            daemon.unusable = listen.map(|listen| (listen, mistake.failure));
        } else {
            log_warnings(&config.warnings());
            daemon.keep(config);
        }
        daemon
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// It is invalid, or could not be used at the start.
    fn load(&self) -> Result<Config, Failure> {
        let config = Config::load(self.sources)?;
        match &self.unusable {
            Some((listen, failure)) if *listen == config.listen => Err(failure.clone()),
            _ => Ok(config),
        }
    }

    /// Has `config` in effect.
    ///
    /// # Errors
    /// Certificates that TLS cannot use; the old one stays.
    fn take(&mut self, config: &Config) -> Result<(), Failure> {
        self.relay.handle.configure(routes::plan(config))?;
        log_warnings(&config.warnings());
        let restart_needed = self.relay.status.reloaded(config);
        if config.listen != self.listen {
            tracing::warn!(target: ADMIN, "what [listen] says now holds after a restart");
            self.listen = config.listen.clone();
        }
        if self.mistake.take().is_some() {
            notify::status("");
        }
        // Whether a start can use what it says of listening is not known yet.
        if !restart_needed {
            self.keep(config);
        }
        Ok(())
    }

    /// Writes `config` down for the next start, away from those who wait.
    fn keep(&self, config: &Config) {
        if self.is_managed {
            let last_good = LastGood::of(config);
            let keep = move || last_good.keep(&state_places());
            drop(tokio::task::spawn_blocking(keep));
        }
    }

    /// The configuration cannot be used: says so to those who ask for the status, and to the service manager.
    fn tell(&mut self, failure: &Failure) {
        notify::status(&self.relay.status.failed(failure));
        self.mistake = Some(failure.clone());
    }

    /// Looks at a configuration that had a mistake; true if it is mended and in effect.
    fn look(&mut self) -> bool {
        let before = self.mended.take();
        let taken = self.load().and_then(|config| {
            let is_settled = before.is_some_and(|before| before == config.text);
            if is_settled {
                self.take(&config)?;
            } else {
                self.mended = Some(config.text);
            }
            Ok(is_settled)
        });
        taken.unwrap_or_else(|failure| {
            if self.mistake.as_ref() != Some(&failure) {
                log_mistake(&failure);
                self.tell(&failure);
            }
            false
        })
    }
}

impl Daemon for RunDaemon<'_> {
    fn reload(&mut self) -> Result<(), Failure> {
        let taken = self.load().and_then(|config| self.take(&config));
        taken.inspect_err(|failure| self.tell(failure))
    }

    async fn mended(&mut self) {
        let mut pause = LOOK;
        while self.mistake.is_some() {
            tokio::time::sleep(pause).await;
            let began = Instant::now();
            if self.look() {
                return tracing::info!(target: ADMIN, "the configuration is mended, and in effect");
            }
            pause = LOOK.max(began.elapsed() * SHARE);
        }
        std::future::pending().await
    }

    async fn stop(self) {
        self.relay.stop().await;
    }
}

#[cfg(test)]
mod tests;
