//! What is served from the start: what the configuration says; if that cannot be used, the last one that could; else no realm.

use std::time::SystemTime;

use super::last_good::LastGood;
use super::{listeners, routes};
use crate::config::{Config, ConfigText, Listen, Sources, state_places};
use crate::daemon::bind::ServiceListener;
use crate::daemon::logging::ADMIN;
use crate::daemon::status_socket::{self, StatusListener};
use crate::relay::discovery::RelayHandle;
use crate::relay::failure::Failure;

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
