//! The words of the log: `name=value`, as logfmt has it.
//!
//! A client chooses the realm and the principal, and DNS may choose a KDC's name: what is not plain is quoted and escaped
//! as in JSON, so that no value can look like another one, a second line, or an order to a terminal.

use std::fmt::{self, Display, Formatter, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use der::DateTime;

use crate::gateway::record::RequestRecord;
use crate::relay::answer::Source;
use crate::relay::text::Quoted as Value;

/// Octets of a usual line, and some more.
const USUAL_LINE: usize = 192;

/// The line about a request that was answered `at`.
pub(super) fn request_line(record: &RequestRecord, at: SystemTime) -> String {
    // IPv4 is IPv4 on a socket that takes both.
    let client = record.client.map(|address| address.to_canonical());
    let kdc = match &record.source {
        Source::Upstream(name) => Some(Value(name)),
        Source::RetransmitCache => Some(Value("cache")),
        Source::Nobody => None,
    };
    let inside = record.inside.as_ref().map(|inside| Value(inside.as_str()));
    let principal = record.principal.as_deref().map(Value);
    let mut line = String::with_capacity(USUAL_LINE);
    // A string takes all that is written.
    let _ = writeln!(
        line,
        "time={} client={}{} kind={} realm={}{} kdc={} error={}{} status={} ms={}{}",
        Time(at),
        Or(client, "unix"),
        IfAny("name", record.name.as_deref().map(Value)),
        Or(record.kind, "-"),
        Or(
            record.realm.as_ref().map(|realm| Value(realm.as_str())),
            "-"
        ),
        IfAny("inside", inside),
        Or(kdc, "-"),
        Or(record.error_code, "-"),
        IfAny("policy", record.refused_by),
        Or(record.status, "-"),
        record.elapsed.as_millis(),
        IfAny("principal", principal),
    );
    line
}

/// The line that stands for `lines` which were left out.
pub(super) fn left_out_line(lines: u64, at: SystemTime) -> String {
    format!("time={} left-out={lines}\n", Time(at))
}

/// A value, or what stands for none.
struct Or<T>(Option<T>, &'static str);

impl<T: Display> Display for Or<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str(self.1),
        }
    }
}

/// A name and its value, or nothing.
struct IfAny<T>(&'static str, Option<T>);

impl<T: Display> Display for IfAny<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(value) = &self.1 else {
            return Ok(());
        };
        write!(f, " {}={value}", self.0)
    }
}

/// A moment in UTC, to the millisecond (RFC 3339).
struct Time(SystemTime);

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // A clock that stands before 1970 is as good as one that stands there.
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let Ok(date) = DateTime::from_unix_duration(since) else {
            return f.write_str("-");
        };
        let (year, month, day) = (date.year(), date.month(), date.day());
        let (hour, minutes, seconds) = (date.hour(), date.minutes(), date.seconds());
        let millis = since.subsec_millis();
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minutes:02}:{seconds:02}.{millis:03}Z"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::gateway::record::tests::record;
    use crate::wire::Realm;

    /// Half a millisecond before the next.
    fn at() -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(1_795_336_851_123_500)
    }

    #[test]
    fn a_line_says_all_there_is_to_say() {
        assert_eq!(
            request_line(&record(), at()),
            "time=2026-11-22T08:40:51.123Z client=192.0.2.1 kind=AS-REQ realm=EXAMPLE.COM \
             kdc=dc1.example.com:88 error=- status=200 ms=3\n"
        );
        let told = RequestRecord {
            error_code: Some(24),
            principal: Some("alice/admin".to_owned()),
            source: Source::RetransmitCache,
            client: Some("2001:db8::1".parse().unwrap()),
            name: Some("laptop.example.com".into()),
            ..record()
        };
        assert_eq!(
            request_line(&told, at()),
            "time=2026-11-22T08:40:51.123Z client=2001:db8::1 name=laptop.example.com kind=AS-REQ realm=EXAMPLE.COM \
             kdc=cache error=24 status=200 ms=3 principal=alice/admin\n"
        );
    }

    #[test]
    fn another_realm_inside_is_told_and_forges_nothing() {
        let told = RequestRecord {
            inside: Some(Realm::parse(br#"OTHER" kdc=""#).unwrap()),
            ..record()
        };
        assert_eq!(
            request_line(&told, at()),
            "time=2026-11-22T08:40:51.123Z client=192.0.2.1 kind=AS-REQ realm=EXAMPLE.COM \
             inside=\"OTHER\\\" kdc=\\\"\" kdc=dc1.example.com:88 error=- status=200 ms=3\n"
        );
    }

    #[test]
    fn the_key_that_refused_a_request_is_told() {
        let refused = RequestRecord {
            error_code: Some(12),
            refused_by: Some("deny-principals"),
            source: Source::Nobody,
            ..record()
        };
        assert_eq!(
            request_line(&refused, at()),
            "time=2026-11-22T08:40:51.123Z client=192.0.2.1 kind=AS-REQ realm=EXAMPLE.COM \
             kdc=- error=12 policy=deny-principals status=200 ms=3\n"
        );
    }

    #[test]
    fn ipv4_is_ipv4_on_any_socket() {
        let ipv4 = RequestRecord {
            client: Some("::ffff:192.0.2.1".parse().unwrap()),
            ..record()
        };
        assert_eq!(request_line(&ipv4, at()), request_line(&record(), at()));
    }

    #[test]
    fn what_is_absent_is_a_dash() {
        let nothing = RequestRecord {
            client: None,
            kind: None,
            realm: None,
            source: Source::Nobody,
            status: None,
            ..record()
        };
        assert_eq!(
            request_line(&nothing, at()),
            "time=2026-11-22T08:40:51.123Z client=unix kind=- realm=- kdc=- error=- status=- ms=3\n"
        );
    }

    #[test]
    fn times_are_in_utc_whatever_the_clock_says() {
        let shown = |at| Time(at).to_string();
        assert_eq!(shown(UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(shown(before), "1970-01-01T00:00:00.000Z");
        let leap = UNIX_EPOCH + Duration::from_millis(951_782_400_007);
        assert_eq!(shown(leap), "2000-02-29T00:00:00.007Z");
        let far = UNIX_EPOCH + Duration::from_secs(300_000_000_000);
        assert_eq!(shown(far), "-");
    }

    #[test]
    fn values_that_others_choose_stay_values() {
        let shown = |text| Value(text).to_string();
        for plain in [
            "EXAMPLE.COM",
            "host/www.example.com",
            "PC1$",
            "[::1]:88",
            "a@b",
        ] {
            assert_eq!(shown(plain), plain);
        }
        assert_eq!(shown(""), r#""""#);
        assert_eq!(shown("-"), r#""-""#);
        assert_eq!(shown("A status=200"), r#""A status=200""#);
        assert_eq!(shown("a=b"), r#""a=b""#);
        assert_eq!(shown("a\"b\\c"), r#""a\"b\\c""#);
        assert_eq!(shown("a\ntime="), r#""a\u000atime=""#);
        assert_eq!(shown("\u{1b}[2J\u{9b}\u{7f}"), r#""\u001b[2J\u009b\u007f""#);
        assert_eq!(shown("jürgen\u{202e}"), r#""j\u00fcrgen\u202e""#);
        assert_eq!(shown("😀"), r#""\ud83d\ude00""#);
    }

    #[test]
    fn no_line_is_longer_than_4_kib() {
        let longest = RequestRecord {
            client: Some("2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap()),
            name: Some("x".repeat(255).into()),
            realm: Some(Realm::parse("\u{dc}".repeat(127).as_bytes()).unwrap()),
            inside: Some(Realm::parse("\u{dc}".repeat(127).as_bytes()).unwrap()),
            source: Source::Upstream("x".repeat(255).into()),
            error_code: Some(i32::MIN),
            elapsed: Duration::MAX,
            principal: Some("\u{1}".repeat(255)),
            ..record()
        };
        let line = request_line(&longest, at());
        assert!(line.len() < 4 * 1024, "{}", line.len());
    }
}
