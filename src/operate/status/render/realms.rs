//! A realm, and the ways that its requests could go.

use super::paper::Tone;
use super::words::{ago, count, span};
use super::{About, Page, Problem, Realm, State, Text, Way};

impl<'a> Page<'a> {
    pub(super) fn realm(&mut self, realm: &'a Realm) {
        self.paper.blank();
        let aliases: Vec<_> = realm.aliases.iter().map(Text::as_str).collect();
        let also = match aliases.is_empty() {
            true => String::new(),
            false => format!(", also {}", aliases.join(", ")),
        };
        self.paper
            .line(&[(Tone::Bold, realm.name.as_str()), (Tone::Plain, &also)]);
        self.look_ups(realm);
        let of_realm = |problem: &Problem| {
            problem.about == About::Realm && problem.realm.as_ref() == Some(&realm.name)
        };
        self.problems(2, of_realm);
        if realm.kdc.is_empty() && realm.kpasswd.is_empty() {
            self.paper.text(
                2,
                Tone::Warn,
                "nothing is known that its requests could go to",
            );
        }
        let before = self.told.len();
        self.ways(realm, &realm.kdc);
        if !are_alike(&realm.kdc, &realm.kpasswd) {
            self.paper.text(2, Tone::Dim, "for password changes:");
            self.ways(realm, &realm.kpasswd);
        }
        let name = realm.name.as_str();
        let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._".contains(&octet);
        // A wildcard is no realm to ask for, and a name that a shell reads otherwise none to be copied.
        if self.told.len() > before && name.bytes().all(is_plain) {
            let hint = format!("to see how far each gets: loopkdc doctor {name}");
            self.paper.hint(2, &hint);
        }
    }

    fn look_ups(&mut self, realm: &Realm) {
        for look_up in &realm.look_ups {
            let when = match look_up.expires_at {
                Some(at) => {
                    let left = span(at.saturating_sub(self.report.written_at));
                    format!("looked up again in {left} at the earliest")
                }
                None => "looked up with the next request".to_owned(),
            };
            let found = count(look_up.kdc.len() as u64, "found in DNS");
            let text = format!("{}: {found}, {when}", look_up.what);
            self.paper.text(2, Tone::Dim, &text);
            for refused in &look_up.refused {
                let text = format!("not asked: {}, as {}", refused.name, refused.why);
                self.paper.text(4, Tone::Warn, &text);
            }
        }
    }

    fn ways(&mut self, realm: &'a Realm, ways: &'a [Way]) {
        for way in ways {
            let Some(upstream) = self.report.upstreams.get(way.upstream) else {
                continue;
            };
            let (tone, state) = self.state(way);
            let mark = self.paper.mark(way.state);
            self.paper.row(&[
                (tone, mark),
                (Tone::Plain, upstream.name.as_str()),
                (tone, &state),
            ]);
            let of_way = |problem: &Problem| {
                let of_realm = problem
                    .realm
                    .as_ref()
                    .is_none_or(|name| *name == realm.name);
                problem.upstream == Some(way.upstream) && of_realm
            };
            let last = way.fault.as_ref().or(upstream.last_fault.as_ref());
            let before = self.told.len();
            self.problems_met(6, last.map(|fault| fault.met_at), of_way);
            if let Some(fault) = &way.fault
                && !self
                    .told
                    .iter()
                    .any(|problem| of_way(problem) && problem.what == fault.what)
            {
                let text = format!(
                    "{}, {}",
                    fault.what,
                    ago(self.report.written_at, fault.met_at)
                );
                self.paper.text(6, Tone::Dim, &text);
            } else if before == self.told.len()
                && let Some(fault) = upstream
                    .last_fault
                    .as_ref()
                    .filter(|_| upstream.replied_since)
            {
                let text = format!(
                    "before: {}, {}",
                    fault.what,
                    ago(self.report.written_at, fault.met_at)
                );
                self.paper.text(6, Tone::Dim, &text);
            }
        }
    }

    fn state(&self, way: &Way) -> (Tone, String) {
        let left = |at: Option<u64>| {
            let left = at
                .unwrap_or_default()
                .saturating_sub(self.report.written_at);
            span(left.max(1000))
        };
        let times = match way.failures {
            0 | 1 => String::new(),
            failures => format!(" ({})", count(failures.into(), "time")),
        };
        match way.state {
            State::InUse => (Tone::Good, "in use".to_owned()),
            State::Healthy => (Tone::Good, "healthy".to_owned()),
            State::Unknown => (Tone::Dim, "not asked yet".to_owned()),
            State::Failing => (Tone::Warn, format!("failed{times}")),
            State::Resting => {
                let left = left(way.until_at);
                (Tone::Bad, format!("failed{times}; rests for {left}"))
            }
            State::Refusing => {
                let left = left(way.until_at);
                (Tone::Bad, format!("refuses{times}; rests for {left}"))
            }
            State::SetAside => (Tone::Dim, "not on this network".to_owned()),
            State::Other => (Tone::Dim, "in a state of a later version".to_owned()),
        }
    }
}

/// Whether password changes go where everything else goes.
fn are_alike(kdc: &[Way], kpasswd: &[Way]) -> bool {
    let alike = |(one, other): (&Way, &Way)| {
        let served = |state| matches!(state, State::InUse | State::Healthy | State::Unknown);
        one.upstream == other.upstream
            && (one.state == other.state || served(one.state) && served(other.state))
    };
    kdc.len() == kpasswd.len() && kdc.iter().zip(kpasswd).all(alike)
}
