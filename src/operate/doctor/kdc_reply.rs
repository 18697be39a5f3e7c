//! What a KDC's reply to a question in nobody's name says: of the KDC, and of the clocks.

use std::time::{Duration, SystemTime};

use super::as_req::Target;
use super::line::{Figure, Layer, Line};
use crate::wire::Reply;

/// Clocks may differ by less than this (RFC 4120 7.5.1, and what KDCs are shipped with).
const LIMIT: Duration = Duration::from_secs(300);
/// From here on something is wrong with one of them.
const ODD: Duration = Duration::from_secs(60);

/// A reply, and when it was asked for and came, by the clock here.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) reply: Reply,
    pub(super) asked: SystemTime,
    pub(super) came: SystemTime,
}

impl Heard {
    /// How long it took; nothing if the clock was set meanwhile.
    pub(super) fn took(&self) -> Duration {
        self.came.duration_since(self.asked).unwrap_or_default()
    }

    /// What it says of the KDC that was asked for `target` in `realm`.
    pub(super) fn kdc(&self, layer: Layer, target: Target, realm: &str) -> Line {
        let line = match self.reply.error_code() {
            None => Line::ok(layer, self.granted(target)),
            Some(code) => of_code(layer, code, target, realm),
        };
        line.figure(self.took())
    }

    fn granted(&self, target: Target) -> String {
        format!(
            "the KDC answers ({} for {})",
            self.reply.kind(),
            name(target)
        )
    }

    /// How far apart the clocks are, if the reply tells.
    pub(super) fn clock(&self) -> Line {
        let Some(theirs) = self.reply.server_time() else {
            return Line::skipped(Layer::Clock, "the KDC's reply has no time in it");
        };
        // It was written somewhere between the question and the reply.
        let ours = self.asked + self.took() / 2;
        let (apart, is_behind) = match ours.duration_since(theirs) {
            Ok(ahead) => (ahead, false),
            Err(behind) => (behind.duration(), true),
        };
        let seconds = i64::try_from(apart.as_secs_f64().round() as u64).unwrap_or(i64::MAX);
        let figure = Figure::Seconds(if is_behind { -seconds } else { seconds });
        let way = if is_behind { "behind" } else { "ahead of" };
        let line = if apart < ODD {
            Line::ok(Layer::Clock, "this machine's clock agrees with the KDC's")
        } else if apart < LIMIT {
            Line::warn(
                Layer::Clock,
                format!("this machine's clock is {way} the KDC's; Kerberos takes less than 300 s"),
                SET_CLOCK,
            )
        } else {
            Line::fault(
                Layer::Clock,
                format!("this machine's clock is {way} the KDC's: Kerberos takes less than 300 s"),
                SET_CLOCK,
            )
        };
        line.figure(figure)
    }
}

const SET_CLOCK: &str = "set the clock: timedatectl set-ntp true";

fn name(target: Target) -> &'static str {
    match target {
        Target::Tgt => "krbtgt",
        Target::ChangePw => "kadmin/changepw",
    }
}

/// RFC 4120 7.5.9.
fn of_code(layer: Layer, code: i32, target: Target, realm: &str) -> Line {
    let what = |text: &str| format!("{text} (KRB-ERROR {code})");
    match code {
        // C_PRINCIPAL_UNKNOWN; CLIENT_REVOKED, which some say of all whom they don't know.
        6 | 18 => Line::ok(
            layer,
            what(match target {
                Target::Tgt => {
                    "the KDC answers; as expected, it knows nobody called loopkdc-doctor"
                }
                Target::ChangePw => "the KDC answers for kadmin/changepw; nothing was changed",
            }),
        ),
        24 | 25 | 14 => Line::ok(
            layer,
            what("the KDC answers: it wants to be shown a password"),
        ),
        7 => Line::fault(
            layer,
            what(&match target {
                Target::Tgt => format!("the KDC does not know realm {realm}"),
                Target::ChangePw => "the KDC has no kadmin/changepw".to_owned(),
            }),
            match target {
                Target::Tgt => {
                    "see whether proxies and target-domain lead to this realm's KDC: loopkdc check"
                }
                Target::ChangePw => {
                    "passwords of this realm are changed in another way: ask who runs it"
                }
            },
        ),
        68 => Line::fault(
            layer,
            what(&format!("the KDC is one of another realm than {realm}")),
            "write the realm as its KDC has it, short names of it into aliases: loopkdc check",
        ),
        12 => Line::warn(
            layer,
            what("the proxy or the KDC forbids this by its policy"),
            "ask who runs it; the proxy may know the realm by another name: target-domain",
        ),
        29 => Line::fault(
            layer,
            what("the KDC says that it is not available"),
            "who runs it should look after its KDCs; meanwhile list another in proxies",
        ),
        37 => Line::fault(
            layer,
            what("the KDC says that the clock here is wrong"),
            SET_CLOCK,
        ),
        85 => Line::fault(
            layer,
            what("the proxy knows no KDC of the realm"),
            "ask who runs it; the proxy may know the realm by another name: target-domain",
        ),
        86 => Line::fault(
            layer,
            what("the KDC behind the proxy does not answer"),
            "who runs it should look after its KDCs; meanwhile list another in proxies",
        ),
        _ => Line::warn(
            layer,
            what("the KDC answers with an error"),
            "see what a client makes of it: KRB5_TRACE=/dev/stderr kinit",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::Verdict;
    use super::*;
    use crate::wire::{Service, krb_error};

    fn heard(code: i32, apart: i64) -> Heard {
        let asked = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let theirs = SystemTime::UNIX_EPOCH
            + Duration::from_secs(1_700_000_000_u64.saturating_add_signed(-apart));
        let error = krb_error::encode(code, None, Service::Kdc, None, theirs);
        Heard {
            reply: Reply::parse(Service::Kdc, error.into()).unwrap(),
            asked,
            came: asked + Duration::from_millis(20),
        }
    }

    #[test]
    fn a_kdc_that_does_not_know_nobody_is_well() {
        for code in [6, 18, 24, 25] {
            let line = heard(code, 0).kdc(Layer::Kdc, Target::Tgt, "EXAMPLE.COM");
            assert_eq!(line.verdict, Verdict::Ok, "{code}");
            assert_eq!(line.figure, Some(Figure::Milliseconds(20.0)));
        }
        for code in [7, 29, 68, 37, 85, 86] {
            let line = heard(code, 0).kdc(Layer::Kdc, Target::Tgt, "EXAMPLE.COM");
            assert_eq!(line.verdict, Verdict::Fault, "{code}");
            assert!(line.hint.is_some(), "{code}");
        }
    }

    #[test]
    fn clocks_may_differ_by_less_than_five_minutes() {
        for (apart, verdict) in [
            (0, Verdict::Ok),
            (59, Verdict::Ok),
            (-59, Verdict::Ok),
            (61, Verdict::Warn),
            (-299, Verdict::Warn),
            (300, Verdict::Fault),
            (-301, Verdict::Fault),
            (86_400, Verdict::Fault),
        ] {
            let line = heard(6, apart).clock();
            assert_eq!(line.verdict, verdict, "{apart}");
            assert_eq!(line.figure, Some(Figure::Seconds(apart)), "{apart}");
        }
        assert!(heard(6, -100).clock().what.contains("behind"));
        assert!(heard(6, 100).clock().what.contains("ahead of"));
    }
}
