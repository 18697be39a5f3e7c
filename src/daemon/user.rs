//! The user that this process runs as.

use std::path::Path;

/// The effective user's number.
pub(crate) fn id() -> u32 {
    rustix::process::geteuid().as_raw()
}

pub(crate) fn is_root() -> bool {
    id() == 0
}

/// True if `path` belongs to this user.
pub(crate) fn is_own(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().is_ok_and(|metadata| metadata.uid() == id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_here_is_own() {
        let dir = tempfile::tempdir().unwrap();
        assert!(is_own(dir.path()));
        assert!(!is_own(&dir.path().join("none")));
        // Root's, or nobody's where root is not known.
        assert_eq!(is_own(Path::new("/")), is_root());
    }
}
