//! A captive portal: whatever the laptop connects to, it is this that answers, until somebody has logged in to it.

use std::fs;
use std::process::Command;

use crate::scene::Scene;
use crate::support::authority::Authority;
use crate::support::process::Process;
use crate::topology::{BRANCH, OFFICE, PORTAL};

/// What it answers, as HAProxy's configuration has it. Nobody is to look for the host to which it redirects.
pub(crate) const PAGE: &str =
    "return status 200 content-type text/html string \"<html>Welcome</html>\"";
pub(crate) const LOGIN_FIRST: &str =
    "return status 511 content-type text/html string \"<html>Welcome</html>\"";
pub(crate) const REDIRECT: &str = "redirect location http://portal.example.com/ code 302";

/// Who vouches for it under the proxies' names.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Voucher {
    /// Whom the laptop trusts: as with a firewall of the company.
    Trusted,
    /// Itself.
    Nobody,
}

impl Scene {
    /// The laptop's network has a portal from now on.
    pub(crate) fn meets_portal(&mut self, voucher: Voucher, answer: &str) {
        let own = Authority::new();
        let authority = match voucher {
            Voucher::Trusted => &self.authority,
            Voucher::Nobody => &own,
        };
        let (leaf, key) = authority.leaf(&[OFFICE.name, BRANCH.name], |_| {});
        let pem = self.dir().join("portal.pem");
        fs::write(&pem, leaf + &key).unwrap();
        let file = self.dir().join("portal.cfg");
        let crt = pem.display();
        let text = format!(
            "global\n log stdout format raw local0\ndefaults\n mode http\n log global\n option httplog\n\
             timeout client 60s\n timeout http-keep-alive 60s\n\
             frontend portal\n bind {PORTAL} ssl crt {crt} alpn h2,http/1.1\n http-request {answer}\n"
        );
        fs::write(&file, text).unwrap();
        let mut command = Command::new("/usr/sbin/haproxy");
        // Only a master says when its workers listen.
        command.args(["-W", "-db", "-f"]).arg(&file);
        let router = &self.hosts.router;
        let start = || Process::start("the portal", &mut command, "Loading success");
        self.portal = Some(router.at(start));
        router.nft(&format!(
            "table ip portal {{\n chain capture {{ type nat hook prerouting priority -100;\n\
             iifname home tcp dport 443 dnat to {PORTAL}\n }}\n}}"
        ));
        self.drops_what_leaves_home();
    }

    /// Somebody has logged in to it: what is new goes where it should. What stands still ends at the portal.
    pub(crate) fn passes_portal(&self) {
        self.hosts.router.nft("flush table ip portal\n");
        self.drops_nothing();
    }
}
