//! GSS-API by MIT's library, as programs in Python have it.

use std::process::Command;

use super::SOON;
use crate::office::{Office, REALM};
use crate::recorded::isolated;
use crate::support::realm::{More, PASSWORD, SERVICE};
use crate::table::{About, Software, comes_through};

/// The ticket is got by the password alone, without a credential cache, and the service's by it.
#[test]
fn context() {
    isolated(|| {
        let mut office = Office::furnished(More::default());
        office.client.default_realm(REALM);
        let keytab = office.keytab(&[SERVICE]);
        let context = |office: &Office, password: &str| {
            let program = concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/interop/programs/context.py"
            );
            // Debian's Python, whatever `python3` means in PATH.
            let mut command = Command::new("/usr/bin/python3");
            command
                .args([program, "user@EXAMPLE.COM", password, SERVICE])
                .arg(&keytab);
            office.client.finish(command, &[])
        };
        context(&office, "battery staple").fails_with("Preauthentication failed");
        let established = context(&office, PASSWORD).succeeds();
        established
            .says("host/a.example.com@EXAMPLE.COM was called by user@EXAMPLE.COM")
            .says("heard: for your eyes only");
        office.proxy.process.terminate();
        let down = context(&office, PASSWORD);
        down.fails_with("Cannot contact any KDC for realm 'EXAMPLE.COM'")
            .within(SOON);
        let with = [
            Software::debian("python3-gssapi", "python3-gssapi"),
            Software::mit(),
        ];
        let what = "GSS-API: login and a context between a user and a service";
        comes_through(About::Clients, what, &with);
    });
}
