//! Where the status is read: a Unix socket that is only written to. Each connection gets one document and the end of it.
//!
//! Nothing is read, so there is nothing to be parsed; and nothing is written but to those that connect.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{env, io};

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::accept::{accept_each, answer_once};
use super::bind::{StreamSocket, bind_status};
use super::slots::ConnLimit;
use super::tasks::Tasks;
use super::user::{is_own, is_root};
use crate::config::{Listen, StatusSocket};
use crate::relay::exchange::Exchange;
use crate::relay::failure::Failure;
use crate::relay::shares::Holder;
use crate::relay::status::DaemonKind;

/// Connections at once: few look, and the kernel's buffer takes a document whole.
const CONNECTIONS: usize = 8;
/// How long somebody may take to read the document.
const DEADLINE: Duration = Duration::from_secs(5);

/// The socket, bound. Its file goes with it.
#[derive(Debug)]
pub struct StatusListener {
    listener: StreamSocket,
    path: PathBuf,
    /// Device and inode: another daemon may have put its own there.
    file: (u64, u64),
}

impl StatusListener {
    pub(crate) fn new(listener: StreamSocket, path: &Path) -> io::Result<Self> {
        Ok(Self {
            listener,
            path: path.to_owned(),
            file: file(path)?,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for StatusListener {
    fn drop(&mut self) {
        if file(&self.path).is_ok_and(|file| file == self.file) {
            // What can't be removed is found to be stale by the next daemon.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

fn file(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Binds the socket that the status is read from; none if the configuration wants none, or if the usual place cannot be used.
///
/// # Errors
/// The socket that the configuration names can't be bound.
pub(crate) fn bind(listen: &Listen) -> Result<Option<StatusListener>, Failure> {
    match &listen.status_socket {
        StatusSocket::Off => Ok(None),
        StatusSocket::At(path) => bind_status(path, listen.status_mode).map(Some),
        StatusSocket::Usual => Ok(bind_usual(DaemonKind::Run, listen.status_mode)),
    }
}

/// Binds it at the usual place of `daemon`, with `mode`; none if that cannot be used.
pub(crate) fn bind_usual(daemon: DaemonKind, mode: u32) -> Option<StatusListener> {
    let hint = match daemon {
        DaemonKind::Run => "status-socket under [listen] can name another place",
        DaemonKind::Gateway => "$RUNTIME_DIRECTORY can name another folder",
    };
    let Some(path) = usual_path(daemon) else {
        tracing::info!("there is no usual place for the status; {hint}");
        return None;
    };
    if let Some(folder) = path.parent() {
        // If that fails, so does what follows, and says why.
        drop(std::fs::create_dir(folder));
    }
    let bound = bind_status(&path, mode);
    let told = bound.inspect_err(|failure| {
        let why = failure.message();
        tracing::info!("the status can't be read: {why}; {hint}");
    });
    told.ok()
}

/// Writes what `document` makes to each connection, in `tasks`, until they stop. `exchange` counts. Must be called inside a
/// runtime.
pub fn serve(
    socket: StatusListener,
    document: impl Fn() -> Vec<u8> + Send + Sync + 'static,
    exchange: &Arc<Exchange>,
    tasks: &Tasks,
) {
    let limit = ConnLimit::new(CONNECTIONS, exchange, tasks);
    let document = Arc::new(document);
    tasks.tracker.spawn(async move {
        let one = |stream, slot| {
            let document = Arc::clone(&document);
            async move { answer_once(slot, DEADLINE, write(stream, &document())).await }
        };
        accept_each(&socket.listener, &limit, |_| Some(Holder::Unknown), one).await;
    });
}

async fn write(mut stream: impl AsyncWrite + Unpin, document: &[u8]) -> io::Result<()> {
    stream.write_all(document).await?;
    stream.shutdown().await
}

/// Where the folder of the system's daemon is.
const SYSTEM: &str = "/run";
const FILE: &str = "status.sock";

/// Where the socket of `daemon` is unless it is told: in the folder that the service manager made, else in the system's or, for who
/// is not root, in the user's. None where there is neither.
pub(crate) fn usual_path(daemon: DaemonKind) -> Option<PathBuf> {
    place(
        daemon.unit(),
        &variable("RUNTIME_DIRECTORY"),
        &variable("XDG_RUNTIME_DIR"),
        is_root(),
    )
}

/// Where the socket of `daemon` is looked for, in this order: the user's own, then the system's.
pub(crate) fn known_paths(daemon: DaemonKind) -> Vec<PathBuf> {
    let user = variable("XDG_RUNTIME_DIR");
    // After su(1) it may be another user's, who can have any words there.
    if is_own(Path::new(&user)) {
        reader(daemon.unit(), &user)
    } else {
        reader(daemon.unit(), OsStr::new(""))
    }
}

fn variable(name: &str) -> std::ffi::OsString {
    env::var_os(name).unwrap_or_default()
}

fn place(name: &str, service: &OsStr, user: &OsStr, is_root: bool) -> Option<PathBuf> {
    // systemd names several folders with colons between (systemd.exec(5)).
    let given = env::split_paths(service).find(|path| path.is_absolute());
    let system = || is_root.then(|| Path::new(SYSTEM).join(name));
    let folder = given.or_else(system).or_else(|| own(name, user))?;
    Some(folder.join(FILE))
}

fn reader(name: &str, user: &OsStr) -> Vec<PathBuf> {
    let places = own(name, user).into_iter();
    let places = places.chain([Path::new(SYSTEM).join(name)]);
    places.map(|folder| folder.join(FILE)).collect()
}

fn own(name: &str, user: &OsStr) -> Option<PathBuf> {
    let user = Path::new(user);
    user.is_absolute().then(|| user.join(name))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::UnixStream;

    use super::*;
    use crate::relay::answer::OnFailure;
    use crate::relay::exchange::Routing;
    use crate::relay::routes::Routes;

    fn exchange() -> Arc<Exchange> {
        let routing = Routing::new(Routes::default(), Vec::new(), OnFailure::Unreachable);
        Exchange::new(routing, 1)
    }

    #[tokio::test]
    async fn who_does_not_read_is_not_waited_for() {
        let connections = ConnLimit::new(1, &exchange(), &Tasks::default());
        let (client, stream) = UnixStream::pair().unwrap();
        let slot = connections.acquire(Holder::Unknown).unwrap();
        let document = vec![b' '; 16 * 1024 * 1024];
        let served = answer_once(slot, Duration::from_millis(20), write(stream, &document));
        let patience = Duration::from_secs(5);
        tokio::time::timeout(patience, served).await.unwrap();
        drop(client);
    }

    #[tokio::test]
    async fn who_asks_gets_one_document_whatever_they_say() {
        let (exchange, tasks) = (exchange(), Tasks::default());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status.sock");
        let socket = bind_status(&path, 0o600).unwrap();
        serve(socket, || b"{}".to_vec(), &exchange, &tasks);
        for said in [&b""[..], &[b'?'; 4096]] {
            let mut client = UnixStream::connect(&path).await.unwrap();
            // It may have been answered before.
            drop(client.write_all(said).await);
            let mut read = Vec::new();
            drop(client.read_to_end(&mut read).await);
            assert_eq!(read, b"{}");
        }
        tasks.end(&exchange).await;
        assert!(!path.exists(), "the file goes with the daemon");
    }

    #[tokio::test]
    async fn those_who_do_not_read_make_room() {
        let (exchange, tasks) = (exchange(), Tasks::default());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status.sock");
        let socket = bind_status(&path, 0o600).unwrap();
        let document = || vec![b' '; 4 * 1024 * 1024];
        serve(socket, document, &exchange, &tasks);
        let mut crowd = Vec::new();
        for _ in 0..3 * CONNECTIONS {
            crowd.push(UnixStream::connect(&path).await.unwrap());
        }
        let mut client = UnixStream::connect(&path).await.unwrap();
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.unwrap();
        assert_eq!(read.len(), document().len());
        tasks.stop.cancel();
    }

    #[tokio::test]
    async fn a_file_of_anothers_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status.sock");
        let before = bind_status(&path, 0o600).unwrap();
        std::fs::remove_file(&path).unwrap();
        let other = bind_status(&path, 0o600).unwrap();
        drop(before);
        assert!(path.exists());
        let refused = bind_status(&path, 0o600).unwrap_err().to_string();
        assert!(
            refused.contains("another loopkdc may listen there"),
            "{refused}"
        );
        drop(other);
        assert!(!path.exists());
    }

    #[test]
    fn the_daemons_place_is_the_service_managers_else_the_systems_else_the_users() {
        let place = |service: &str, user: &str, is_root| {
            let place = place("loopkdc", OsStr::new(service), OsStr::new(user), is_root);
            place.map(|place| place.display().to_string())
        };
        for (service, user, is_root, expected) in [
            (
                "/run/loopkdc",
                "/run/user/1000",
                false,
                "/run/loopkdc/status.sock",
            ),
            (
                "/run/user/1/loopkdc:/run/x",
                "",
                false,
                "/run/user/1/loopkdc/status.sock",
            ),
            ("", "/run/user/0", true, "/run/loopkdc/status.sock"),
            (
                "relative",
                "/run/user/1000",
                false,
                "/run/user/1000/loopkdc/status.sock",
            ),
        ] {
            assert_eq!(place(service, user, is_root).as_deref(), Some(expected));
        }
        assert_eq!(place("", "", false), None);
        assert_eq!(place("", "relative", false), None);
    }

    #[test]
    fn who_reads_looks_for_their_own_first() {
        let places = |user| reader("loopkdc", OsStr::new(user));
        let system = PathBuf::from("/run/loopkdc/status.sock");
        let own = PathBuf::from("/run/user/1000/loopkdc/status.sock");
        assert_eq!(places("/run/user/1000"), [own, system.clone()]);
        assert_eq!(places(""), [system]);
        let gateway = PathBuf::from("/run/loopkdc-gateway/status.sock");
        assert_eq!(reader("loopkdc-gateway", OsStr::new("")), [gateway]);
    }
}
