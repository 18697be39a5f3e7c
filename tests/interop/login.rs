//! The login at a laptop: SSSD with identities from LDAP or from a domain, at the office and away from it.
//!
//! Away, the directory is gone and everything of the tunnel is up. SSSD is offline then, and a login is let in by the password that
//! it remembers, without a ticket, unless a second krb5.conf of its own says that there is an HTTPS proxy.

mod endless;
mod laptop;
mod provider;
mod rows;
mod slow;
pub(crate) mod sssd;
mod two_modules;
mod watcher;
