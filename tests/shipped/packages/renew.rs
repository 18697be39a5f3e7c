//! The user's units that renew a ticket, under a user's own systemd.

use std::fs;

use super::booted::{Installed, LOGIN};
use super::tickets;
use crate::support::netns::isolated;

const UNIT: &str = "loopkdc-renew.service";

impl Installed {
    /// What somebody's shell says, who is logged in.
    pub(super) fn as_somebody(&self, script: &str) -> String {
        let own = "export XDG_RUNTIME_DIR=/run/user/1000";
        let script = format!("{own}\n{script}\n");
        fs::write(self.root.path("/own.sh"), script).unwrap();
        self.booted.run("su somebody -c 'sh -e /own.sh'")
    }

    fn waits_until(&self, state: &str) {
        let shown = format!("systemctl --user show -P ActiveState {UNIT}");
        let shown = format!("su somebody -c 'XDG_RUNTIME_DIR=/run/user/1000 {shown}'");
        self.booted.wait_for(&format!("test $({shown}) = {state}"));
    }

    /// How the unit's last start ended.
    fn result(&self) -> String {
        self.as_somebody(&format!("systemctl --user show -P Result {UNIT}"))
    }
}

/// A ticket is renewed as soon as its realm can be reached, and without one nothing fails.
#[test]
fn a_ticket_is_renewed_when_its_realm_can_be_reached() {
    isolated(|| {
        let installed = Installed::new();
        let (booted, office) = (&installed.booted, &installed.office);
        booted.run("loopkdc krb5-conf --install; systemctl start loopkdc");
        booted.run(LOGIN);
        let start = format!("systemctl --user start {UNIT}");
        installed.as_somebody(&start);
        assert_eq!(installed.result(), "success\n");

        installed.as_somebody("systemctl --user enable --now loopkdc-renew.timer");
        let next = "systemctl --user show -P NextElapseUSecRealtime loopkdc-renew.timer";
        assert_ne!(installed.as_somebody(next), "\n");
        let typed = tickets::TYPED;
        installed.as_somebody(&format!("echo '{typed}' | kinit -r 7d user@EXAMPLE.COM"));
        let before = installed.as_somebody("klist");
        office.hangs();
        installed.as_somebody(&format!("systemctl --user start --no-block {UNIT}"));
        installed.waits_until("activating");
        // Until then it is the ticket of before.
        booted.wait_for(r#"loopkdc status --json | grep -q '"outcome":"failed"'"#);
        assert_eq!(installed.as_somebody("klist"), before);
        office.goes_on();
        installed.waits_until("inactive");
        assert_eq!(installed.result(), "success\n");
        let after = installed.as_somebody("klist");
        assert_ne!(after, before);
        // It can be renewed until the same day.
        let until = |list: &str| {
            list.split_once("renew until")
                .map(|(_, day)| day.to_owned())
        };
        assert_eq!(until(&after), until(&before));
    });
}
