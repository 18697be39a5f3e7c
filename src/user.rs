//! Whose process this is.

/// The effective user's number; on systems whose users have none, nobody's.
#[cfg(unix)]
pub(crate) fn id() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
pub(crate) fn id() -> u32 {
    u32::MAX
}

pub(crate) fn is_root() -> bool {
    id() == 0
}
