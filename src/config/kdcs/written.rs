//! KDCs as the file writes them, before any rule.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

/// An array of KDCs, each an address or a table, with its place.
#[derive(Debug, Clone)]
pub(in crate::config) struct KdcList(pub(super) Vec<Spanned<KdcItem>>);

/// A KDC as it was written.
#[derive(Debug, Clone)]
pub(in crate::config) struct KdcItem {
    pub(super) address: String,
    pub(super) primary: bool,
}

impl<'de> Deserialize<'de> for KdcList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = KdcList;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of KDCs, such as [\"dc1.example.com:88\"]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<KdcList, A::Error> {
                let mut kdcs = Vec::new();
                while let Some(kdc) = elements.next_element()? {
                    kdcs.push(kdc);
                }
                Ok(KdcList(kdcs))
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
