//! Names of nobody, of whom a client is told what it would be told of somebody (`hide-unknown-principals`).

use std::collections::HashMap;
use std::sync::Mutex;

use crate::relay::sync::lock;
use crate::wire::{KerberosMessage, PreauthError, RealmKey, Reply};

/// Answers that are kept of one realm: for each of the lists of encryption types that its clients ask with, two.
const KEPT: usize = 16;

/// What KDCs have said last to clients that exist, by realm: of these there are as many as the configuration names.
#[derive(Debug, Default)]
pub struct UnknownPrincipals(Mutex<HashMap<RealmKey, Vec<PreauthError>>>);

impl UnknownPrincipals {
    /// Keeps the `reply` to an AS-REQ, if it is of use.
    pub fn learn(&self, request: &KerberosMessage, reply: &Reply) {
        if let Some(error) = PreauthError::read(request, reply) {
            let mut realms = lock(&self.0);
            let known = realms.entry(request.realm().key()).or_default();
            known.retain(|other| !other.is_like(&error));
            if known.len() == KEPT {
                known.remove(0);
            }
            known.push(error);
        }
    }

    /// What is said to an AS-REQ instead of `unknown`; nothing, until the KDC has said it to somebody.
    #[must_use]
    pub fn imitate(&self, request: &KerberosMessage, unknown: &Reply) -> Option<Reply> {
        let realms = lock(&self.0);
        let known = realms.get(&request.realm().key())?;
        PreauthError::imitate(known, request, unknown)
    }
}
