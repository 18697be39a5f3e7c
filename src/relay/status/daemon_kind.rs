//! What has a name of its own for each of the two daemons.

use super::DaemonKind;

impl DaemonKind {
    /// What its unit and its folders are called.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Run => "loopkdc",
            Self::Gateway => "loopkdc-gateway",
        }
    }

    /// The `command` that is about it, as it is typed.
    pub(crate) fn command(self, command: &str) -> impl Iterator<Item = &str> {
        let option = (self == Self::Gateway).then_some("--gateway");
        ["loopkdc", command].into_iter().chain(option)
    }

    /// The same by root.
    pub(crate) fn as_root(self, command: &str) -> impl Iterator<Item = &str> {
        ["sudo"].into_iter().chain(self.command(command))
    }

    /// What starts it without a service manager.
    pub(crate) fn start(self) -> &'static str {
        match self {
            Self::Run => "loopkdc run",
            Self::Gateway => "loopkdc gateway",
        }
    }

    /// The table of its file that says where it listens.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Run => "[listen]",
            Self::Gateway => "[gateway]",
        }
    }
}
