//! `loopkdc doctor --gateway`: the machine that a gateway runs on, what it serves HTTPS with, and each KDC of each realm.

use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use futures_util::future::join_all;
use tokio::time::timeout;

use super::realm::kdc_names;
use super::report::{DoctorOutput, is_fault};
use super::{AskedRealm, CONFIG_LINE, MACHINE, ask, kdc, load, tell_each, unreadable};
use super::{configuration, connection, daemon, handshake, ports};
use crate::config::endpoint::{Endpoint, EndpointAddr};
use crate::config::gateway::{GatewayConfig, KdcRealm};
use crate::operate::circumstances::{self, Circumstances};
use crate::operate::status::{StatusError, StatusReply};
use crate::relay::finding::{Finding, Layer, Severity};
use crate::relay::status::DaemonKind;
use crate::relay::text::closest;
use crate::relay::upstream::kdc::{Permitted, Reach};
use crate::relay::upstream::tls::SystemRoots;
use crate::wire::{Realm, Service};

const GATEWAY: DaemonKind = DaemonKind::Gateway;

/// Looks at all there is; the configuration that was read.
pub(super) async fn examine(
    realm: Option<&str>,
    file: Option<PathBuf>,
    output: &mut DoctorOutput,
) -> Option<String> {
    let began = Instant::now();
    let read = |file: Option<PathBuf>| GatewayConfig::load(file.as_deref());
    let heard = output.wait_for("the status", MACHINE, ask(GATEWAY)).await;
    let running = heard.as_ref().ok();
    let sources = running.and_then(|heard| circumstances::sources_of(heard, |_| None));
    let file = file.or(sources.and_then(|sources| sources.file));
    output.circumstances = Circumstances::new(file.as_deref(), running.map(|it| it.process));
    let load = load(GATEWAY, file, read);
    let config = match output
        .wait_for(CONFIG_LINE, configuration::LIMIT, load)
        .await
    {
        Ok(config) => config,
        Err(fault) => {
            output.tell([*fault]);
            output.skip_after(Layer::Configuration, "there is no configuration to go by");
            return None;
        }
    };
    let file = config.source.display().to_string();
    let (count, warnings) = (config.realms.len(), config.warnings());
    output.tell(configuration::valid(GATEWAY, &file, count, warnings));
    machine(&config, &file, &heard, output).await;
    let realms = chosen(&config, realm);
    if realms.is_empty() {
        output.tell([no_realm(&config, &file, realm)]);
        output.skip_after(Layer::Tls, "there is no realm to look at");
        return Some(file);
    }
    let examined = realms.into_iter().map(|entry| {
        let asked = AskedRealm::new(&entry.realm, entry.deadline, began);
        (asked, examine_realm(asked, entry))
    });
    tell_each(examined, output).await;
    Some(file)
}

/// What is to be said of this machine, and of the gateway on it.
async fn machine(
    config: &GatewayConfig,
    file: &str,
    heard: &Result<StatusReply, StatusError>,
    output: &mut DoctorOutput,
) {
    let serving = &config.serving;
    let status = heard.as_ref().ok().map(|heard| &heard.document);
    let process = heard.as_ref().ok().map(|heard| heard.process);
    output.tell(unreadable(GATEWAY, &config.source, config.files(), process).await);
    let metrics = serving.metrics.map(EndpointAddr::of);
    let metrics = metrics.map(Endpoint::needed);
    let endpoints = serving.https.iter().chain(&serving.plain).chain(&metrics);
    let ports = ports::examine(GATEWAY, endpoints, file, status);
    output.tell(ports.findings);
    // Of one that other machines reach the configuration's warnings tell.
    if let Some(EndpointAddr::Loopback(addr)) = metrics.map(|metrics| metrics.addr) {
        let addr = addr.get();
        let whose = "for every user of this machine, and for no other machine";
        let what = format!("http://{addr}/metrics: {whose}");
        output.tell([Finding::ok(Layer::Ports, what)]);
    }
    output.tell(daemon::examine(GATEWAY, heard, &ports.owner, file));
    if let Some(tls) = &serving.tls {
        let (roots, now) = (SystemRoots::load(), SystemTime::now());
        output.tell(handshake::own_certificate(tls, &roots, status, now));
    }
}

/// The realms to look at: the one that is `wanted`, or all.
fn chosen<'a>(config: &'a GatewayConfig, wanted: Option<&str>) -> Vec<&'a KdcRealm> {
    let wanted = wanted.and_then(|wanted| Realm::parse(wanted.as_bytes()).ok());
    let is_it = |entry: &&KdcRealm| {
        let mut names = std::iter::once(&entry.realm).chain(&entry.aliases);
        let is_named = |wanted: &Realm| names.any(|name| name.key() == wanted.key());
        wanted.as_ref().is_none_or(is_named)
    };
    config.realms.iter().filter(is_it).collect()
}

fn no_realm(config: &GatewayConfig, file: &str, wanted: Option<&str>) -> Finding {
    let table = "[realms.\"EXAMPLE.COM\"]\n    kdcs = [\"dc1.example.com\"]";
    let write = format!("write into {file}:\n    {table}");
    let wanted = wanted.and_then(|wanted| Realm::parse(wanted.as_bytes()).ok());
    let Some(wanted) = wanted else {
        let fault = Finding::fault(format!("no realm is named in {file}"));
        return fault.on(Layer::Configuration).hint(write);
    };
    let realms = config.realms.iter();
    let names = realms.flat_map(|entry| std::iter::once(&entry.realm).chain(&entry.aliases));
    let other = closest(wanted.as_str(), names.map(Realm::as_str));
    configuration::unknown(GATEWAY, &wanted, file, other, &write)
}

/// All that is to be said of a realm.
async fn examine_realm(asked: AskedRealm<'_>, entry: &KdcRealm) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (names, permitted) = kdc_names(&entry.kdcs, Reach::Always, &mut findings).await;
    let offered =
        |is_offered: bool, names: Vec<String>| names.into_iter().filter(move |_| is_offered);
    let kdcs = offered(entry.services.kdc, names.kdc);
    let kpasswd = offered(entry.services.kpasswd, names.kpasswd);
    let (kdcs, kpasswd) = tokio::join!(
        join_all(kdcs.map(|name| examine_kdc(asked, name, &permitted))),
        join_all(kpasswd.map(|name| password_server(asked, name, &permitted))),
    );
    findings.extend(forgiven(kdcs));
    findings.extend(forgiven(kpasswd));
    findings.into_iter().map(|it| it.of(asked.realm)).collect()
}

/// Whether it serves, and what is found of it.
async fn examine_kdc(
    asked: AskedRealm<'_>,
    name: String,
    permitted: &Permitted,
) -> (bool, Vec<Finding>) {
    let examined = kdc::examine(asked, &name, permitted, Reach::Always).await;
    let of_gateway = |finding: Finding| {
        let is_kdcs = [Some(Layer::Kdc), Some(Layer::Kpasswd)].contains(&finding.subject.layer);
        if !is_fault(&finding) || !is_kdcs {
            return finding;
        }
        let purpose = "see whether kdcs names the KDCs of this realm";
        let finding = Finding {
            hints: Vec::new(),
            ..finding
        };
        finding.command(purpose, GATEWAY.command("check"))
    };
    let findings = examined.findings.into_iter().map(of_gateway);
    (examined.times.is_some(), findings.collect())
}

/// The same of where passwords are changed; none is.
async fn password_server(
    asked: AskedRealm<'_>,
    name: String,
    permitted: &Permitted,
) -> (bool, Vec<Finding>) {
    let mut found = Vec::new();
    let connected = connection::connect(&name, &name, permitted, kdc::CONNECT, &mut found);
    match timeout(asked.left(), connected).await {
        Ok(Ok(stream)) => {
            if let Ok(address) = stream.peer_addr() {
                drop(stream);
                let finding = kdc::change_nothing(asked, &name, permitted).await;
                let purpose = "start kadmind there, or see whether kpasswd-servers names where passwords are changed";
                found.push(if is_fault(&finding) {
                    finding.command(purpose, GATEWAY.command("check"))
                } else {
                    finding
                });
                found.push(kdc::over_udp(asked, Service::Kpasswd, address).await);
            }
        }
        Ok(Err(fault)) => found.push(fault),
        Err(_) => found.push(Finding::skipped(Layer::Kpasswd, "there was no time left")),
    }
    let on = |finding: Finding| finding.on(Layer::Kpasswd).at(&name);
    let serves = !found.iter().any(is_fault);
    (serves, found.into_iter().map(on).collect())
}

/// Where one serves, that another does not is no fault of the realm; but each that does has to have the right time.
fn forgiven(servers: Vec<(bool, Vec<Finding>)>) -> Vec<Finding> {
    let is_served = servers.iter().any(|(serves, _)| *serves);
    let findings = servers.into_iter().flat_map(|(_, findings)| findings);
    let forgive = |finding: Finding| {
        if is_served && is_fault(&finding) && finding.subject.layer != Some(Layer::Clock) {
            return Finding {
                severity: Severity::Warning,
                ..finding
            };
        }
        finding
    };
    findings.map(forgive).collect()
}
