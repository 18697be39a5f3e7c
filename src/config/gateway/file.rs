//! The file's shape, before any rule: keys, their TOML types, and where each value stands.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::config::file::{List, Whole};
use crate::config::kdcs::{KdcList, Keys};

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
    pub(super) kdcs: Option<Spanned<KdcList>>,
    pub(super) kpasswd_servers: Option<Spanned<List>>,
    pub(super) aliases: Option<Spanned<List>>,
    pub(super) discover: Option<Spanned<bool>>,
    pub(super) discover_networks: Option<Spanned<List>>,
    pub(super) discover_ports: Option<Spanned<Vec<Spanned<Whole>>>>,
    pub(super) services: Option<Spanned<List>>,
    pub(super) transport: Option<Spanned<String>>,
    pub(super) deadline_seconds: Option<Spanned<Whole>>,
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
