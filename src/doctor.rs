//! `loopkdc doctor`: asks the network, layer by layer, and says what is wrong and what to do next.

mod line;

pub use line::{Figure, Layer, Line, Verdict};
