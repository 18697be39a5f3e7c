//! Password changes by MIT's `kpasswd`.

use crate::support::realm::PASSWORD;
use crate::table::{About, Software, comes_through};

const NEW: &str = "a newer horse";

every_way! {
    fn right_password(office) {
        let kpasswd = office.client.run("kpasswd user@EXAMPLE.COM", &[PASSWORD, NEW, NEW]);
        kpasswd.succeeds().says("Password changed");
        assert_eq!(office.realm.key_version("user"), 2);
        office.client.run("kinit user@EXAMPLE.COM", &[NEW]).succeeds();
        comes_through(About::Passwords, "MIT: `kpasswd`", &[Software::mit()]);
    }

    fn wrong_old_password(office) {
        let typed = ["battery staple", NEW, NEW];
        let kpasswd = office.client.run("kpasswd user@EXAMPLE.COM", &typed);
        kpasswd.fails_with("Preauthentication failed");
        assert_eq!(office.realm.key_version("user"), 1);
        comes_through(About::Passwords, "MIT: `kpasswd` with a wrong old password", &[Software::mit()]);
    }

    /// The user reads the policy's own words.
    fn refused_by_policy(office) {
        let kpasswd = office.client.run("kpasswd strict@EXAMPLE.COM", &[PASSWORD, "short", "short"]);
        kpasswd.fails_with("Password change rejected").says("at least 10 characters");
        assert_eq!(office.realm.key_version("strict"), 1);
        comes_through(About::Passwords, "MIT: a new password that the policy refuses, in its words", &[Software::mit()]);
    }

    /// Two changes and the way back that the history forbids: nothing was sent twice.
    fn history_policy(office) {
        let change = |old: &'static str, new: &'static str| {
            office.client.run("kpasswd strict@EXAMPLE.COM", &[old, new, new])
        };
        change(PASSWORD, NEW).succeeds();
        change(NEW, PASSWORD).fails_with("Password change rejected");
        assert_eq!(office.realm.key_version("strict"), 2);
        comes_through(About::Passwords, "MIT: a password that was used before", &[Software::mit()]);
    }
}
