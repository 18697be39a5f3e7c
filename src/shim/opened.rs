//! What is served from the start: what the configuration says; if that cannot be used, the last one that could; else no realm.

use std::time::SystemTime;

use super::last_good::LastGood;
use super::{listeners, routes};
use crate::config::{Config, Listen, Sources, state_places};
use crate::daemon::bind::ServiceListener;
use crate::daemon::logging::ADMIN;
use crate::daemon::status_socket::{self, StatusListener};
use crate::relay::discovery::RelayHandle;
use crate::relay::failure::Failure;

/// A configuration, and all that could fail about it done. Nothing is served yet.
pub(super) struct Opened {
    pub(super) config: Config,
    pub(super) handle: RelayHandle,
    /// Those that the service manager did not hand over.
    pub(super) listeners: Vec<ServiceListener>,
    pub(super) status_socket: Option<StatusListener>,
    /// Why it is not what the configuration says now.
    pub(super) mistake: Option<UnusableConfig>,
}

/// A configuration that cannot be used, and another is.
pub(super) struct UnusableConfig {
    pub(super) failure: Failure,
    /// Its `[listen]`, if that is valid: it may be what cannot be used.
    pub(super) listen: Option<Listen>,
    /// When that other one was taken first. None: it is the one without realms.
    pub(super) last_good: Option<SystemTime>,
}

impl Opened {
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
        let loaded = Config::load(sources);
        let listen = loaded.as_ref().ok().map(|config| config.listen.clone());
        let failure = match loaded.and_then(|config| Self::of(config, inherited)) {
            Err(failure) if is_managed => failure,
            opened => return opened,
        };
        let (opened, last_good) = match Self::last_good(sources, inherited, &failure) {
            Some((opened, since)) => (opened, Some(since)),
            // That a port of the configuration is taken is no reason to open others.
            None if listen.is_some() && inherited.is_empty() => return Err(failure),
            None => match Self::nothing(sources, inherited, &failure) {
                Some(opened) => (opened, None),
                None => return Err(failure),
            },
        };
        let mistake = Some(UnusableConfig {
            failure,
            listen,
            last_good,
        });
        Ok(Self { mistake, ..opened })
    }

    fn of(config: Config, inherited: &[ServiceListener]) -> Result<Self, Failure> {
        Ok(Self {
            handle: RelayHandle::new(routes::plan(&config), config.listen.max_in_flight)?,
            listeners: listeners(&config.listen, inherited)?,
            status_socket: status_socket::bind(&config.listen)?,
            config,
            mistake: None,
        })
    }

    fn last_good(
        sources: &Sources,
        inherited: &[ServiceListener],
        failure: &Failure,
    ) -> Option<(Self, SystemTime)> {
        let (kept, since) = LastGood::read(&state_places())?;
        let config = kept.config(sources);
        let opened = config.and_then(|config| Self::of(config, inherited));
        let opened = opened.inspect_err(|failure| {
            tracing::warn!(target: ADMIN, "the last good configuration can't be used any more: {failure}");
        });
        let opened = opened.ok()?;
        tracing::error!(target: ADMIN, "the last good configuration is served: {failure}");
        Some((opened, since))
    }

    fn nothing(
        sources: &Sources,
        inherited: &[ServiceListener],
        failure: &Failure,
    ) -> Option<Self> {
        let config = Config::without_realms(sources);
        let opened = config.and_then(|config| Self::of(config, inherited));
        let opened = opened.ok()?;
        tracing::error!(target: ADMIN, "every client is told that no KDC can be reached: {failure}");
        Some(opened)
    }
}
