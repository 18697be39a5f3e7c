//! A rule that the configuration breaks, shown at the place that breaks it.

use std::ops::Range;
use std::path::Path;

use super::document::ConfigSection;
use super::excerpt;
use super::keys::ConfigKey;
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::{FilePosition, Finding, Hint, Layer};
use crate::relay::text::urls::without_passwords;

/// A rule that is broken. The first place that is told of it is the closest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigError {
    rule: String,
    hints: Vec<Hint>,
    pub(super) place: ConfigPlace,
    exit: Exit,
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConfigPlace {
    /// Nowhere in particular: it was left out, or it is a default.
    File,
    /// Bytes of the file.
    Span(Range<usize>),
    /// The value of this key of the service's table.
    Key(&'static ConfigKey),
    /// An option of the command line, with its value.
    Option(String),
}

impl ConfigPlace {
    pub(crate) fn option(option: &str, value: &str) -> Self {
        Self::Option(without_passwords(&format!("{option} {value}")))
    }
}

/// A value, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) place: ConfigPlace,
}

impl<T> Located<T> {
    /// A rule that this value breaks.
    pub(crate) fn error(&self, rule: impl Into<String>) -> ConfigError {
        ConfigError::new(rule).at(&self.place)
    }

    /// What `parse` makes of it; its errors stand at this place.
    pub(crate) fn parse<U>(
        &self,
        parse: impl FnOnce(&T) -> Result<U, ConfigError>,
    ) -> Result<U, ConfigError> {
        parse(&self.value).map_err(|error| error.at(&self.place))
    }
}

impl ConfigError {
    pub(crate) fn new(rule: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            hints: Vec::new(),
            place: ConfigPlace::File,
            exit: Exit::Config,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<Hint>) -> Self {
        let hint = match hint.into() {
            Hint::Text(text) => Hint::Text(without_passwords(&text)),
            hint => hint,
        };
        self.hints.push(hint);
        self
    }

    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Says where, unless a closer place is known already.
    pub(crate) fn at(mut self, place: &ConfigPlace) -> Self {
        if self.place == ConfigPlace::File {
            self.place = place.clone();
        }
        self
    }

    /// Says where in `table` the key stands that is to blame.
    pub(super) fn in_table(mut self, table: &ConfigSection) -> Self {
        if let ConfigPlace::Key(key) = self.place {
            self.place = table.place(key);
        }
        self
    }

    /// What the user reads. `source`: the file that spans refer to, with its text.
    pub(crate) fn into_failure(self, source: Option<(&Path, &str)>) -> Failure {
        let rule = without_passwords(&self.rule);
        let finding = match (self.place, source) {
            (ConfigPlace::Span(span), Some((path, text))) => {
                let (position, excerpt) = excerpt::of(path, text, &span);
                Finding::fault(format!("{rule}\n{excerpt}")).in_file(position)
            }
            (ConfigPlace::Option(option), _) => Finding::fault(format!("{option}: {rule}")),
            (_, Some((path, _))) => Finding::fault(rule).in_file(FilePosition {
                path: path.display().to_string(),
                line: None,
                column: None,
            }),
            (_, None) => Finding::fault(rule),
        };
        let finding = finding.on(Layer::Configuration).hints(self.hints);
        Failure::of(self.exit, finding)
    }
}
