//! KDCs that are asked themselves where they can be reached.

use std::time::{Duration, Instant, SystemTime};

use tokio::time::timeout;

use super::as_req::{self, Target};
use super::estimate::Pace;
use super::kdc_reply::Heard;
use super::line::{Layer, Line};
use super::names::{self, Place};
use super::sheet::Sheet;
use super::{Terms, tcp};
use crate::relay::advice::{self, Kind, Upstream};
use crate::relay::upstream::kdc::{Kdc, Permitted, Reach, Transport};
use crate::relay::upstream::{Connection, Fault, Sent, kdc};

const LAYERS: [Layer; 5] = [
    Layer::Names,
    Layer::Tcp,
    Layer::Kdc,
    Layer::Clock,
    Layer::Kpasswd,
];
/// Until a KDC that is near has taken a connection.
const CONNECT: Duration = Duration::from_secs(2);
const AWAY: &str = "it is not on this network, which is no fault";

/// Looks at the KDC at `name`, `host:port`. That it cannot be reached is no fault: it need not be on every network.
pub(super) async fn examine(
    terms: Terms<'_>,
    name: &str,
    permitted: &Permitted,
) -> (Sheet, Option<Pace>) {
    let mut sheet = Sheet::new(terms.realm, Some(name.to_owned()));
    let pace = ask(terms, name, permitted, &mut sheet).await;
    sheet.skip(&LAYERS, AWAY);
    (sheet, pace)
}

async fn ask(
    terms: Terms<'_>,
    name: &str,
    permitted: &Permitted,
    sheet: &mut Sheet,
) -> Option<Pace> {
    let upstream = Upstream {
        kind: Kind::Kdc,
        name,
    };
    let place = Place::parse(name, Kind::Kdc.key())?;
    let (addresses, line) = names::look_up(&place, permitted, upstream, CONNECT).await;
    if addresses.is_empty() {
        // Where the office's name server is not, its names are not.
        sheet.push(Line::skipped(
            Layer::Names,
            format!("{}: {AWAY}", line.what),
        ));
        return None;
    }
    sheet.push(line);
    match tcp::connect(&addresses, CONNECT).await {
        Ok((_, line)) => sheet.push(line),
        Err((_, error)) => {
            sheet.push(Line::skipped(
                Layer::Tcp,
                format!("{}: {AWAY}", tcp::why(&error)),
            ));
            return None;
        }
    }
    let kdc = Kdc::new(kdc::Terms {
        name: name.to_owned(),
        transport: Transport::TcpFirst,
        max_in_flight: 1,
        permitted: permitted.clone(),
        reach: Reach::OnSomeNetworks,
    });
    let mut took = Vec::new();
    for (layer, target) in [
        (Layer::Kdc, Target::Tgt),
        (Layer::Kpasswd, Target::ChangePw),
    ] {
        match question(terms, &kdc, target).await {
            Ok(heard) => {
                sheet.push(heard.kdc(layer, target, terms.realm.as_str()));
                if sheet.is_faulty() {
                    sheet.skip(&LAYERS, "not asked, as there is a fault before it");
                    return None;
                }
                if layer == Layer::Kdc {
                    sheet.push(heard.clock());
                }
                took.push(heard.took());
            }
            Err(fault) => {
                let advice = advice::on(&fault, upstream);
                sheet.push(Line::fault(
                    layer,
                    advice.what,
                    advice.hint.unwrap_or_default(),
                ));
                return None;
            }
        }
    }
    Some(Pace {
        cold: *took.first()?,
        warm: *took.last()?,
    })
}

async fn question(terms: Terms<'_>, kdc: &Kdc, target: Target) -> Result<Heard, Fault> {
    let message = as_req::new(terms.realm, target);
    let message = message.map_err(|_| Fault::NotKerberos("no question can be written"))?;
    let left = terms.ends().saturating_duration_since(Instant::now());
    let asked = SystemTime::now();
    let sent = Sent::default();
    // krb5kdc closes each connection after one reply.
    let reply = timeout(left, kdc.send(&message, Connection::Fresh, &sent, false)).await;
    Ok(Heard {
        reply: reply.unwrap_or(Err(Fault::Silent))?,
        asked,
        came: SystemTime::now(),
    })
}
