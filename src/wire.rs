//! Bytes to types and back: Kerberos messages, their framing on streams, and [MS-KKDCP]'s envelope.
//!
//! Pure: nothing here does I/O or reads a clock, and nothing here trusts a length that it was
//! told. What arrives is parsed once, at the door; after [`KerberosMessage::parse`] and
//! [`Reply::parse`] nobody reads raw bytes for meaning.

pub(crate) mod as_req;
mod asn1;
mod framed;
pub mod kkdcp;
pub mod kpasswd;
pub mod krb_error;
mod message;
mod outline;
mod padata;
mod preauth_error;
mod principal;
pub mod proxied;
mod realm;
mod reply;
mod ticket;
mod validation;

pub use asn1::{GeneralString, IntegerFlags};
pub use framed::{Deframer, FieldTooLong, Framed};
pub use kkdcp::KdcProxyMessage;
pub use message::{ByService, KerberosMessage, Kind, MAX_REQUEST, NotKerberos, Resend, Service};
pub use outline::{OuterName, OuterPreauth, Outline};
pub use preauth_error::PreauthError;
pub use proxied::Proxied;
pub(crate) use realm::is_unseen;
pub use realm::{Realm, RealmError, RealmKey};
pub use reply::{MAX_REPLY, Reply, ReplyKind};
pub use validation::Invalid;

#[cfg(test)]
pub(crate) mod tests {
    pub(crate) mod handmade;
}
