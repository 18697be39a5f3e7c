//! RFC 3244, clause by clause: each result code that a server can be brought to give, in both versions, and its words.
//!
//! Code 6 is not among them: a request of another version is no kpasswd request to the program, and kadmind closes the
//! connection on one without a word. Nor has kadmind a word beyond ASCII for users, whatever its language: Heimdal's has, see
//! `servers::heimdal`.

use std::process::Command;

use tempfile::TempDir;

use crate::der::tlv;
use crate::office::{Office, REALM};
use crate::recorded::isolated;
use crate::support::client::{Client, Outcome};
use crate::support::realm::{More, PASSWORD};
use crate::table::{About, Software, comes_through};

const PROGRAM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/interop/programs/rfc3244.c"
);
const NEW: &str = "a newer horse";
/// Gets a ticket of the password service as the RFC wants it, from the password alone (RFC 3244 2).
const INITIAL: &str = "kinit -S kadmin/changepw";

/// Makes the requests that no client makes, and shows the answers as they came.
pub(crate) struct Requests<'a> {
    client: &'a Client,
    realm: &'a str,
    program: TempDir,
}

impl<'a> Requests<'a> {
    pub(crate) fn new(client: &'a Client, realm: &'a str) -> Requests<'a> {
        let program = tempfile::tempdir().unwrap();
        let mut compiler = Command::new("cc");
        compiler.arg("-o").arg(program.path().join("rfc3244"));
        let made = compiler.args([PROGRAM, "-lkrb5"]).status();
        assert!(made.expect("cc starts; tests/run installs it").success());
        Requests {
            client,
            realm,
            program,
        }
    }

    /// Logs in by this command line.
    pub(crate) fn ticket(&self, kinit: &str, user: &str, password: &str) {
        let line = format!("{kinit} {user}@{}", self.realm);
        self.client.run(&line, &[password]).succeeds();
    }

    /// What is answered to a request of this version with this in its KRB-PRIV.
    pub(crate) fn ask(&self, version: &str, data: &[u8]) -> Outcome {
        let data: String = data.iter().map(|octet| format!("{octet:02x}")).collect();
        let mut command = Command::new(self.program.path().join("rfc3244"));
        command.args([version, &data]);
        self.client.finish(command, &[]).succeeds()
    }

    /// A request of version 1 (RFC 3244 2): a user, the password, and the new one.
    pub(crate) fn change(&self, user: &str, old: &str, new: &str) -> Outcome {
        self.ticket(INITIAL, user, old);
        self.ask("1", new.as_bytes())
    }

    /// A request of version 0xff80: somebody and his password, and a user and the new one.
    pub(crate) fn set(&self, [by, password]: [&str; 2], user: &str, new: &str) -> Outcome {
        self.ticket(INITIAL, by, password);
        self.ask("ff80", &change_passwd_data(self.realm, user, new))
    }
}

/// ChangePasswdData (RFC 3244 2).
fn change_passwd_data(realm: &str, user: &str, password: &str) -> Vec<u8> {
    let name_type = tlv(0xa0, &tlv(0x02, &[1]));
    let names = tlv(0xa1, &tlv(0x30, &tlv(0x1b, user.as_bytes())));
    let fields = [
        tlv(0xa0, &tlv(0x04, password.as_bytes())),
        tlv(0xa1, &tlv(0x30, &[name_type, names].concat())),
        tlv(0xa2, &tlv(0x1b, realm.as_bytes())),
    ];
    tlv(0x30, &fields.concat())
}

/// Opens with a realm in which `chief` may set anybody's password, made with these lines for kadmin.local too.
fn office(admin: &str) -> Office {
    let chief = format!("addprinc -pw \"{PASSWORD}\" chief\n");
    Office::furnished(More {
        acl: "chief@EXAMPLE.COM c\n",
        admin: &(chief + admin),
        ..More::default()
    })
}

fn shown(what: &str) {
    comes_through(About::Passwords, what, &[Software::mit()]);
}

#[test]
fn the_result_codes_of_version_1() {
    isolated(|| {
        // Else no ticket of it can be got by another ticket.
        let office = office("modprinc +allow_tgs_req kadmin/changepw\n");
        let requests = Requests::new(&office.client, REALM);
        let short = "New password is too short.\nPlease choose a password which is at least 10 characters long.";
        let soft = requests.change("strict", PASSWORD, "short");
        soft.says(&format!("version 1 code 4 text {short}\n"));
        let success = requests.change("user", PASSWORD, NEW);
        success.says("version 1 code 0 text \n");
        assert_eq!(office.realm.key_version("user"), 2);

        requests.ticket("kinit", "chief", PASSWORD);
        let initial_flag_needed = requests.ask("1", NEW.as_bytes());
        initial_flag_needed.says("version 1 code 7 text Ticket must be derived from a password\n");
        requests.ticket(INITIAL, "chief", PASSWORD);
        // The key of the ticket is one that kadmind no longer has.
        office.realm.admin("cpw -randkey kadmin/changepw");
        let auth_error = requests.ask("1", NEW.as_bytes());
        auth_error.says("error 60 version 1 code 3 text Failed reading application request\n");
        assert_eq!(office.realm.key_version("chief"), 1);
        shown("Version 1: result codes 0, 3, 4 and 7, and their texts");
    });
}

#[test]
fn the_result_codes_of_version_0xff80() {
    isolated(|| {
        let office = office("");
        let requests = Requests::new(&office.client, REALM);
        let chief = ["chief", PASSWORD];
        requests.ticket(INITIAL, "chief", PASSWORD);
        let malformed = requests.ask("ff80", b"no ChangePasswdData");
        malformed.says("version 1 code 1 text Failed decoding ChangePasswdData\n");
        let hard = requests.set(chief, "nobody", NEW);
        let text =
            "Password not changed.\nPrincipal does not exist while trying to change password.\n";
        hard.says(&format!("version 1 code 2 text {text}"));
        let soft = requests.set(chief, "strict", "short");
        soft.says("version 1 code 4 text New password is too short.\n");
        let denied = requests.set(["strict", PASSWORD], "user", NEW);
        denied.says("version 1 code 5 text Unauthorized request\n");
        assert_eq!(office.realm.key_version("user"), 1);
        let success = requests.set(chief, "user", NEW);
        success.says("version 1 code 0 text \n");
        assert_eq!(office.realm.key_version("user"), 2);
        shown("Version 0xff80: result codes 0, 1, 2, 4 and 5, and their texts");
    });
}
