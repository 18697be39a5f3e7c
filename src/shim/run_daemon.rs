//! The daemon at work, and its configuration: what is served from the start (what it says; if that cannot be used, the last one that
//! could; else no realm), read anew at a signal, kept for the next start and, while there is a mistake in it, looked at until that is
//! mended.

use std::time::{Duration, Instant, SystemTime};

use super::last_good::LastGood;
use super::{Relay, listeners, routes};
use crate::config::{Config, ConfigText, Listen, Sources, state_places};
use crate::daemon::bind::ServiceListener;
use crate::daemon::logging::ADMIN;
use crate::daemon::status_socket::{self, StatusListener};
use crate::daemon::{Daemon, log_mistake, log_warnings};
use crate::relay::discovery::RelayHandle;
use crate::relay::failure::Failure;

/// How often a configuration with a mistake is looked at: it should be taken before who has mended it asks for a ticket.
const LOOK: Duration = Duration::from_secs(1);
/// Where it takes long to read, as it has a key to be decrypted, reading it takes at most this part of the time.
const SHARE: u32 = 20;

/// The daemon, and where its configuration came from.
pub(super) struct RunDaemon<'a> {
    pub(super) relay: Relay,
    sources: &'a Sources,
    /// The text whose `[listen]` is in effect: what another one says of that holds after a restart.
    listen: ConfigText,
    /// A service manager starts it: the next start may need what is good now.
    is_managed: bool,
    /// Why what the configuration says is not in effect.
    mistake: Option<Mistake>,
}

impl<'a> RunDaemon<'a> {
    /// `listen`: the text by whose `[listen]` the sockets were opened.
    pub(super) fn new(
        relay: Relay,
        sources: &'a Sources,
        listen: ConfigText,
        is_managed: bool,
    ) -> Self {
        Self {
            relay,
            sources,
            listen,
            is_managed,
            mistake: None,
        }
    }

    /// It serves `config`, in place of one with a `mistake` if there is one.
    pub(super) fn begin(&mut self, config: &Config, mistake: Option<Mistake>) {
        match mistake {
            Some(mistake) => self.tell(mistake),
            None => self.took(config, false),
        }
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// It is invalid, or could not be opened at the start.
    fn load(&self) -> Result<Config, Failure> {
        let config = Config::load(self.sources)?;
        let unopened = self
            .mistake
            .as_ref()
            .and_then(|mistake| mistake.unopened.as_ref());
        match unopened.filter(|(listen, _)| *listen == config.listen) {
            Some((_, failure)) => Err(failure.clone()),
            None => Ok(config),
        }
    }

    /// Has `config` in effect.
    ///
    /// # Errors
    /// Certificates that TLS cannot use; the old one stays.
    fn take(&mut self, config: &Config) -> Result<(), Failure> {
        self.relay.handle.configure(routes::plan(config))?;
        let restart_needed = config.listen != *self.relay.listen;
        let file = config.source.as_deref();
        self.relay.status.reloaded(file, restart_needed);
        if restart_needed {
            tracing::warn!(target: ADMIN, "what [listen] says now holds after a restart");
        }
        self.mistake = None;
        self.took(config, restart_needed);
        Ok(())
    }

    /// `config` is in effect, its `[listen]` after a restart perhaps: it is written down for the next start, before anything else is
    /// read, so that no older one comes back. Requests do not wait for that.
    fn took(&self, config: &Config, restart_needed: bool) {
        log_warnings(&config.warnings());
        if self.is_managed {
            let listen = restart_needed.then(|| self.listen.clone());
            LastGood::of(config, listen).keep(&state_places());
        }
    }

    /// Says that there is a mistake to those who ask for the status, and to the service manager.
    fn tell(&mut self, mistake: Mistake) {
        let restart_needed = mistake.unopened.is_some();
        self.relay.status.failed(&mistake.failure, restart_needed);
        self.mistake = Some(mistake);
    }

    fn failed(&mut self, failure: Failure) {
        let before = self.mistake.take();
        let unopened = before.and_then(|mistake| mistake.unopened);
        self.tell(Mistake { failure, unopened });
    }

    /// Looks at a configuration that had a mistake; true if it is mended and in effect, for which it has to say the same twice: an
    /// editor may be writing.
    ///
    /// # Errors
    /// The mistake that is in it now.
    fn look(&mut self, seen: &mut Option<ConfigText>) -> Result<bool, Failure> {
        let before = seen.take();
        let config = self.load()?;
        let is_settled = before.as_ref() == Some(&config.text);
        if is_settled {
            self.take(&config)?;
        }
        *seen = Some(config.text);
        Ok(is_settled)
    }
}

impl Daemon for RunDaemon<'_> {
    fn reload(&mut self) -> Result<(), Failure> {
        let taken = self.load().and_then(|config| self.take(&config));
        taken.inspect_err(|failure| self.failed(failure.clone()))
    }

    async fn mended(&mut self) {
        let (mut pause, mut seen) = (LOOK, None);
        while let Some(mistake) = &self.mistake {
            let told = mistake.failure.clone();
            tokio::time::sleep(pause).await;
            let began = Instant::now();
            match self.look(&mut seen) {
                Ok(true) => {
                    return tracing::info!(target: ADMIN, "the configuration is mended, and in effect");
                }
                Err(failure) if failure != told => {
                    log_mistake(&failure);
                    self.failed(failure);
                }
                _ => {}
            }
            pause = LOOK.max(began.elapsed() * SHARE);
        }
        std::future::pending().await
    }

    async fn stop(self) {
        self.relay.stop().await;
    }
}

/// A configuration, and all that could fail about it done. Nothing is served yet.
pub(super) struct Prepared {
    pub(super) config: Config,
    pub(super) handle: RelayHandle,
    /// Those that the service manager did not hand over.
    pub(super) listeners: Vec<ServiceListener>,
    pub(super) status_socket: Option<StatusListener>,
    /// The text whose `[listen]` it goes by.
    pub(super) listen: ConfigText,
    /// When it was read first. None: it is the one without realms.
    pub(super) read_at: Option<SystemTime>,
    /// Why it is not what the configuration says now.
    pub(super) mistake: Option<Mistake>,
}

/// A configuration that cannot be used, while another one is served.
pub(super) struct Mistake {
    /// Why it cannot be.
    pub(super) failure: Failure,
    /// The `[listen]` that could not be opened at the start, and why: as long as it says that, nothing is mended.
    pub(super) unopened: Option<(Listen, Failure)>,
}

impl Prepared {
    /// What the configuration says, beside the sockets that are `inherited`. If nobody sees that it cannot be used, as a service
    /// manager started the daemon, that must not cost everybody their tickets: then something is served all the same.
    ///
    /// # Errors
    /// It cannot be used, and somebody who sees it has started the daemon, or nothing can be served.
    pub(super) fn new(
        sources: &Sources,
        inherited: &[ServiceListener],
        is_managed: bool,
    ) -> Result<Self, Failure> {
        let valid = Config::load(sources).and_then(|config| Ok((relay(&config)?, config)));
        let listen = valid.as_ref().ok().map(|(_, config)| config.listen.clone());
        let now = valid.and_then(|(handle, config)| Self::open(handle, config, inherited));
        let failure = match now {
            Err(failure) if is_managed => failure,
            now => return now,
        };
        let mut other = Self::last_good(sources, inherited);
        // Where a port could not be opened that it asks for, none is that it does not ask for.
        if other.is_none() && (listen.is_none() || !inherited.is_empty()) {
            other = Self::nothing(sources, inherited);
        }
        let Some(other) = other else {
            return Err(failure);
        };
        let served = match other.read_at {
            Some(_) => "the last good configuration is served",
            None => "every client is told that no KDC can be reached",
        };
        tracing::error!(target: ADMIN, "{served}: {failure}");
        let unopened = listen.filter(|listen| *listen != other.config.listen);
        let mistake = Mistake {
            unopened: unopened.map(|listen| (listen, failure.clone())),
            failure,
        };
        Ok(Self {
            mistake: Some(mistake),
            ..other
        })
    }

    fn open(
        handle: RelayHandle,
        config: Config,
        inherited: &[ServiceListener],
    ) -> Result<Self, Failure> {
        Ok(Self {
            handle,
            listeners: listeners(&config.listen, inherited)?,
            status_socket: status_socket::bind(&config.listen)?,
            listen: config.text.clone(),
            read_at: Some(SystemTime::now()),
            config,
            mistake: None,
        })
    }

    fn last_good(sources: &Sources, inherited: &[ServiceListener]) -> Option<Self> {
        let (kept, since) = LastGood::read(&state_places())?;
        let config = kept.config(sources)?;
        let opened = config.and_then(|config| Self::open(relay(&config)?, config, inherited));
        let opened = opened.inspect_err(|failure| {
            tracing::warn!(target: ADMIN, "the last good configuration can't be used any more: {failure}");
        });
        Some(Self {
            listen: kept.into_listen(),
            read_at: Some(since),
            ..opened.ok()?
        })
    }

    fn nothing(sources: &Sources, inherited: &[ServiceListener]) -> Option<Self> {
        let config = Config::without_realms(sources);
        let opened = config.and_then(|config| Self::open(relay(&config)?, config, inherited));
        Some(Self {
            read_at: None,
            ..opened.ok()?
        })
    }
}

fn relay(config: &Config) -> Result<RelayHandle, Failure> {
    RelayHandle::new(routes::plan(config), config.listen.max_in_flight)
}

#[cfg(test)]
mod tests;
