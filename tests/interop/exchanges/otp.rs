//! One-time passwords (RFC 6560): the KDC asks a RADIUS server about each code, which burns it.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use super::pkinit::{ANONYMOUS, Certificates};
use crate::office::Office;
use crate::recorded::isolated;
use crate::support::client::Outcome;
use crate::support::process::Process;
use crate::support::realm::{More, SERVICE};
use crate::table::{About, Software, comes_through};

const RADIUS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/interop/programs/radius.py"
);
const ADDRESS: &str = "127.0.0.90:1812";
const SECRET: &str = "between them";
/// The code that is right.
pub(crate) const CODE: &str = "755224";

/// A realm whose `user` logs in with codes.
pub(crate) struct Tokens {
    certificates: Certificates,
    radius: Process,
    dir: TempDir,
}

impl Tokens {
    /// With a RADIUS server that thinks for so many seconds.
    pub(crate) fn hand_out(seconds: u8) -> Tokens {
        let mut radius = Command::new("/usr/bin/python3");
        radius
            .arg(RADIUS)
            .args([ADDRESS, SECRET, CODE, &seconds.to_string()]);
        let tokens = Tokens {
            certificates: Certificates::issue(),
            radius: Process::start("the RADIUS server", &mut radius, "ready"),
            dir: tempfile::tempdir().unwrap(),
        };
        fs::write(tokens.dir.path().join("secret"), SECRET).unwrap();
        tokens
    }

    /// Fails the test unless it was asked so often about this code.
    #[track_caller]
    fn was_asked(&self, count: usize, code: &str) {
        let asked = format!("Access-Request of user with {code}");
        self.radius.wait_for_count(&asked, count);
        assert_eq!(self.radius.count(&asked), count, "{}", self.radius.log());
    }

    /// With the program. Who logged in with a code bears the `indicator`.
    pub(crate) fn office(&self, indicator: &str) -> Office {
        let secret = self.dir.path().join("secret");
        let secret = secret.display();
        // The KDC itself would ask again after a second or so.
        let token = format!(
            "[otp]\n token = {{\n server = {ADDRESS}\n secret = {secret}\n strip_realm = true\n\
             timeout = 10\n retries = 0\n indicator = {indicator}\n }}\n"
        );
        // kadmin takes two quotation marks for one.
        let tokens = r#""[{""type"":""token""}]""#;
        Office::furnished(More {
            stanza: &self.certificates.stanza(),
            kdc: &token,
            admin: &format!("{ANONYMOUS}set_string user otp {tokens}\n"),
            ..More::default()
        })
    }

    /// Logs in with this code, which goes inside FAST alone.
    pub(crate) fn kinit(&self, office: &Office, code: &str) -> Outcome {
        let armor = office.dir().join("armor");
        let (armor, anchors) = (armor.display(), self.certificates.anchors());
        let nobody = format!("kinit -n -c {armor} {anchors} @EXAMPLE.COM");
        office.client.run(&nobody, &[]).succeeds();
        let kinit = format!("kinit -T {armor} user@EXAMPLE.COM");
        office.client.run(&kinit, &[code])
    }
}

/// The RADIUS server hears of each code that is typed.
#[test]
fn a_right_code_and_a_wrong_one() {
    isolated(|| {
        let tokens = Tokens::hand_out(0);
        let office = tokens.office("code");
        let wrong = "000000";
        tokens
            .kinit(&office, wrong)
            .fails_with("Preauthentication failed");
        tokens.was_asked(1, wrong);
        tokens
            .kinit(&office, CODE)
            .succeeds()
            .says("Enter OTP Token Value");
        tokens.was_asked(1, CODE);
        tokens.was_asked(1, wrong);
        let kvno = format!("kvno {SERVICE}");
        office.client.run(&kvno, &[]).succeeds();
        let what = "AS: OTP (RADIUS), a right code and a wrong one";
        comes_through(About::Exchanges, what, &[Software::mit()]);
    });
}

/// A code is good for one question. While that is being answered, the client asks again over TCP, which joins what is under
/// way: a KDC logs it when it discards a copy, and none comes.
#[test]
fn a_code_is_asked_about_once() {
    isolated(|| {
        let tokens = Tokens::hand_out(3);
        let office = tokens.office("code");
        let kinit = tokens.kinit(&office, CODE).succeeds();
        let [once, again] = ["UDP request to dgram", "TCP request to stream"];
        let (_, after) = kinit.trace.rsplit_once(once).unwrap();
        assert!(after.contains(again), "{}", kinit.trace);
        tokens.was_asked(1, CODE);
        assert_eq!(office.realm.kdc.count("should discard this request"), 0);
        let what = "AS: OTP (RADIUS), asked about once though `kinit` asks twice";
        comes_through(About::Exchanges, what, &[Software::mit()]);
    });
}
