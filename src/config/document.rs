//! Text becomes tables whose keys are known, and whose values are of the type and within the bounds that the table of keys says.
//!
//! What a value means is read elsewhere; here it is only told where it stands.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeTable, DeValue, ValueDeserializer};

use super::error::{ConfigError, ConfigPlace, Located};
use super::keys::ValueKind::{
    self, Address, Addresses, Flag, Flags, Integer, List, ListOr, Mode, Ports, Tables, Text, Word,
};
use super::keys::{ADDRESS, ConfigKey, KeyTable, Mark, Preset, REMOVED, Schema};
use crate::relay::text::closest;

/// A file.
#[derive(Debug, Default)]
pub(super) struct Document<'i> {
    /// `[listen]` or `[gateway]`.
    pub(super) service: ConfigSection<'i>,
    pub(super) defaults: ConfigSection<'i>,
    /// In the file's order.
    pub(super) realms: Vec<RealmSection<'i>>,
    /// Keys that do nothing any more.
    pub(super) removed: Vec<(&'static str, Range<usize>)>,
}

/// The table of a realm.
#[derive(Debug)]
pub(super) struct RealmSection<'i> {
    pub(super) name: Located<String>,
    /// What it says itself.
    pub(super) own: ConfigSection<'i>,
    /// With what `[defaults]` says where it says nothing.
    pub(super) all: ConfigSection<'i>,
}

/// The values of a table, each as its key has to be.
#[derive(Debug, Clone, Default)]
pub(super) struct ConfigSection<'i>(BTreeMap<&'static str, Spanned<DeValue<'i>>>);

type Name<'i> = Spanned<Cow<'i, str>>;
type Value<'i> = Spanned<DeValue<'i>>;

impl<'i> Document<'i> {
    /// # Errors
    /// The text is no TOML, or holds a key that nobody knows or a value that its key can't have.
    pub(super) fn parse(text: &'i str, schema: &'static Schema) -> Result<Self, ConfigError> {
        let root = DeTable::parse(text).map_err(|error| {
            let place = error.span().map_or(ConfigPlace::File, ConfigPlace::Span);
            ConfigError::new(error.message()).at(&place)
        })?;
        let mut document = Self::default();
        let service = schema.service.header.trim_matches(['[', ']']);
        for (name, value) in in_order(root.get_ref()) {
            match &**name.get_ref() {
                "defaults" => document.defaults = document.section(schema.realm, value)?,
                "realms" => document.add_realms(schema.realm, value)?,
                known if known == service => {
                    document.service = document.section(schema.service, value)?;
                }
                _ => return Err(unknown_key(name, &[service, "defaults", "realms"])),
            }
        }
        document.inherit(schema.realm)?;
        Ok(document)
    }

    fn add_realms(&mut self, table: &KeyTable, value: &Value<'i>) -> Result<(), ConfigError> {
        for (name, value) in in_order(table_of(value, table)?) {
            let own = self.section(table, value)?;
            self.realms.push(RealmSection {
                name: located(name, name.get_ref().to_string()),
                own,
                all: ConfigSection::default(),
            });
        }
        Ok(())
    }

    /// Hands on to the realms what `[defaults]` says.
    fn inherit(&mut self, table: &KeyTable) -> Result<(), ConfigError> {
        let mut of_one_realm = table.keys.iter().filter(|key| key.is(Mark::OfOneRealm));
        if let Some(key) = of_one_realm.find(|key| self.defaults.is_written(key)) {
            let rule = format!(
                "{} belongs to one realm: it can't stand in [defaults]",
                key.name
            );
            let hint = "move it under the realm: [realms.\"EXAMPLE.COM\"]";
            return Err(self.defaults.error(key, rule).hint(hint));
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
        value: &Value<'i>,
    ) -> Result<ConfigSection<'i>, ConfigError> {
        let mut section = ConfigSection::default();
        for (name, value) in in_order(table_of(value, table)?) {
            if let Some(key) = table.keys.iter().find(|key| key.name == name.get_ref()) {
                check(key, &key.kind, value)?;
                section.0.insert(key.name, value.clone());
            } else if let Some(removed) = REMOVED.iter().find(|key| *key == name.get_ref()) {
                self.removed.push((removed, name.span()));
            } else if value.get_ref().is_table() && table.header.starts_with("[realms.") {
                // Such as `[realms.EXAMPLE.COM]`, which is a table `COM` in a table `EXAMPLE` to TOML.
                return Err(unknown_key(name, &[])
                    .hint("a realm needs quotes here: [realms.\"EXAMPLE.COM\"]"));
            } else {
                let known: Vec<_> = table.keys.iter().map(|key| key.name).collect();
                return Err(unknown_key(name, &known));
            }
        }
        Ok(section)
    }
}

/// Entries of a table as they stand in the file.
fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<(&'t Name<'i>, &'t Value<'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

fn table_of<'t, 'i>(
    value: &'t Value<'i>,
    table: &KeyTable,
) -> Result<&'t DeTable<'i>, ConfigError> {
    value.get_ref().as_table().ok_or_else(|| {
        let rule = format!("this is a table, such as {}", table.header);
        ConfigError::new(rule).at(&place(value))
    })
}

fn unknown_key(name: &Name<'_>, known: &[&str]) -> ConfigError {
    let written = name.get_ref();
    let error = ConfigError::new(format!("unknown key `{written}`")).at(&place(name));
    match closest(written, known.iter().copied()) {
        Some(closest) => error.hint(format!("did you mean {closest}?")),
        None if known.is_empty() => error,
        None => error.hint(format!("the keys known here are {}", known.join(", "))),
    }
}

/// A port (RFC 9293 3.1).
const PORT: ValueKind = Integer(1..=65535);
/// Signed or not.
const BITS_32: RangeInclusive<i64> = -2_147_483_648..=4_294_967_295;

/// The value, or an element of it, is of this kind.
fn check(key: &ConfigKey, kind: &ValueKind, value: &Value<'_>) -> Result<(), ConfigError> {
    let name = key.name;
    let each = |array: &DeArray<'_>, kind| array.iter().try_for_each(|item| check(key, kind, item));
    let checked = match (kind, value.get_ref()) {
        (Text | ListOr(_) | Address(_), DeValue::String(_)) | (Flag, DeValue::Boolean(_)) => Ok(()),
        (Word(words), DeValue::String(text)) if words.contains(&&**text) => Ok(()),
        (Word(words), DeValue::String(_)) => {
            let words = words.join("\" or \"");
            Err(ConfigError::new(format!("{name} is \"{words}\"")))
        }
        (Mode, DeValue::String(text)) => mode(name, text).map(drop),
        (Integer(bounds), DeValue::Integer(number)) => within(name, bounds, number),
        (Flags(_), DeValue::Integer(number)) => within(name, &BITS_32, number),
        (Flags(names), DeValue::Array(array)) => each(array, &Word(names)),
        (Ports, DeValue::Array(array)) => each(array, &PORT),
        (List | ListOr(_), DeValue::Array(array)) => each(array, &Text),
        (Addresses(parts), DeValue::Array(array)) => each(array, &Address(parts)),
        (Address(parts), DeValue::Table(_)) => check_parts(parts, &[&ADDRESS], value),
        (Tables(parts), DeValue::Array(array)) => {
            let mut tables = array.iter();
            tables.try_for_each(|table| {
                let checked = check_parts(parts, parts.keys, table);
                checked.map_err(|error| error.at(&place(table)))
            })
        }
        _ => Err(wrong_type(key, value)),
    };
    checked.map_err(|error| error.at(&place(value)))
}

/// A table of these keys, of which those that are `needed` are there.
fn check_parts(
    table: &KeyTable,
    needed: &[&ConfigKey],
    value: &Value<'_>,
) -> Result<(), ConfigError> {
    let parts = Document::default().section(table, value)?;
    let missing = needed.iter().find(|key| !parts.is_written(key));
    missing.map_or(Ok(()), |key| {
        let hint = format!("write it like {}", table.header);
        Err(ConfigError::new(format!("{} is missing", key.name)).hint(hint))
    })
}

fn within(
    name: &str,
    bounds: &RangeInclusive<i64>,
    number: &DeInteger<'_>,
) -> Result<(), ConfigError> {
    match i64::from_str_radix(number.as_str(), number.radix()) {
        Ok(parsed) if bounds.contains(&parsed) => Ok(()),
        _ => Err(ConfigError::new(format!(
            "{name} goes from {} to {}, {number} is outside",
            bounds.start(),
            bounds.end()
        ))),
    }
}

/// Permission bits. Above 0777 are setuid, setgid and sticky, which mean nothing on a socket.
fn mode(name: &str, text: &str) -> Result<u32, ConfigError> {
    let is_octal = text.len() <= 4 && !text.starts_with('+');
    let mode = u32::from_str_radix(text, 8).ok();
    mode.filter(|mode| is_octal && *mode <= 0o777)
        .ok_or_else(|| {
            ConfigError::new(format!(
                "{name} goes from \"0000\" to \"0777\" in octal digits"
            ))
            .hint("\"0666\" lets every local user in, \"0660\" the group")
        })
}

fn wrong_type(key: &ConfigKey, value: &Value<'_>) -> ConfigError {
    let (name, found) = (key.name, value.get_ref().type_str());
    let (Preset::Default(example) | Preset::Example(example)) = key.preset;
    ConfigError::new(format!("{name} can't be of type {found}"))
        .hint(format!("write it like {name} = {example}"))
        .at(&place(value))
}

impl ConfigSection<'_> {
    /// The key stands here.
    pub(super) fn is_written(&self, key: &ConfigKey) -> bool {
        self.0.contains_key(key.name)
    }

    /// Where the key's value stands, if it does.
    pub(super) fn place(&self, key: &ConfigKey) -> ConfigPlace {
        self.0.get(key.name).map_or(ConfigPlace::File, place)
    }

    /// What was written.
    pub(super) fn written<T: DeserializeOwned>(&self, key: &ConfigKey) -> Option<Located<T>> {
        let written = self.0.get(key.name)?;
        Some(located(written, deserialized(written.clone())?))
    }

    /// The string that was written.
    pub(super) fn text(&self, key: &ConfigKey) -> Option<Located<String>> {
        self.written(key)
    }

    /// `true` was written.
    pub(super) fn flag(&self, key: &ConfigKey) -> bool {
        self.get(key).unwrap_or_default()
    }

    /// What holds: what was written, or the default.
    pub(super) fn get<T: DeserializeOwned>(&self, key: &ConfigKey) -> Result<T, ConfigError> {
        let value = match (self.0.get(key.name), key.preset) {
            (Some(written), _) => Some(written.clone()),
            (None, Preset::Default(text)) => DeValue::parse(text).ok(),
            (None, Preset::Example(_)) => None,
        };
        // A default that this type can't hold would be an error in the table of keys.
        let value = value.and_then(deserialized);
        value.ok_or_else(|| ConfigError::new(format!("{} has no value", key.name)))
    }

    /// The elements of an array, if one was written or is the default.
    pub(super) fn list<T: DeserializeOwned>(&self, key: &ConfigKey) -> Vec<Located<T>> {
        let list: Vec<Spanned<T>> = self.get(key).unwrap_or_default();
        let is_written = self.is_written(key);
        let element = |element: Spanned<T>| Located {
            place: if is_written {
                place(&element)
            } else {
                ConfigPlace::File
            },
            value: element.into_inner(),
        };
        list.into_iter().map(element).collect()
    }

    /// What `parse` makes of the string, if one was written.
    pub(super) fn parse<T>(
        &self,
        key: &ConfigKey,
        parse: impl FnOnce(&str) -> Result<T, ConfigError>,
    ) -> Result<Option<T>, ConfigError> {
        let parsed = self
            .text(key)
            .map(|written| written.parse(|text| parse(text)));
        parsed.transpose()
    }

    /// What `parse` makes of each element of the array.
    pub(super) fn parse_each<T: DeserializeOwned, U>(
        &self,
        key: &ConfigKey,
        mut parse: impl FnMut(&T) -> Result<U, ConfigError>,
    ) -> Result<Vec<U>, ConfigError> {
        let list = self.list(key);
        list.iter()
            .map(|written| written.parse(&mut parse))
            .collect()
    }

    /// A rule that the key's value breaks, or its absence.
    pub(super) fn error(&self, key: &ConfigKey, rule: impl Into<String>) -> ConfigError {
        ConfigError::new(rule).at(&self.place(key))
    }

    /// The seconds that hold.
    pub(super) fn seconds(&self, key: &ConfigKey) -> Result<Duration, ConfigError> {
        self.get(key).map(Duration::from_secs)
    }

    /// The permission bits that hold.
    pub(super) fn mode(&self, key: &ConfigKey) -> Result<u32, ConfigError> {
        mode(key.name, &self.get::<String>(key)?)
    }
}

fn deserialized<T: DeserializeOwned>(value: Value<'_>) -> Option<T> {
    T::deserialize(ValueDeserializer::from(value)).ok()
}

fn place<T>(value: &Spanned<T>) -> ConfigPlace {
    ConfigPlace::Span(value.span())
}

fn located<T, V>(at: &Spanned<V>, value: T) -> Located<T> {
    let place = place(at);
    Located { value, place }
}
