//! Text becomes tables whose keys are known, and whose values are of the type and within the bounds that the table of keys says.
//!
//! What a value means is read elsewhere; here it is only told where it stands.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeTable, DeValue};

use super::error::{ConfigError, ConfigPlace, Located};
use super::keys::{ConfigKey, KeyTable, Preset, REMOVED, Schema, ValueKind};

/// A file.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// `[listen]` or `[gateway]`.
    pub(super) service: ConfigSection,
    pub(super) defaults: ConfigSection,
    /// In the file's order.
    pub(super) realms: Vec<RealmSection>,
    /// Keys that do nothing any more.
    pub(super) removed: Vec<Located<&'static str>>,
}

/// The table of a realm.
#[derive(Debug)]
pub(super) struct RealmSection {
    pub(super) name: Located<String>,
    /// What it says itself.
    pub(super) own: ConfigSection,
    /// With what `[defaults]` says where it says nothing.
    pub(super) all: ConfigSection,
}

/// The values of a table.
#[derive(Debug, Clone, Default)]
pub(super) struct ConfigSection(BTreeMap<&'static str, Located<ConfigValue>>);

#[derive(Debug, Clone)]
enum ConfigValue {
    Text(String),
    Flag(bool),
    Integer(i64),
    Ports(Vec<u16>),
    List(Vec<Located<String>>),
    Kdcs(Vec<Located<WrittenKdc>>),
}

/// The address of a KDC as it was written.
#[derive(Debug, Clone)]
pub(super) struct WrittenKdc {
    pub(super) text: String,
    pub(super) primary: bool,
}

impl Document {
    /// # Errors
    /// The text is no TOML, or holds a key that nobody knows or a value that its key can't have.
    pub(super) fn parse(text: &str, schema: &'static Schema) -> Result<Self, ConfigError> {
        let root = DeTable::parse(text).map_err(|error| {
            let broken = ConfigError::new(error.message());
            match error.span() {
                Some(span) => broken.at(&ConfigPlace::Span(span)),
                None => broken,
            }
        })?;
        let mut document = Self::default();
        let service = schema.service.header.trim_matches(['[', ']']);
        for (name, value) in in_order(root.get_ref()) {
            match &**name.get_ref() {
                "defaults" => document.defaults = document.section(schema.realm, value, text)?,
                "realms" => document.realms = document.realms(schema.realm, value, text)?,
                known if known == service => {
                    document.service = document.section(schema.service, value, text)?;
                }
                _ => return Err(unknown_key(name, &[service, "defaults", "realms"])),
            }
        }
        document.inherit(schema.realm)?;
        Ok(document)
    }

    fn realms(
        &mut self,
        table: &KeyTable,
        value: &Spanned<DeValue<'_>>,
        text: &str,
    ) -> Result<Vec<RealmSection>, ConfigError> {
        let realms = in_order(table_of(value, table)?);
        let realm = |(name, value): (&Spanned<Cow<'_, str>>, _)| {
            Ok(RealmSection {
                name: located(name, name.get_ref().to_string()),
                own: self.section(table, value, text)?,
                all: ConfigSection::default(),
            })
        };
        realms.into_iter().map(realm).collect()
    }

    /// Hands on to the realms what `[defaults]` says.
    fn inherit(&mut self, table: &KeyTable) -> Result<(), ConfigError> {
        let mut of_one_realm = table.keys.iter().filter(|key| key.of_one_realm);
        let misplaced = of_one_realm.find_map(|key| Some((key, self.defaults.place(key)?)));
        if let Some((key, place)) = misplaced {
            let name = key.name;
            return Err(ConfigError::new(format!(
                "{name} belongs to one realm: it can't stand in [defaults]"
            ))
            .hint("move it under the realm: [realms.\"EXAMPLE.COM\"]")
            .at(place));
        }
        for realm in &mut self.realms {
            realm.all = self.defaults.clone();
            realm.all.0.extend(realm.own.0.clone());
        }
        Ok(())
    }

    fn section(
        &mut self,
        table: &KeyTable,
        value: &Spanned<DeValue<'_>>,
        text: &str,
    ) -> Result<ConfigSection, ConfigError> {
        let mut section = ConfigSection::default();
        for (name, value) in in_order(table_of(value, table)?) {
            if let Some(key) = table.keys.iter().find(|key| key.name == name.get_ref()) {
                let read = read(key, value).map_err(|error| error.at(&place(value)))?;
                section.0.insert(key.name, located(value, read));
            } else if let Some(removed) = REMOVED.iter().find(|key| *key == name.get_ref()) {
                self.removed.push(located(name, removed));
            } else {
                let known: Vec<_> = table.keys.iter().map(|key| key.name).collect();
                return Err(unquoted_realm(name, text).unwrap_or_else(|| unknown_key(name, &known)));
            }
        }
        Ok(section)
    }
}

/// Entries of a table as they stand in the file.
fn in_order<'t, 'i>(
    table: &'t DeTable<'i>,
) -> Vec<(&'t Spanned<Cow<'i, str>>, &'t Spanned<DeValue<'i>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

fn table_of<'t, 'i>(
    value: &'t Spanned<DeValue<'i>>,
    table: &KeyTable,
) -> Result<&'t DeTable<'i>, ConfigError> {
    value.get_ref().as_table().ok_or_else(|| {
        let expected = format!("a table, such as {}", table.header);
        wrong_type(value, &expected).at(&place(value))
    })
}

fn unknown_key(name: &Spanned<Cow<'_, str>>, known: &[&str]) -> ConfigError {
    let written = name.get_ref();
    let alike = |known: &&&str| strsim::damerau_levenshtein(written, known);
    let closest = known
        .iter()
        .min_by_key(alike)
        .filter(|known| alike(known) <= 2);
    let error = ConfigError::new(format!("unknown key `{written}`")).at(&place(name));
    match closest {
        Some(closest) => error.hint(format!("did you mean {closest}?")),
        None => error.hint(format!("the keys known here are {}", known.join(", "))),
    }
}

/// `[realms.EXAMPLE.COM]` is a table in a table to TOML, of which the key `COM` would be unknown.
fn unquoted_realm(name: &Spanned<Cow<'_, str>>, text: &str) -> Option<ConfigError> {
    let before = text.get(..name.span().start)?;
    let (_, begun) = before.rsplit_once('\n').unwrap_or(("", before));
    let line = text.get(before.len() - begun.len()..)?.lines().next()?;
    let (realm, _) = line.trim().strip_prefix("[realms.")?.split_once(']')?;
    let is_unquoted = realm.contains('.') && !realm.contains(['"', '\'']);
    let error = ConfigError::new(format!("unknown key `{}`", name.get_ref())).at(&place(name));
    is_unquoted.then(|| error.hint(format!("a realm needs quotes here: [realms.\"{realm}\"]")))
}

/// A value of the key's type, within its bounds.
fn read(key: &ConfigKey, value: &Spanned<DeValue<'_>>) -> Result<ConfigValue, ConfigError> {
    let name = key.name;
    match (&key.kind, value.get_ref()) {
        (ValueKind::Text | ValueKind::ListOr(_), DeValue::String(text)) => {
            Ok(ConfigValue::Text(text.to_string()))
        }
        (ValueKind::Word(words), DeValue::String(text)) if words.contains(&&**text) => {
            Ok(ConfigValue::Text(text.to_string()))
        }
        (ValueKind::Word(words), DeValue::String(_)) => Err(ConfigError::new(format!(
            "{name} is {}",
            alternatives(words)
        ))),
        (ValueKind::Mode, DeValue::String(text)) => mode(name, text),
        (ValueKind::Flag, DeValue::Boolean(flag)) => Ok(ConfigValue::Flag(*flag)),
        (ValueKind::Integer(bounds), DeValue::Integer(number)) => {
            within(name, bounds, number).map(ConfigValue::Integer)
        }
        (ValueKind::Ports, DeValue::Array(array)) => elements(array, port)
            .map(|ports| ConfigValue::Ports(ports.into_iter().map(|port| port.value).collect())),
        (ValueKind::List | ValueKind::ListOr(_), DeValue::Array(array)) => {
            elements(array, string).map(ConfigValue::List)
        }
        (ValueKind::Addresses, DeValue::Array(array)) => {
            elements(array, kdc).map(ConfigValue::Kdcs)
        }
        (kind, _) => Err(wrong_type(value, kind.expected())),
    }
}

fn elements<T>(
    array: &DeArray<'_>,
    read: fn(&Spanned<DeValue<'_>>) -> Result<T, ConfigError>,
) -> Result<Vec<Located<T>>, ConfigError> {
    let element = |element: &Spanned<DeValue<'_>>| {
        let value = read(element).map_err(|error| error.at(&place(element)))?;
        Ok(located(element, value))
    };
    array.iter().map(element).collect()
}

fn string(value: &Spanned<DeValue<'_>>) -> Result<String, ConfigError> {
    let text = value.get_ref().as_str().map(str::to_owned);
    text.ok_or_else(|| wrong_type(value, "a string"))
}

fn port(value: &Spanned<DeValue<'_>>) -> Result<u16, ConfigError> {
    let number = value.get_ref().as_integer();
    let number = number.ok_or_else(|| wrong_type(value, "a whole number"))?;
    let port = within("a port", &(1..=65535), number)?;
    Ok(u16::try_from(port).unwrap_or_default())
}

/// `"host:port"`, or a table of that and `primary`.
fn kdc(value: &Spanned<DeValue<'_>>) -> Result<WrittenKdc, ConfigError> {
    const EXPECTED: &str = "\"host:port\", or { address = \"host:port\", primary = true }";
    let DeValue::Table(table) = value.get_ref() else {
        let text = value.get_ref().as_str().map(str::to_owned);
        let text = text.ok_or_else(|| wrong_type(value, EXPECTED))?;
        let primary = false;
        return Ok(WrittenKdc { text, primary });
    };
    let (mut text, mut primary) = (None, false);
    for (name, value) in in_order(table) {
        match (&**name.get_ref(), value.get_ref()) {
            ("address", DeValue::String(address)) => text = Some(address.to_string()),
            ("primary", DeValue::Boolean(flag)) => primary = *flag,
            ("address", _) => return Err(wrong_type(value, "a string").at(&place(value))),
            ("primary", _) => return Err(wrong_type(value, "a boolean").at(&place(value))),
            _ => return Err(unknown_key(name, &["address", "primary"])),
        }
    }
    let text = text.ok_or_else(|| {
        ConfigError::new("a KDC has an address").hint(format!("write {EXPECTED}"))
    })?;
    Ok(WrittenKdc { text, primary })
}

fn within(
    name: &str,
    bounds: &RangeInclusive<i64>,
    number: &DeInteger<'_>,
) -> Result<i64, ConfigError> {
    let written = number.as_str();
    let parsed = i64::from_str_radix(written, number.radix()).ok();
    parsed
        .filter(|number| bounds.contains(number))
        .ok_or_else(|| {
            let (least, most) = (bounds.start(), bounds.end());
            let written = parsed.map_or_else(|| written.to_owned(), |number| number.to_string());
            ConfigError::new(format!(
                "{name} goes from {least} to {most}, {written} is outside"
            ))
        })
}

/// Permission bits. Above 0777 are setuid, setgid and sticky, which mean nothing on a socket.
fn mode(name: &str, text: &str) -> Result<ConfigValue, ConfigError> {
    let is_octal =
        (1..=4).contains(&text.len()) && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let mode = i64::from_str_radix(text, 8).ok();
    let mode = mode.filter(|mode| is_octal && *mode <= 0o777);
    mode.map(ConfigValue::Integer).ok_or_else(|| {
        ConfigError::new(format!(
            "{name} goes from \"0000\" to \"0777\" in octal digits"
        ))
        .hint("\"0666\" lets every local user in, \"0660\" the group")
    })
}

/// `"a", "b" or "c"`.
fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

fn wrong_type(value: &Spanned<DeValue<'_>>, expected: &str) -> ConfigError {
    let found = value.get_ref().type_str();
    ConfigError::new(format!("invalid type: {found}, expected {expected}"))
}

impl ValueKind {
    fn expected(&self) -> &'static str {
        match self {
            Self::Text | Self::Word(_) => "a string",
            Self::Mode => "a string of octal digits, such as \"0660\"",
            Self::Flag => "a boolean",
            Self::Integer(_) => "a whole number",
            Self::Ports => "an array of whole numbers",
            Self::List => "an array of strings, such as [\"…\"]",
            Self::ListOr(_) => "an array of strings, such as [\"…\"], or \"discover\"",
            Self::Addresses => "an array of KDCs, such as [\"dc1.example.com:88\"]",
        }
    }
}

impl ConfigKey {
    /// What holds where the file says nothing. An example holds nowhere.
    fn default(&self) -> Option<ConfigValue> {
        let Preset::Default(text) = self.preset else {
            return None;
        };
        let value = DeValue::parse(text).ok()?;
        read(self, &value).ok()
    }
}

impl ConfigSection {
    /// Where the key stands, if it does.
    pub(super) fn place(&self, key: &ConfigKey) -> Option<&ConfigPlace> {
        self.0.get(key.name).map(|value| &value.place)
    }

    /// A string that was written.
    pub(super) fn text(&self, key: &ConfigKey) -> Option<Located<&str>> {
        let value = self.0.get(key.name)?;
        match &value.value {
            ConfigValue::Text(text) => Some(value.with(text.as_str())),
            _ => None,
        }
    }

    /// The elements of an array of strings, or of its default.
    pub(super) fn strings(&self, key: &ConfigKey) -> Vec<Located<String>> {
        match self.value(key) {
            Some(ConfigValue::List(list)) => list,
            _ => Vec::new(),
        }
    }

    /// KDCs that were written.
    pub(super) fn addresses(&self, key: &ConfigKey) -> &[Located<WrittenKdc>] {
        match self.0.get(key.name).map(|value| &value.value) {
            Some(ConfigValue::Kdcs(kdcs)) => kdcs,
            _ => &[],
        }
    }

    /// The string that holds: one that has a default.
    pub(super) fn word(&self, key: &ConfigKey) -> String {
        match self.value(key) {
            Some(ConfigValue::Text(text)) => text,
            _ => String::new(),
        }
    }

    pub(super) fn flag(&self, key: &ConfigKey) -> bool {
        matches!(self.value(key), Some(ConfigValue::Flag(true)))
    }

    pub(super) fn ports(&self, key: &ConfigKey) -> Vec<u16> {
        match self.value(key) {
            Some(ConfigValue::Ports(ports)) => ports,
            _ => Vec::new(),
        }
    }

    /// The number that holds: one that has a default.
    pub(super) fn number<T: TryFrom<i64>>(&self, key: &ConfigKey) -> Result<T, ConfigError> {
        let number = match self.value(key) {
            Some(ConfigValue::Integer(number)) => T::try_from(number).ok(),
            _ => None,
        };
        // Bounds that this type can't hold would be an error in the table of keys.
        number.ok_or_else(|| ConfigError::new(format!("{} has no value", key.name)))
    }

    /// The seconds that hold.
    pub(super) fn seconds(&self, key: &ConfigKey) -> Result<Duration, ConfigError> {
        self.number(key).map(Duration::from_secs)
    }

    /// What holds.
    fn value(&self, key: &ConfigKey) -> Option<ConfigValue> {
        let written = self.0.get(key.name).map(|value| value.value.clone());
        written.or_else(|| key.default())
    }
}

fn place<T>(value: &Spanned<T>) -> ConfigPlace {
    ConfigPlace::Span(value.span())
}

fn located<T, V>(at: &Spanned<V>, value: T) -> Located<T> {
    let place = place(at);
    Located { value, place }
}
