//! What is served from the start: what the configuration says; if that cannot be used, the last one that could; else no realm.

use std::time::SystemTime;

use super::last_good::LastGood;
use super::{listeners, routes};
use crate::config::{Config, Sources, state_places};
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
    pub(super) mistake: Option<Mistake>,
}

/// A configuration that cannot be used, and another is.
pub(super) struct Mistake {
    pub(super) failure: Failure,
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
        // That a port of the configuration is taken is no reason to open others.
        let has_ports = loaded.is_err() || !inherited.is_empty();
        let failure = match loaded.and_then(|config| Self::of(config, inherited)) {
            Err(failure) if is_managed => failure,
            opened => return opened,
        };
        let last_good = Self::last_good(sources, inherited, &failure);
        let opened = last_good.or_else(|| {
            let nothing = has_ports.then(|| Self::nothing(sources, inherited, &failure));
            nothing.flatten()
        });
        opened.ok_or(failure)
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
    ) -> Option<Self> {
        let (kept, since) = LastGood::read(&state_places())?;
        let config = kept.config(sources);
        let opened = config.and_then(|config| Self::of(config, inherited));
        let opened = opened.inspect_err(|failure| {
            tracing::warn!(target: ADMIN, "the last good configuration can't be used any more: {failure}");
        });
        let opened = opened.ok()?;
        tracing::error!(target: ADMIN, "the last good configuration is served: {failure}");
        Some(opened.in_place_of(failure, Some(since)))
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
        Some(opened.in_place_of(failure, None))
    }

    fn in_place_of(self, failure: &Failure, last_good: Option<SystemTime>) -> Self {
        let failure = failure.clone();
        let mistake = Some(Mistake { failure, last_good });
        Self { mistake, ..self }
    }
}
