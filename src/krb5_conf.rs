//! krb5.conf, the file that says where each realm's KDCs are.
//!
//! `profile` reads it as MIT krb5 does; it is pure.

#[cfg(test)]
pub(crate) mod disk;
mod machine;
pub(crate) mod profile;

#[cfg(test)]
mod tests;

pub(crate) use machine::{MAX_FILE, Machine};
