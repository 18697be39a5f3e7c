//! Clients other than MIT's and Heimdal's own: languages' libraries, and what lets users in at a machine's door.

mod java;
mod machine;
mod pam;
mod ssh;
