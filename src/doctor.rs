//! `loopkdc doctor`: asks the network, layer by layer, and says what is wrong and what to do next.

pub mod krb5_conf;
mod line;

pub use line::{Figure, Layer, Line, Verdict};
