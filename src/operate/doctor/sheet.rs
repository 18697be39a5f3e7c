//! The lines about one upstream, as they come.

use super::line::{Layer, Line, Verdict};

/// What was found about an upstream of a realm.
#[derive(Debug)]
pub(super) struct Sheet {
    realm: String,
    upstream: Option<String>,
    /// So far.
    pub(super) lines: Vec<Line>,
}

impl Sheet {
    pub(super) fn new(realm: impl ToString, upstream: Option<String>) -> Self {
        Self {
            realm: realm.to_string(),
            upstream,
            lines: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, line: Line) {
        let line = line.of(&self.realm);
        self.lines.push(match &self.upstream {
            Some(upstream) => line.at(upstream.clone()),
            None => line,
        });
    }

    /// The layers of `layers` that nothing was said about were not looked at, and why.
    pub(super) fn skip(&mut self, layers: &[Layer], why: &str) {
        for layer in layers {
            if self.lines.iter().all(|line| line.layer != *layer) {
                self.push(Line::skipped(*layer, why));
            }
        }
    }

    /// The upstream that it is about; empty if none.
    pub(super) fn about(&self) -> &str {
        self.upstream.as_deref().unwrap_or_default()
    }

    /// Whether something is wrong.
    pub(super) fn is_faulty(&self) -> bool {
        self.lines.iter().any(|line| line.verdict == Verdict::Fault)
    }
}
