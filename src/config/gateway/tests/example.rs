//! The example that is shipped.

use std::collections::BTreeSet;

use super::{GATEWAY, REALM, build, warnings};
use crate::config::gateway::Quotas;
use crate::config::tests::example::{in_use, known};
use crate::config::{Kdcs, keys};

const EXAMPLE: &str = include_str!("../../../../packaging/gateway.example.toml");

#[test]
fn as_shipped_it_lacks_a_certificate_and_nothing_else() {
    let with = EXAMPLE.replace("[gateway]\n", GATEWAY);
    assert_eq!(build(&with).serving, build(GATEWAY).serving);
    assert!(build(&with).realms.is_empty());
}

#[test]
fn in_use_it_is_valid_and_says_the_defaults() {
    let config = build(&in_use(EXAMPLE));
    assert_eq!(
        warnings(&config),
        [
            "client-ca-file has no say over plain-listen: the reverse proxy must check certificates there"
        ]
    );
    let (shown, plain) = (&config.serving, build(GATEWAY).serving);
    let bounds = |serving: &crate::config::gateway::Serving| {
        let Quotas {
            requests_per_second,
            burst,
            in_flight,
            failures_per_minute,
            failure_burst,
            failures_per_principal,
            patience: _,
        } = serving.quotas;
        (
            serving.unix_mode,
            (
                serving.path.clone(),
                serving.is_strict,
                serving.idle_timeout,
            ),
            [
                serving.max_connections,
                serving.max_in_flight,
                serving.max_in_flight_per_kdc,
            ],
            [
                requests_per_second,
                burst,
                in_flight,
                failures_per_minute,
                failure_burst,
                failures_per_principal,
            ],
            serving.access_log.clone(),
        )
    };
    assert_eq!(bounds(shown), bounds(&plain));
    let addrs = |serving: &crate::config::gateway::Serving| {
        let addr = |endpoint: &crate::config::endpoint::Endpoint| endpoint.addr.clone();
        serving.https.iter().map(addr).collect::<Vec<_>>()
    };
    assert_eq!(addrs(shown), addrs(&plain));

    let (shown, plain) = (
        &config.realms[0],
        &build(&format!("{GATEWAY}{REALM}")).realms[0],
    );
    assert_eq!(
        (
            shown.services,
            shown.transport,
            shown.deadline,
            shown.serves_other_realms
        ),
        (
            plain.services,
            plain.transport,
            plain.deadline,
            plain.serves_other_realms
        )
    );
    let Kdcs::Listed(listed) = &shown.kdcs else {
        panic!("{:?}", shown.kdcs)
    };
    assert_eq!(
        (
            listed.kdc.as_ref().map(Vec::len),
            listed.kpasswd.as_ref().map(Vec::len)
        ),
        (Some(2), Some(1))
    );
}

#[test]
fn every_key_stands_in_it() {
    let shown: toml::Table = toml::from_str(&in_use(EXAMPLE)).unwrap();
    let keys = |table: &toml::Value| {
        let table = table.as_table().unwrap();
        table.keys().cloned().collect::<BTreeSet<_>>()
    };
    assert_eq!(keys(&shown["gateway"]), known(keys::GATEWAY.service));
    let of_realms = &keys(&shown["defaults"]) | &keys(&shown["realms"]["EXAMPLE.COM"]);
    assert_eq!(of_realms, known(keys::GATEWAY.realm));
}
