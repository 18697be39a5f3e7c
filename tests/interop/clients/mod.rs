//! Clients other than MIT's and Heimdal's own: languages' libraries, and what lets users in at a machine's door.

mod gokrb5;
mod gssapi;
mod impacket;
pub(crate) mod java;
pub(crate) mod machine;
mod mit;
mod nfs;
mod pam;
mod ssh;
mod sssd;

/// Sooner than a gateway or the program would give up, however slow the machine.
const SOON: std::time::Duration = std::time::Duration::from_secs(7);
