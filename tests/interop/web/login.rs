//! curl logs in, alone and beside somebody else.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use super::{Intranet, curl, curl_command, with_curl};
use crate::recorded::isolated;
use crate::support::client::Outcome;
use crate::support::realm::PASSWORD;
use crate::table::{About, comes_through};

const PAGE: &str = "http://www.example.com/";
const SERVICE: &str = "HTTP/www.example.com@EXAMPLE.COM";

#[test]
fn curl_logs_in_by_ticket() {
    isolated(|| {
        let Intranet { office, server } = Intranet::open();
        let client = &office.client;
        curl(client, &[PAGE]).fails_with("401");
        office.proxy.was_asked(0);

        client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        office.proxy.was_asked(3);
        let page = curl(client, &[PAGE]).succeeds();
        let page = page.says("user: user@EXAMPLE.COM<");
        assert!(page.trace.contains(office.way.traced()), "{}", page.trace);
        office.proxy.was_asked(4);
        client.run("klist", &[]).says(SERVICE);
        server.process.wait_for("user@EXAMPLE.COM status=200");
        let what = "curl: `--negotiate` logs in to a web server with a ticket, and not without";
        comes_through(About::Web, what, &with_curl());
    });
}

/// Somebody with a cache of tickets of their own.
#[derive(Clone, Copy)]
struct Person<'a> {
    intranet: &'a Intranet,
    name: &'static str,
}

impl Person<'_> {
    fn principal(&self) -> String {
        format!("{}@EXAMPLE.COM", self.name)
    }

    fn file(&self, kind: &str) -> PathBuf {
        let office = &self.intranet.office;
        office.dir().join(format!("{kind}-of-{}", self.name))
    }

    fn runs(&self, mut command: Command, typed: &[&str]) -> Outcome {
        command.env("KRB5CCNAME", self.file("tickets"));
        self.intranet.office.client.finish(command, typed)
    }

    fn has_a_ticket(&self) {
        let mut kinit = Command::new("kinit");
        kinit.arg(self.principal());
        self.runs(kinit, &[PASSWORD]).succeeds();
    }

    /// Looks at the page, waits until something is written to a pipe, and looks again over the same connection.
    fn looks_twice(&self) -> Outcome {
        let pipe = self.file("pipe");
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let pipe = format!("file://{}", pipe.display());
        let told = "new connections: %{num_connects}\n";
        self.runs(curl_command(&["-w", told, PAGE, &pipe, PAGE]), &[])
    }

    fn looks_again(&self) {
        let pipe = OpenOptions::new().write(true).open(self.file("pipe"));
        drop(pipe.unwrap());
    }
}

/// Both are logged in over connections that stay: whatever else comes over one is its user's (RFC 4559 6). Those are the
/// server's and the browser's own: the tunnel only brings each user a ticket.
#[test]
fn two_users_at_once_are_each_themselves() {
    isolated(|| {
        let intranet = Intranet::open();
        let people = ["user", "other"].map(|name| Person {
            intranet: &intranet,
            name,
        });
        people.iter().for_each(Person::has_a_ticket);
        let proxy = &intranet.office.proxy;
        proxy.was_asked(6);
        let seen = thread::scope(|scope| {
            let looking = people.map(|person| scope.spawn(move || person.looks_twice()));
            for person in people {
                let page = format!("user={} status=200", person.principal());
                intranet.server.process.wait_for(&page);
            }
            people.iter().for_each(Person::looks_again);
            looking.map(|looking| looking.join().unwrap().succeeds().text)
        });
        for (person, seen) in people.iter().zip(seen) {
            let own = format!("user: {}<", person.principal());
            let seen =
                ["user: ", &own, "new connections: 1"].map(|text| seen.matches(text).count());
            assert_eq!(seen, [2, 2, 1], "{}", person.name);
            // The second page took no token of its own.
            let page = format!("user={} status=200 token=-", person.principal());
            intranet.server.process.wait_for(&page);
        }
        // One ticket for each.
        proxy.was_asked(8);
        let what = "curl: two users at once, each with a ticket of their own";
        comes_through(About::Web, what, &with_curl());
    });
}
