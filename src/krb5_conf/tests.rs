//! What is read, what is written, and where.

mod profile;
