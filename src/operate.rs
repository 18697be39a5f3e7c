//! For people: what they ask, and how they are told.

pub mod check;
mod circumstances;
pub mod doctor;
pub mod import;
mod kdc_client;
pub mod krb5_conf;
mod service_user;
pub mod status;
pub mod terminal;
pub mod wait;

pub use circumstances::ReadWords;
