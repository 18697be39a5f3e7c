//! Where it is read.

use crate::config::{Listen, StatusSocket};
use crate::daemon::{bind, status_path, status_socket};
use crate::relay::failure::Failure;

/// Binds the socket that the status is read from; none if there is to be none, or the usual place will not do.
///
/// # Errors
/// The socket that the configuration names can't be bound.
pub(in crate::shim) fn bind(
    listen: &Listen,
) -> Result<Option<status_socket::StatusListener>, Failure> {
    let path = match &listen.status_socket {
        StatusSocket::Off => return Ok(None),
        StatusSocket::At(path) => return bind::bind_status(path, listen.status_mode).map(Some),
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
    match bind::bind_status(&path, listen.status_mode) {
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
