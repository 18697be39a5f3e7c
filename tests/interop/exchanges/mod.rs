//! What a client can ask a KDC for, beside what is asked every day.

mod fast;
pub(crate) mod otp;
pub(crate) mod pkinit;
mod s4u;
mod tickets;

use std::process::Command;

use crate::office::Office;
use crate::support::client::Outcome;
use crate::table::Software;

/// Both ends of a GSS context.
const GSS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/programs/gss.py");

/// Runs it with these arguments, under the Python for which Debian has packages.
pub(crate) fn gss(office: &Office, args: &[&str]) -> Outcome {
    let mut command = Command::new("/usr/bin/python3");
    command.arg(GSS).args(args);
    office.client.finish(command, &[])
}

pub(crate) fn python_gssapi() -> Software {
    Software::debian("python3-gssapi", "python3-gssapi")
}

/// Changes these principals, a line of kadmin.local for each.
pub(crate) fn change(office: &Office, lines: &str) {
    let said = office.realm.admin(lines);
    let done = said.matches(" created.").count()
        + said.matches(" modified.").count()
        + said.matches("Attribute set").count();
    assert_eq!(done, lines.lines().count(), "{said}");
}
