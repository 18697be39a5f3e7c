//! The file's shape, before any rule: keys, their TOML types, and where each value stands.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, SeqAccess, Visitor};
use toml::Spanned;

use super::error::{ConfigError, Place, Written};
use super::kdcs::{KdcList, Keys};

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    default,
    expecting = "a table"
)]
pub(super) struct File {
    pub(super) listen: ListenTable,
    pub(super) defaults: RealmTable,
    pub(super) realms: BTreeMap<Spanned<String>, RealmTable>,
}

/// `[listen]`.
#[derive(Debug, Default, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    default,
    expecting = "a table, such as [listen]"
)]
pub(super) struct ListenTable {
    pub(super) kdc: Option<Spanned<List>>,
    pub(super) kpasswd: Option<Spanned<List>>,
    pub(super) allow_remote_clients: Option<bool>,
    pub(super) unix_mode: Option<Spanned<String>>,
    pub(super) udp_reply_max_bytes: Option<Spanned<Whole>>,
    pub(super) max_connections: Option<Spanned<Whole>>,
    pub(super) idle_timeout_seconds: Option<Spanned<Whole>>,
    pub(super) max_in_flight: Option<Spanned<Whole>>,
    pub(super) status_socket: Option<Spanned<String>>,
    pub(super) status_mode: Option<Spanned<String>>,
    pub(super) exit_when_idle_seconds: Option<Spanned<Whole>>,
}

/// `[realms."…"]`, and `[defaults]`, which holds the same keys.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    default,
    expecting = "a table, such as [realms.\"EXAMPLE.COM\"]"
)]
pub(super) struct RealmTable {
    pub(super) proxies: Option<Spanned<ProxyList>>,
    pub(super) aliases: Option<Spanned<List>>,
    pub(super) ca_file: Option<Spanned<String>>,
    pub(super) deadline_seconds: Option<Spanned<Whole>>,
    pub(super) on_failure: Option<Spanned<String>>,
    pub(super) allow_plaintext: Option<bool>,
    pub(super) target_domain: Option<Spanned<String>>,
    pub(super) dclocator_hint: Option<Spanned<Whole>>,
    pub(super) direct: Option<Spanned<String>>,
    pub(super) kdcs: Option<Spanned<KdcList>>,
    pub(super) kpasswd_servers: Option<Spanned<List>>,
    pub(super) discover: Option<Spanned<bool>>,
    pub(super) discover_networks: Option<Spanned<List>>,
    pub(super) discover_ports: Option<Spanned<Vec<Spanned<Whole>>>>,
    pub(super) http_proxy: Option<Spanned<String>>,
    pub(super) client_certificate: Option<Spanned<String>>,
    pub(super) client_key: Option<Spanned<String>>,
    pub(super) client_key_passphrase_file: Option<Spanned<String>>,
    pub(super) headers: Option<Spanned<List>>,
    pub(super) headers_file: Option<Spanned<String>>,
    pub(super) bearer_token_file: Option<Spanned<String>>,
    pub(super) pins: Option<Spanned<List>>,
    pub(super) min_tls: Option<Spanned<String>>,
    pub(super) auth: Option<Spanned<String>>,
    pub(super) keytab: Option<Spanned<String>>,
    pub(super) ccache: Option<Spanned<String>>,
    pub(super) negotiate_principal: Option<Spanned<String>>,
    pub(super) any_realm: Option<bool>,
}

impl RealmTable {
    /// What it says of KDCs.
    pub(super) fn keys(&self) -> Keys<'_> {
        Keys {
            kdcs: self.kdcs.as_ref(),
            kpasswd_servers: self.kpasswd_servers.as_ref(),
            discover: self.discover.as_ref(),
            networks: self.discover_networks.as_ref(),
            ports: self.discover_ports.as_ref(),
        }
    }
}

/// A whole number of any size. Its bounds are a rule of its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole(pub(super) i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Whole;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }
            fn visit_i64<E>(self, number: i64) -> Result<Whole, E> {
                Ok(Whole(number))
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Whole, E> {
                i64::try_from(number)
                    .map(Whole)
                    .map_err(|_| E::custom("this number is too large"))
            }
        }
        deserializer.deserialize_i64(Reader)
    }
}

/// An array of strings, each with its place, so that an error points at the element.
#[derive(Debug, Clone, Default)]
pub(super) struct List(pub(super) Vec<Spanned<String>>);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = List;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of strings, such as [\"…\"]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<List, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = elements.next_element()? {
                    list.push(element);
                }
                Ok(List(list))
            }
        }
        deserializer.deserialize_seq(Reader)
    }
}

/// An array of URLs, or a word that stands for one.
#[derive(Debug, Clone)]
pub(super) enum ProxyList {
    List(List),
    Word(String),
}

impl<'de> Deserialize<'de> for ProxyList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = ProxyList;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of strings, such as [\"…\"], or \"discover\"")
            }
            fn visit_str<E>(self, word: &str) -> Result<ProxyList, E> {
                Ok(ProxyList::Word(word.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<ProxyList, A::Error> {
                List::deserialize(SeqAccessDeserializer::new(elements)).map(ProxyList::List)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl ProxyList {
    pub(super) fn written(&self) -> Vec<Written> {
        match self {
            Self::List(list) => list.written(),
            Self::Word(_) => Vec::new(),
        }
    }
}

impl List {
    pub(super) fn written(&self) -> Vec<Written> {
        let element = |text: &Spanned<String>| Written {
            text: text.get_ref().clone(),
            place: Place::Span(text.span()),
        };
        self.0.iter().map(element).collect()
    }
}

impl File {
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        parse(text)
    }
}

/// Reads the text, saying in TOML's words what serde says in its own.
pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let broken = reword(error.message());
        match error.span() {
            Some(span) => quote_realm(broken, text, &span).at(span),
            None => broken,
        }
    })
}

fn reword(message: &str) -> ConfigError {
    // The line shows which string it is, unless nobody should see it.
    let string = message.strip_prefix("invalid type: string \"");
    if let Some((_, expected)) = string.and_then(|rest| rest.rsplit_once("\", expected ")) {
        return ConfigError::new(format!("invalid type: string, expected {expected}"));
    }
    let Some((key, known)) = message
        .strip_prefix("unknown field ")
        .and_then(|rest| rest.split_once(", expected "))
    else {
        return ConfigError::new(message);
    };
    let known = known.trim_start_matches("one of ").replace('`', "");
    let known = known.replace(" or ", ", ");
    ConfigError::new(format!("unknown key {key}")).hint(format!("the keys known here are {known}"))
}

/// `[realms.EXAMPLE.COM]` is a table in a table to TOML: the error would speak of a key named `COM`.
fn quote_realm(broken: ConfigError, text: &str, span: &Range<usize>) -> ConfigError {
    let start = text
        .get(..span.start)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |newline| newline + 1);
    let line = text
        .get(start..)
        .and_then(|rest| rest.lines().next())
        .unwrap_or_default();
    let name = line
        .trim()
        .strip_prefix("[realms.")
        .and_then(|rest| rest.split_once(']'));
    match name {
        Some((name, _)) if name.contains('.') && !name.contains(['"', '\'']) => {
            broken.hint(format!("a realm needs quotes here: [realms.\"{name}\"]"))
        }
        _ => broken,
    }
}
