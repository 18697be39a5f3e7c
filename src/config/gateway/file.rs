//! The file's shape, before any rule: keys, their TOML types, and where each value stands.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use crate::config::file::{List, Whole};

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    default,
    expecting = "a table"
)]
pub(super) struct File {
    pub(super) gateway: GatewayTable,
    pub(super) defaults: RealmTable,
    pub(super) realms: BTreeMap<Spanned<String>, RealmTable>,
}

/// `[gateway]`.
#[derive(Debug, Default, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    default,
    expecting = "a table, such as [gateway]"
)]
pub(super) struct GatewayTable {
    pub(super) listen: Option<Spanned<List>>,
    pub(super) certificate: Option<Spanned<String>>,
    pub(super) key: Option<Spanned<String>>,
    pub(super) plain_listen: Option<Spanned<List>>,
    pub(super) unix_mode: Option<Spanned<String>>,
    pub(super) trusted_proxies: Option<Spanned<List>>,
    pub(super) path: Option<Spanned<String>>,
    pub(super) client_ca_file: Option<Spanned<String>>,
    pub(super) require_client_cert: Option<Spanned<bool>>,
    pub(super) max_connections: Option<Spanned<Whole>>,
    pub(super) max_in_flight: Option<Spanned<Whole>>,
    pub(super) max_in_flight_per_kdc: Option<Spanned<Whole>>,
    pub(super) client_requests_per_second: Option<Spanned<Whole>>,
    pub(super) client_burst: Option<Spanned<Whole>>,
    pub(super) client_max_in_flight: Option<Spanned<Whole>>,
    pub(super) failed_logins_per_minute: Option<Spanned<Whole>>,
    pub(super) failed_login_burst: Option<Spanned<Whole>>,
    pub(super) access_log: Option<Spanned<String>>,
    pub(super) access_log_lines_per_second: Option<Spanned<Whole>>,
    pub(super) log_principals: Option<bool>,
    pub(super) metrics_listen: Option<Spanned<String>>,
}

/// `[realms."…"]`, and `[defaults]`, which holds the same keys.
#[derive(Debug, Default, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    default,
    expecting = "a table, such as [realms.\"EXAMPLE.COM\"]"
)]
pub(super) struct RealmTable {
    pub(super) kdcs: Option<Spanned<Kdcs>>,
    pub(super) kpasswd_servers: Option<Spanned<List>>,
    pub(super) aliases: Option<Spanned<List>>,
    pub(super) discover: Option<Spanned<bool>>,
    pub(super) discover_networks: Option<Spanned<List>>,
    pub(super) discover_ports: Option<Spanned<Vec<Spanned<Whole>>>>,
    pub(super) services: Option<Spanned<List>>,
    pub(super) transport: Option<Spanned<String>>,
    pub(super) deadline_seconds: Option<Spanned<Whole>>,
}

/// An array of KDCs, each an address or a table, with its place.
#[derive(Debug)]
pub(super) struct Kdcs(pub(super) Vec<Spanned<KdcItem>>);

/// A KDC as it was written.
#[derive(Debug)]
pub(super) struct KdcItem {
    pub(super) address: String,
    pub(super) primary: bool,
}

impl<'de> Deserialize<'de> for Kdcs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Kdcs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of KDCs, such as [\"dc1.example.com:88\"]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Kdcs, A::Error> {
                let mut kdcs = Vec::new();
                while let Some(kdc) = elements.next_element()? {
                    kdcs.push(kdc);
                }
                Ok(Kdcs(kdcs))
            }
        }
        deserializer.deserialize_seq(Reader)
    }
}

impl<'de> Deserialize<'de> for KdcItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        struct Table {
            address: String,
            #[serde(default)]
            primary: bool,
        }
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = KdcItem;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"host:port\", or { address = \"host:port\", primary = true }")
            }
            fn visit_str<E>(self, address: &str) -> Result<KdcItem, E> {
                Ok(KdcItem {
                    address: address.to_owned(),
                    primary: false,
                })
            }
            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<KdcItem, A::Error> {
                let Table { address, primary } =
                    Table::deserialize(MapAccessDeserializer::new(table))?;
                Ok(KdcItem { address, primary })
            }
        }
        deserializer.deserialize_any(Reader)
    }
}
