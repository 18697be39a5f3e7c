//! Somebody who changes his password by MIT's `kpasswd`.

use std::time::Instant;

use crate::bounds::{DEADLINE, SLACK};
use crate::busy::Waits;
use crate::scene::Scene;
use crate::support::client::{Outcome, Running};
use crate::support::realm::PASSWORD;

const NEW: &str = "a newer horse";
const CHANGED: &str = "Password changed";
const NOT_CHANGED: &str = "Your password was not changed";
const NOT_KNOWN: &str = "It is not known whether your password was changed";

pub(super) struct Changer {
    name: &'static str,
    kpasswd: Running,
    began: Instant,
    chose: Instant,
    waits: Waits,
}

/// What he was told.
pub(super) struct Told {
    name: &'static str,
    kpasswd: Outcome,
}

impl Changer {
    /// Has shown the old password, and is asked for the new one.
    pub(super) fn begins(scene: &Scene, name: &'static str) -> Changer {
        let client = scene.somebody();
        let began = Instant::now();
        let line = format!("kpasswd {name}@EXAMPLE.COM");
        let mut kpasswd = scene.hosts.laptop.at(|| client.begin(&line));
        kpasswd.types(&[PASSWORD]);
        kpasswd.asks("Enter new password");
        Changer {
            name,
            kpasswd,
            began,
            chose: began,
            waits: Waits::now(),
        }
    }

    pub(super) fn chooses(&mut self) {
        self.waits = Waits::now();
        self.chose = Instant::now();
        self.kpasswd.is_told(&[NEW, NEW]);
    }

    pub(super) fn ends(self) -> Told {
        let kpasswd = self.kpasswd.ends();
        // Its own clock started a moment after this one.
        let waited = kpasswd.took.saturating_sub(self.chose - self.began);
        let waited = waited.saturating_sub(self.waits.since());
        assert!(waited < DEADLINE + SLACK, "{} waited {waited:?}", self.name);
        Told {
            name: self.name,
            kpasswd,
        }
    }
}

impl Told {
    /// That it was changed, that it was not, or that this is not known.
    fn what(&self) -> Option<bool> {
        let says = |words| self.kpasswd.text.contains(words);
        match (self.kpasswd.success, says(NOT_CHANGED), says(NOT_KNOWN)) {
            (true, false, false) if says(CHANGED) => Some(true),
            (false, true, false) => Some(false),
            (false, false, true) => None,
            _ => panic!("{} knows nothing: {}", self.name, self.kpasswd.text),
        }
    }

    /// Fails the test unless he was told one of these and it is true, and either the old or the new password works.
    #[track_caller]
    pub(super) fn knows(&self, scene: &Scene, expected: &[Option<bool>]) {
        let (name, told) = (self.name, self.what());
        assert!(expected.contains(&told), "{name}: {}", self.kpasswd.text);
        let client = scene.somebody();
        let line = format!("kinit {name}@EXAMPLE.COM");
        let laptop = &scene.hosts.laptop;
        let works = |password| laptop.at(|| client.run(&line, &[password])).success;
        let (old, new) = (works(PASSWORD), works(NEW));
        assert_ne!(old, new, "one password of {name} works");
        assert!(
            told.is_none_or(|told| told == new),
            "{name} was told the truth"
        );
        let version = scene.realm.key_version(name);
        assert_eq!(
            version,
            1 + u32::from(new),
            "{name} changed it once at most"
        );
    }
}
