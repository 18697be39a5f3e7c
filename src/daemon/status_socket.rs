//! Where the status is read: a Unix socket that is only written to. Each connection gets one document and the end of it.
//!
//! Nothing is read, so there is nothing to be parsed; and nothing is written but to those that connect.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Listen, StatusSocket};
use crate::daemon::accept::{Accept, accept_each};
use crate::daemon::bind::bind_status;
use crate::daemon::slots::{ConnLimit, ConnSlot};
use crate::daemon::{panics, status_path};
use crate::relay::exchange::Exchange;
use crate::relay::failure::Failure;

/// Connections at once: few look, and the kernel's buffer takes a document whole.
const CONNECTIONS: usize = 8;
/// How long somebody may take to read the document.
const DEADLINE: Duration = Duration::from_secs(5);

/// The socket, bound. Its file goes with it.
#[derive(Debug)]
pub struct StatusListener {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode: another daemon may have put its own there.
    file: (u64, u64),
}

impl StatusListener {
    pub(crate) fn new(listener: UnixListener, path: &Path) -> io::Result<Self> {
        Ok(Self {
            listener,
            path: path.to_owned(),
            file: file(path)?,
        })
    }

    /// Where it is.
    #[must_use]
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

impl Accept for StatusListener {
    type Stream = UnixStream;
    async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

/// Binds the socket that the status is read from; none if the configuration wants none, or if the usual place cannot be used.
///
/// # Errors
/// The socket that the configuration names can't be bound.
pub(crate) fn bind(listen: &Listen) -> Result<Option<StatusListener>, Failure> {
    let path = match &listen.status_socket {
        StatusSocket::Off => return Ok(None),
        StatusSocket::At(path) => return bind_status(path, listen.status_mode).map(Some),
        StatusSocket::Usual => status_path::of_daemon(),
    };
    let Some(path) = path else {
        tracing::info!(
            "there is no usual place for the status: status-socket under [listen] can name one"
        );
        return Ok(None);
    };
    if let Some(folder) = path.parent() {
        // If that fails, so does what follows, and says why.
        drop(std::fs::create_dir(folder));
    }
    match bind_status(&path, listen.status_mode) {
        Ok(socket) => Ok(Some(socket)),
        Err(failure) => {
            let why = failure.message();
            tracing::info!(
                "the status can't be read: {why}; status-socket under [listen] can name another place"
            );
            Ok(None)
        }
    }
}

/// Writes what `document` makes to each connection, in tasks of `tasks`, until `stop`. `exchange` counts. Must be called
/// inside a runtime.
pub fn serve(
    socket: StatusListener,
    document: impl Fn() -> Vec<u8> + Send + Sync + 'static,
    exchange: &Arc<Exchange>,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) {
    let connections = ConnLimit::new(CONNECTIONS, exchange, stop);
    let (of_each, exchange, document) = (tasks.clone(), Arc::clone(exchange), Arc::new(document));
    tasks.spawn(async move {
        let open = |stream, slot| {
            let document = Arc::clone(&document);
            let one = async move { one(stream, slot, &document(), DEADLINE).await };
            panics::spawn_catching(&of_each, &exchange, one);
        };
        accept_each(&socket, &connections, open).await;
    });
}

async fn one(mut stream: UnixStream, slot: ConnSlot, document: &[u8], deadline: Duration) {
    let write = async {
        stream.write_all(document).await?;
        stream.shutdown().await
    };
    let write = tokio::time::timeout(deadline, write);
    match slot.close.run_until_cancelled(write).await {
        Some(Ok(Err(error))) => tracing::debug!(%error, "writing the status"),
        Some(Err(_)) => tracing::debug!("the status was not taken in time"),
        Some(Ok(Ok(()))) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

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
        let (exchange, stop) = (exchange(), CancellationToken::new());
        let connections = ConnLimit::new(1, &exchange, &stop);
        let (client, stream) = UnixStream::pair().unwrap();
        let slot = connections.acquire().unwrap();
        let document = vec![b' '; 16 * 1024 * 1024];
        let served = one(stream, slot, &document, Duration::from_millis(20));
        let patience = Duration::from_secs(5);
        tokio::time::timeout(patience, served).await.unwrap();
        drop(client);
    }

    #[tokio::test]
    async fn who_asks_gets_one_document_whatever_they_say() {
        let (exchange, stop) = (exchange(), CancellationToken::new());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status.sock");
        let socket = bind_status(&path, 0o600).unwrap();
        let tasks = TaskTracker::new();
        serve(socket, || b"{}".to_vec(), &exchange, &stop, &tasks);
        for said in [&b""[..], &[b'?'; 4096]] {
            let mut client = UnixStream::connect(&path).await.unwrap();
            // It may have been answered before.
            drop(client.write_all(said).await);
            let mut read = Vec::new();
            drop(client.read_to_end(&mut read).await);
            assert_eq!(read, b"{}");
        }
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        assert!(!path.exists(), "the file goes with the daemon");
    }

    #[tokio::test]
    async fn those_who_do_not_read_make_room() {
        let (exchange, stop) = (exchange(), CancellationToken::new());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status.sock");
        let socket = bind_status(&path, 0o600).unwrap();
        let document = || vec![b' '; 4 * 1024 * 1024];
        serve(socket, document, &exchange, &stop, &TaskTracker::new());
        let mut crowd = Vec::new();
        for _ in 0..3 * CONNECTIONS {
            crowd.push(UnixStream::connect(&path).await.unwrap());
        }
        let mut client = UnixStream::connect(&path).await.unwrap();
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.unwrap();
        assert_eq!(read.len(), document().len());
        stop.cancel();
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
