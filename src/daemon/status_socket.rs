//! Where the status is read: a Unix socket that is only written to. Each connection gets one document and the end of it.
//!
//! Nothing is read, so there is nothing to be parsed; and nothing is written but to those that connect.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::config::{Listen, StatusSocket};
use crate::daemon::accept::{accept_each, answer_once};
use crate::daemon::bind::{StreamSocket, bind_status};
use crate::daemon::slots::ConnLimit;
use crate::daemon::status_path;
use crate::daemon::tasks::Tasks;
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
    let Some(path) = status_path::of_daemon(daemon) else {
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
}
