//! Certificates that are replaced while the gateway runs.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch as channel};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{LoadedTls, ServerTls, TlsFileError, TlsFiles, TlsPems};
use crate::gateway::https::Certificates;

/// How often the files are looked at. They are read whole: links that are swapped, files that are renamed or written in
/// place and clocks of file systems are all the same then, and a few kB from the page cache cost what a stat does.
const LOOK: Duration = Duration::from_secs(5);

/// Keeps to what the files say, until `stop`: looks every few seconds, and at once when `reload` is notified. Files that do
/// not fit together, perhaps since one of them is yet to come, change nothing. Must be called inside a runtime.
#[must_use]
pub fn watch(
    files: TlsFiles,
    loaded: LoadedTls,
    stop: &CancellationToken,
    reload: Arc<Notify>,
) -> Certificates {
    watch_every(LOOK, files, loaded, stop, reload)
}

pub(super) fn watch_every(
    look: Duration,
    files: TlsFiles,
    loaded: LoadedTls,
    stop: &CancellationToken,
    reload: Arc<Notify>,
) -> Certificates {
    tell_warning(&loaded.tls);
    let (current, certificates) = channel::channel(Arc::new(loaded.tls));
    let watched = Watched {
        files,
        pems: loaded.pems,
        refused: None,
        told: None,
        current,
    };
    let stop = stop.clone();
    tokio::spawn(async move {
        stop.run_until_cancelled(watched.keep(look, &reload)).await;
    });
    certificates
}

struct Watched {
    files: TlsFiles,
    /// What was read last, whether or not it was of use.
    pems: TlsPems,
    /// What is wrong with it.
    refused: Option<TlsFileError>,
    /// What was told last, and has not been mended since.
    told: Option<TlsFileError>,
    current: channel::Sender<Arc<ServerTls>>,
}

impl Watched {
    async fn keep(mut self, look: Duration, reload: &Notify) {
        let mut again = interval(look);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = again.tick() => {}
                () = reload.notified() => {}
            }
            // A panic in there is a bug that must not end this.
            let files = self.files.clone();
            let Ok(read) = spawn_blocking(move || files.read()).await else {
                continue;
            };
            match read.and_then(|pems| self.replace(pems)) {
                Ok(()) => self.told = None,
                Err(error) => self.tell(error),
            }
        }
    }

    /// Goes over to `pems`, unless they are the ones that were read last.
    fn replace(&mut self, pems: TlsPems) -> Result<(), TlsFileError> {
        if self.pems == pems {
            return self.refused.clone().map_or(Ok(()), Err);
        }
        let built = ServerTls::build(&self.files, &pems);
        self.pems = pems;
        self.refused = built.as_ref().err().cloned();
        let tls = built?;
        let until = tls.validity.map(|validity| validity.until());
        tracing::info!(certificate = %self.files.certificate.display(), until, "certificate replaced");
        tell_warning(&tls);
        self.current.send_replace(Arc::new(tls));
        Ok(())
    }

    /// Tells each trouble once.
    fn tell(&mut self, error: TlsFileError) {
        if self.told.as_ref() != Some(&error) {
            self.told = Some(error.clone());
            let failure = error.into_failure();
            let (error, hint) = (failure.message(), failure.hints().into_iter().next());
            tracing::warn!(error, hint, "the certificate stays as it was");
        }
    }
}

fn tell_warning(tls: &ServerTls) {
    if let Some(warning) = tls.warning(SystemTime::now()) {
        tracing::warn!("{warning}");
    }
}
