//! Samba's domain controller, which stands for Active Directory.

use super::domain::{Domain, PASSWORD, REALM, software};
use crate::passwords::Requests;
use crate::recorded::isolated;
use crate::support::heimdal::heimdal;
use crate::support::realm::{More, Preauth, Realm};
use crate::table::{About, Software, comes_through};

const NEW: &str = "Newer.Horse.2";

/// Says what was shown of a domain with MIT's clients, or with these too.
fn shown(about: About, what: &str, others: Vec<Software>) {
    let mut with = vec![software(), Software::mit()];
    with.extend(others);
    comes_through(about, what, &with);
}

#[test]
fn a_user_logs_in() {
    isolated(|| {
        let domain = Domain::start();
        let client = &domain.site.client;
        let kinit = |password| client.run("kinit user@AD.EXAMPLE", &[password]);
        kinit("battery staple").fails_with("Password incorrect");
        kinit(PASSWORD).succeeds();
        client.run("kvno host/pc1.ad.example", &[]).succeeds();
        let args = ["--password-file=STDIN", "user@AD.EXAMPLE"];
        let kinit = |password| heimdal(client, "kinit", &args, &[password]);
        kinit("battery staple").fails_with("Password incorrect");
        kinit(PASSWORD).succeeds();
        let args = ["host/pc1.ad.example@AD.EXAMPLE"];
        heimdal(client, "kgetcred", &args, &[]).succeeds();
        let what = "Samba AD: login, a wrong password, a service's ticket";
        shown(About::Kdcs, what, vec![Software::heimdal()]);
    });
}

#[test]
fn a_machine_logs_in() {
    isolated(|| {
        let domain = Domain::start();
        let keytab = domain.keytab("pc1$");
        let client = &domain.site.client;
        let line = format!("kinit -k -t {} pc1$@AD.EXAMPLE", keytab.display());
        client.run(&line, &[]).succeeds();
        // Its own ticket, by the name of its service.
        let line = format!("kvno -k {} host/pc1.ad.example", keytab.display());
        client.run(&line, &[]).succeeds().says("keytab entry valid");
        let what = "Samba AD: a machine's login with its keytab";
        shown(About::Kdcs, what, vec![]);
    });
}

/// The name that people know as their mail address, of a domain that is no realm (RFC 6806 5).
#[test]
fn a_user_logs_in_by_an_enterprise_name() {
    isolated(|| {
        let domain = Domain::start();
        let client = &domain.site.client;
        let kinit = client.run("kinit -E someone@corp.example", &[PASSWORD]);
        kinit.succeeds();
        let klist = client.run("klist", &[]);
        klist.says("Default principal: someone\\@corp.example@AD.EXAMPLE");
        // Told what the account is called.
        let kinit = client.run("kinit -C -E someone@corp.example", &[PASSWORD]);
        kinit.succeeds();
        let klist = client.run("klist", &[]);
        klist.says("Default principal: user@AD.EXAMPLE");
        let kinit = client.run("kinit -E nobody@corp.example", &[PASSWORD]);
        kinit.fails_with("not found in Kerberos database");
        let args = [
            "--enterprise",
            "--password-file=STDIN",
            "someone@corp.example",
        ];
        let kinit = heimdal(client, "kinit", &args, &[PASSWORD]);
        kinit.succeeds();
        let what = "Samba AD: login by an enterprise name (`kinit -E`)";
        shown(About::Kdcs, what, vec![Software::heimdal()]);
    });
}

/// The domain's KDC knows whose name it is, and says so by KDC_ERR_WRONG_REALM (RFC 6806 7).
#[test]
fn a_user_of_another_realm_is_referred_to_it() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        let more = More {
            admin: "addprinc -pw \"a third horse\" user\\@other.example\n",
            ..More::default()
        };
        let other = Realm::with(dir.path(), "OTHER.EXAMPLE", 88, Preauth::Spake, more);
        let domain = Domain::beside(&[&other]);
        let client = &domain.site.client;
        let kinit = client.run("kinit -C -E user@other.example", &["a third horse"]);
        let kinit = kinit.succeeds();
        let referred = "Following referral to realm OTHER.EXAMPLE";
        assert!(kinit.trace.contains(referred), "{}", kinit.trace);
        let klist = client.run("klist", &[]);
        klist.says("krbtgt/OTHER.EXAMPLE@OTHER.EXAMPLE");
        client.run("kdestroy", &[]).succeeds();
        let args = [
            "--canonicalize",
            "--enterprise",
            "--password-file=STDIN",
            "user@other.example",
        ];
        heimdal(client, "kinit", &args, &["a third horse"]).succeeds();
        let klist = client.run("klist", &[]);
        klist.says("krbtgt/OTHER.EXAMPLE@OTHER.EXAMPLE");
        let what = "AS: a referral to the user's realm from an enterprise name";
        shown(About::Exchanges, what, vec![Software::heimdal()]);
    });
}

/// Armored by the machine's ticket (RFC 6113 5.4.1.1). Heimdal's client can't, with or without a tunnel: it sends an encrypted
/// timestamp under FAST, and this KDC answers KDC_ERR_POLICY.
#[test]
fn a_user_logs_in_under_fast() {
    isolated(|| {
        let domain = Domain::start();
        let keytab = domain.keytab("pc1$");
        let client = &domain.site.client;
        let armor = keytab.with_file_name("armor");
        let (keytab, armor) = (keytab.display(), armor.display());
        let line = format!("kinit -c {armor} -k -t {keytab} pc1$@AD.EXAMPLE");
        client.run(&line, &[]).succeeds();
        let line = format!("kinit -T {armor} user@AD.EXAMPLE");
        client
            .run(&line, &["battery staple"])
            .fails_with("Password incorrect");
        let kinit = client.run(&line, &[PASSWORD]).succeeds();
        let armored = "Preauth module encrypted_challenge (138) (real) returned: 0/Success";
        assert!(kinit.trace.contains(armored), "{}", kinit.trace);
        let what = "Samba AD: FAST armored by a machine's ticket";
        shown(About::Kdcs, what, vec![]);
    });
}

/// Over UDP the program says that the reply is too big, as any KDC would, and the client comes back over TCP.
#[test]
fn a_user_in_many_groups_logs_in() {
    isolated(|| {
        let domain = Domain::start();
        let client = &domain.site.client;
        let kinit = client.run("kinit joiner@AD.EXAMPLE", &[PASSWORD]);
        let kinit = kinit.succeeds();
        let (udp, tcp) = kinit.trace.split_once("too big for UDP").unwrap();
        assert!(udp.contains("Sending initial UDP request to dgram 127.0.0.1:88"));
        assert!(tcp.contains("Sending TCP request to stream 127.0.0.1:88"));
        assert!(kinit.largest_reply() > 4096, "{}", kinit.trace);
        let kvno = client.run("kvno host/pc1.ad.example", &[]).succeeds();
        assert!(kvno.largest_reply() > 4096, "{}", kvno.trace);
        let what = "Samba AD: a ticket of a user in 600 groups, more than 4 KiB";
        shown(About::Kdcs, what, vec![]);
    });
}

/// Each rule in the domain's own words.
#[test]
fn a_user_changes_a_password() {
    isolated(|| {
        let domain = Domain::start();
        let client = &domain.site.client;
        let refused = [
            (
                "short",
                "Password too short, password must be at least 7 characters long.",
            ),
            (
                "smallletters",
                "Password does not meet complexity requirements",
            ),
            (
                PASSWORD,
                "Password is already in password history. New password must not match any of your 24 previous passwords.",
            ),
        ];
        for (password, text) in refused {
            let typed = [PASSWORD, password, password];
            let kpasswd = client.run("kpasswd user@AD.EXAMPLE", &typed);
            kpasswd.fails_with(&format!("Password change rejected: {text}\n"));
            let kpasswd = heimdal(client, "kpasswd", &["user@AD.EXAMPLE"], &typed);
            kpasswd.says(&format!("Soft error : {text}\n"));
        }
        let kpasswd = client.run("kpasswd user@AD.EXAMPLE", &[PASSWORD, NEW, NEW]);
        kpasswd.succeeds().says("Password changed");
        let newest = "Newest.Horse.3";
        let typed = [NEW, newest, newest];
        let kpasswd = heimdal(client, "kpasswd", &["user@AD.EXAMPLE"], &typed);
        kpasswd.succeeds().says("Success : Password changed");
        client.run("kinit user@AD.EXAMPLE", &[newest]).succeeds();
        let what = "Samba AD: a password change, and the words of its policy";
        shown(About::Passwords, what, vec![Software::heimdal()]);
    });
}

/// The protocol's other version (RFC 3244 2), which names whose password it is.
#[test]
fn an_administrator_sets_a_users_password() {
    isolated(|| {
        let domain = Domain::start();
        let client = &domain.site.client;
        let set = |by, password| {
            let by = format!("--admin-principal={by}@AD.EXAMPLE");
            let typed = [password, NEW, NEW];
            heimdal(client, "kpasswd", &[&by, "user@AD.EXAMPLE"], &typed)
        };
        // Told that it may not, Heimdal's goes on to version 1, which knows no other user.
        set("joiner", PASSWORD).fails_with("Operation not permitted");
        client.run("kinit user@AD.EXAMPLE", &[PASSWORD]).succeeds();
        set("chief", PASSWORD)
            .succeeds()
            .says("Success : Password changed");
        client.run("kinit user@AD.EXAMPLE", &[NEW]).succeeds();
        let what = "Samba AD: an administrator sets a user's password (0xff80)";
        shown(About::Passwords, what, vec![Software::heimdal()]);
    });
}

#[test]
fn the_result_codes() {
    isolated(|| {
        let domain = Domain::start();
        let requests = Requests::new(&domain.site.client, REALM);
        let (user, chief) = (["user", PASSWORD], ["chief", PASSWORD]);
        let soft = requests.set(chief, "user", "short");
        soft.says("version 1 code 4 text Password too short, password must be at least 7");
        let denied = requests.set(user, "joiner", NEW);
        denied.says("version 1 code 5 text Not permitted to change password\n");
        let unknown = requests.set(chief, "nobody", NEW);
        unknown.says("version 1 code 5 text No such user when changing password\n");
        let malformed = requests.ask("ff80", b"no ChangePasswdData");
        malformed.says("version 1 code 1 text Failed to decode packet\n");
        requests.ticket("kinit", "user", PASSWORD);
        let initial_flag_needed = requests.ask("1", NEW.as_bytes());
        initial_flag_needed.says("version 1 code 7 text Expected an initial ticket\n");
        let success = requests.set(chief, "user", NEW);
        success.says("version 1 code 0 text Password changed\n");
        let what = "Samba AD: result codes 0, 1, 4, 5 and 7, and their texts";
        shown(About::Passwords, what, vec![]);
    });
}
