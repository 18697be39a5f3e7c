//! The file that says which realms can be reached, for programs that must not try while one cannot; and the questions that find
//! that out where nobody else asks any more. There is neither unless the file was asked for.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, pending};
use tempfile::NamedTempFile;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::daemon::tasks::Tasks;
use crate::relay::asking::{AskSchedule, OWN, question};
use crate::relay::clock::now;
use crate::relay::exchange::{Arrival, Exchange};
use crate::relay::reachability::{HELD, Reachability};
use crate::relay::routes::random;
use crate::wire::{Realm, Service};

/// Everybody may read it, whatever the process's umask: only names of the configuration are in it.
const MODE: u32 = 0o644;
/// Between a failure and the first question, doubled from then on; and between a write that failed and the next.
const FIRST: Duration = Duration::from_secs(5);
/// Behind the name of the file, that of an empty one that is made after each change, and is for who acts on it to take away when
/// that is done, and then to look once more: systemd, which can start something whenever the file changes (PathChanged=), loses
/// what changes while that runs, and nothing of what is there when it ends (PathExists=).
const CHANGED: &str = ".changed";
/// How often is looked whether it is gone.
const LOOK: Duration = Duration::from_millis(5);
/// In whose name is asked.
const NOBODY: &str = "loopkdc";

/// Writes the file at `path`, and has it written anew in `tasks` each time that it changes which realms `exchange` can reach, until they
/// stop: then it goes. Must be called inside a runtime.
pub(super) fn keep(path: &Path, exchange: &Arc<Exchange>, tasks: &Tasks) {
    let mut reachability = exchange.reachability();
    let mut file = ReachableFile {
        path: path.to_owned(),
        text: None,
        has_failed: false,
    };
    let open = open(&reachability.borrow_and_update());
    file.write(lines(exchange, &open));
    exchange.set_acted_on(reachability.borrow().losses());
    let (stop, of) = (tasks.stop.clone(), Arc::clone(exchange));
    tasks.tracker.spawn(async move {
        let kept = file.follow(&of, reachability, &stop).await;
        of.set_acted_on(u64::MAX);
        if let Some(file) = kept {
            drop(spawn_blocking(move || file.remove()).await);
        }
    });
    tasks.spawn(ask_all(Arc::clone(exchange)));
}

fn open(reachability: &Reachability) -> Vec<Realm> {
    reachability.open(now()).cloned().collect()
}

/// By all names, as who goes by it looks for the one that it calls the realm by itself.
fn lines(exchange: &Exchange, open: &[Realm]) -> String {
    let names = exchange.names(open).into_iter();
    names.map(|name| format!("{name}\n")).collect()
}

/// The file, and what stands in it.
struct ReachableFile {
    path: PathBuf,
    text: Option<String>,
    has_failed: bool,
}

impl ReachableFile {
    /// Writes it anew at each change, and has clients wait while it is acted on, until told to stop. None: that panicked.
    async fn follow(
        mut self,
        exchange: &Exchange,
        mut reachability: watch::Receiver<Reachability>,
        stop: &CancellationToken,
    ) -> Option<Self> {
        loop {
            let due = self.due(&reachability.borrow());
            let change = async {
                tokio::select! {
                    _ = reachability.changed() => {}
                    () = until(due) => {}
                }
            };
            if stop.run_until_cancelled(change).await.is_none() {
                return Some(self);
            }
            let (open, losses) = {
                let known = reachability.borrow_and_update();
                (open(&known), known.losses())
            };
            let text = lines(exchange, &open);
            // A write that has begun ends before the file goes.
            let written = spawn_blocking(move || (self.write(text), self));
            let (is_acted_on, file) = written.await.ok()?;
            self = file;
            if is_acted_on {
                stop.run_until_cancelled(self.acted_on()).await;
            }
            exchange.set_acted_on(losses);
        }
    }

    /// When it has to be written anew though nothing changes: a realm opens, or the last write failed.
    fn due(&self, reachability: &Reachability) -> Option<Instant> {
        let again = self.text.is_none().then(|| now() + FIRST);
        reachability.opens(now()).into_iter().chain(again).min()
    }

    /// Waits until the sign is gone, or that takes too long.
    async fn acted_on(&self) {
        let sign = self.changed();
        let gone = async {
            while sign.exists() {
                sleep(LOOK).await;
            }
        };
        drop(timeout(HELD, gone).await);
    }

    /// Replaces the file, unless it says so already. That it can't be is told once: Kerberos goes on without it. Says whether
    /// somebody acts on it, as far as is known: not if the last sign is still there.
    fn write(&mut self, text: String) -> bool {
        if self.text.as_ref() == Some(&text) {
            return false;
        }
        let is_acted_on = !self.changed().exists();
        let file = self.path.display();
        let replaced = replace(&self.path, &text);
        self.text = None;
        if replaced.is_err() {
            // What it said may not be so any more.
            let _ = fs::remove_file(&self.path);
        }
        match replaced.and(self.sign()) {
            Ok(()) => {
                tracing::debug!(%file, realms = text.trim_end(), "said which realms can be reached");
                self.text = Some(text);
            }
            Err(error) if self.has_failed => {
                tracing::debug!(%file, %error, "which realms can be reached can't be said");
            }
            Err(error) => {
                tracing::warn!(%file, %error, "which realms can be reached can't be said");
                self.has_failed = true;
            }
        }
        is_acted_on
    }

    /// Has those who act on the file look.
    fn sign(&self) -> io::Result<()> {
        File::create(self.changed()).map(drop)
    }

    fn changed(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(CHANGED);
        name.into()
    }

    fn remove(self) {
        let _ = fs::remove_file(self.changed());
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(file = %self.path.display(), %error, "the file stays");
        }
    }
}

/// In one step: who reads it finds the old lines or the new ones. What a crash leaves behind says nothing, so it is not synced.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file()
        .set_permissions(Permissions::from_mode(MODE))?;
    file.persist(path)?;
    Ok(())
}

/// Asks about all realms that the configuration has, and then about those of the next one.
async fn ask_all(exchange: Arc<Exchange>) {
    let mut reachability = exchange.reachability();
    loop {
        let (realms, configuration) = {
            let known = reachability.borrow_and_update();
            let realms: Vec<Realm> = known.realms().cloned().collect();
            (realms, known.configurations())
        };
        let asked = async {
            join_all(realms.iter().map(|realm| ask(&exchange, realm))).await;
            pending::<()>().await;
        };
        tokio::select! {
            () = asked => {}
            _ = reachability.wait_for(|known| known.configurations() != configuration) => {}
        }
    }
}

/// Asks about a realm while it can't be reached, and whenever that is in doubt: one question at a time. It goes the way of every
/// other request. While the realm can be reached, no timer runs.
async fn ask(exchange: &Arc<Exchange>, realm: &Realm) {
    let mut reachability = exchange.reachability();
    let mut networks = exchange.network_changes();
    let mut schedule = AskSchedule::new(FIRST, now());
    loop {
        let asks = tokio::select! {
            Ok(()) = networks.changed() => schedule.network_changed(now()),
            Ok(()) = reachability.changed() => false,
            () = until(schedule.due()) => true,
        };
        if asks {
            let Ok(question) = question(NOBODY, realm, Service::Kdc, random()) else {
                return;
            };
            exchange.counters().asked.add();
            exchange.answer(question, Arrival::now(OWN)).await;
            schedule.asked(now(), random());
        }
        let is_reachable = reachability.borrow_and_update().of(&realm.key());
        schedule.know(is_reachable, now(), random());
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests;
