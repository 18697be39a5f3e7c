//! A KDC's name: where it may lead, and how long anybody waits for it.

use std::time::{Duration, Instant};

use loopkdc::relay::upstream::kdc::{Kdc, KdcOptions, Permitted, Transport};
use loopkdc::relay::upstream::{ConnReuse, ConnectError, Fault, Unsent};

use crate::addresses::{granting, renamed, terms};
use crate::messages::Kind;
use crate::scripted::terms_of;
use crate::support::nameserver::SilentNameServer;
use crate::support::netns::isolated;
use crate::{ask, ask_over};

const FRESH: ConnReuse = ConnReuse::Never;

fn refused(why: &str) -> Fault {
    Fault::NotSent(Unsent::Connect(ConnectError::NotPermitted(why.into())))
}

fn is_unreachable(fault: &Fault) -> bool {
    matches!(fault, Fault::NotSent(Unsent::Connect(_)))
}

fn other_hosts(networks: &[&str]) -> Permitted {
    let networks = networks.iter().map(|network| network.parse().unwrap());
    Permitted::OtherHosts(networks.collect())
}

#[test]
fn a_name_that_leads_to_this_machine_is_refused_unless_it_is_allowed() {
    isolated(|| {
        renamed(&["127.0.0.2", "127.0.0.3"], async |_| {
            let first = granting().start_at("127.0.0.2:0").await;
            let beside = format!("127.0.0.3:{}", first.address.port());
            let second = granting().start_at(&beside).await;
            for transport in crate::BOTH {
                let terms = terms(first.address, transport);
                let kdc = Kdc::new(KdcOptions {
                    permitted: other_hosts(&[]),
                    ..terms.clone()
                });
                let fault = ask(&kdc, Kind::Plain).await.unwrap_err();
                let why = "its address 127.0.0.2 is refused: loopback";
                assert_eq!(fault, refused(why));
                let kdc = Kdc::new(KdcOptions {
                    permitted: other_hosts(&["127.0.0.3/32"]),
                    ..terms
                });
                ask(&kdc, Kind::Plain).await.unwrap();
            }
            assert_eq!(first.seen().connections, 0);
            assert_eq!(first.seen().asked(), (0, 0));
            assert_eq!(second.seen().asked(), (1, 1));
        });
    });
}

/// DNS rebinding: a name that was in order when it was found, and leads elsewhere when it is used.
#[test]
fn a_name_that_leads_elsewhere_later_leads_nowhere() {
    isolated(|| {
        renamed(&["127.0.0.3"], async |names| {
            let good = granting().start_at("127.0.0.3:0").await;
            let beside = format!("127.0.0.2:{}", good.address.port());
            let own = granting().start_at(&beside).await;
            let kdc = Kdc::new(KdcOptions {
                permitted: other_hosts(&["127.0.0.3/32"]),
                ..terms(good.address, Transport::TcpFirst)
            });
            ask_over(&kdc, Kind::Preauth, FRESH).await.unwrap();
            let address = good.stop().await;
            names.are(&["127.0.0.2"]);
            for _ in 0..3 {
                let fault = ask_over(&kdc, Kind::Preauth, FRESH).await.unwrap_err();
                assert!(is_unreachable(&fault), "{fault:?}");
            }
            assert_eq!(own.seen().connections, 0);
            let _good = granting().start_at(&address).await;
            ask_over(&kdc, Kind::Preauth, FRESH).await.unwrap();
        });
    });
}

#[test]
fn a_name_server_that_hangs_costs_no_more_than_a_connect() {
    isolated(|| {
        renamed(&[], async |_| {
            let _name_server = SilentNameServer::start();
            let began = Instant::now();
            for transport in crate::BOTH {
                let kdc = Kdc::new(terms_of("kdc.test:88".to_owned(), transport));
                let fault = ask(&kdc, Kind::Preauth).await.unwrap_err();
                assert_eq!(fault, Fault::NotSent(Unsent::ConnectTimeout));
            }
            // The resolver gives up after 10 s.
            assert!(began.elapsed() < Duration::from_secs(8));
        });
    });
}

#[test]
fn a_name_server_that_hangs_holds_up_nobody_who_knows_an_address() {
    isolated(|| {
        renamed(&["127.0.0.2"], async |names| {
            let name_server = SilentNameServer::start();
            let scripted = granting().start_at("127.0.0.2:0").await;
            let kdc = Kdc::new(terms(scripted.address, Transport::TcpFirst));
            ask_over(&kdc, Kind::Preauth, FRESH).await.unwrap();
            let address = scripted.stop().await;
            let fault = ask_over(&kdc, Kind::Preauth, FRESH).await.unwrap_err();
            assert!(is_unreachable(&fault), "{fault:?}");
            names.are(&[]);
            let _scripted = granting().start_at(&address).await;
            ask_over(&kdc, Kind::Preauth, FRESH).await.unwrap();
            let asked = name_server.queries();
            assert!(asked.iter().any(|name| name == "kdc.test"), "{asked:?}");
        });
    });
}
