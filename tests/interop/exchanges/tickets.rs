//! What a ticket-granting ticket is good for beside tickets of services (RFC 4120 2 and 3.3).

use std::time::Instant;

use super::{change, gss, python_gssapi};
use crate::office::Office;
use crate::recorded::isolated;
use crate::support::client::Outcome;
use crate::support::process::PATIENCE;
use crate::support::realm::{More, PASSWORD, SERVICE};
use crate::table::{About, Software, comes_through};

const TGT: &str = "krbtgt/EXAMPLE.COM@EXAMPLE.COM";
const OTHER_SERVICE: &str = "host/b.example.com@EXAMPLE.COM";

fn kinit(office: &Office, options: &str) -> Outcome {
    let line = format!("kinit {options} user@EXAMPLE.COM");
    office.client.run(&line, &[PASSWORD]).succeeds()
}

/// RFC 4120 2.6: the user's programs get a ticket-granting ticket for a host to act with, and on that host it is as good.
#[test]
fn forwardable_and_forwarded() {
    isolated(|| {
        let office = Office::furnished(More::default());
        let keytab = office.keytab(&[SERVICE]);
        let (own, there) = (office.client.cache(), office.dir().join("on-the-host"));
        let log_in = || {
            let [keytab, there] = [&keytab, &there].map(|path| path.to_str().unwrap());
            gss(&office, &[SERVICE, keytab, "--forward", there])
        };

        kinit(&office, "-F");
        assert!(!office.client.flags(&own, TGT).contains('F'));
        log_in().fails_with("nothing was delegated");
        kinit(&office, "-f");
        assert!(office.client.flags(&own, TGT).contains('F'));
        log_in().succeeds().says("initiator: user@EXAMPLE.COM");
        assert!(office.client.flags(&there, TGT).contains('f'));
        let kvno = format!("kvno -c {} {OTHER_SERVICE}", there.display());
        office.client.run(&kvno, &[]).succeeds();
        assert!(office.client.flags(&there, OTHER_SERVICE).contains('f'));
        let what = "TGS: a forwardable ticket is forwarded to a host and used there";
        comes_through(About::Exchanges, what, &[Software::mit(), python_gssapi()]);
    });
}

/// RFC 4120 2.5. No client asks for the proxy itself.
#[test]
fn proxiable() {
    isolated(|| {
        let office = Office::furnished(More::default());
        let cache = office.client.cache();
        for (option, is_proxiable) in [("-P", false), ("-p", true)] {
            kinit(&office, option);
            let kvno = format!("kvno {SERVICE}");
            office.client.run(&kvno, &[]).succeeds();
            for ticket in [TGT, SERVICE] {
                let flags = office.client.flags(&cache, ticket);
                assert_eq!(flags.contains('P'), is_proxiable, "{ticket}: {flags}");
            }
        }
        let what = "TGS: a proxiable ticket, and one of a service by it";
        comes_through(About::Exchanges, what, &[Software::mit()]);
    });
}

/// RFC 4120 2.4: a ticket for later is invalid until a KDC has validated it, which it does from its start time on.
#[test]
fn postdated_and_validated() {
    isolated(|| {
        let office = Office::furnished(More::default());
        let cache = office.client.cache();
        let validate = || office.client.run("kinit -v", &[]);

        kinit(&office, "-s 1h");
        assert!(office.client.flags(&cache, TGT).contains("di"));
        validate().fails_with("Ticket not yet valid");
        kinit(&office, "-s 1s");
        let until = Instant::now() + PATIENCE;
        let mut validated = validate();
        while !validated.success && Instant::now() < until {
            validated.fails_with("Ticket not yet valid");
            validated = validate();
        }
        validated.succeeds();
        let flags = office.client.flags(&cache, TGT);
        assert!(flags.contains('d') && !flags.contains('i'), "{flags}");
        let kvno = format!("kvno {SERVICE}");
        office.client.run(&kvno, &[]).succeeds();
        let what = "TGS: a postdated ticket is validated";
        comes_through(About::Exchanges, what, &[Software::mit()]);
    });
}

/// RFC 4120 3.7: a ticket under the session key of another user's ticket-granting ticket, of somebody who has no key to be
/// served with.
#[test]
fn user_to_user() {
    isolated(|| {
        let office = Office::furnished(More::default());
        change(&office, "addprinc -pw other -allow_svr other\n");
        let cache = office.dir().join("of-other");
        let cache = cache.display();
        let other = format!("kinit -c {cache} other@EXAMPLE.COM");
        office.client.run(&other, &["other"]).succeeds();
        kinit(&office, "");

        let kvno = office.client.run("kvno other@EXAMPLE.COM", &[]);
        kvno.fails_with("valid for user2user only");
        let kvno = format!("kvno --u2u {cache} other@EXAMPLE.COM");
        // Keys of sessions have no version.
        office.client.run(&kvno, &[]).succeeds().says("kvno = 0");
        let what = "TGS: a user's ticket of another user (user-to-user)";
        comes_through(About::Exchanges, what, &[Software::mit()]);
    });
}
