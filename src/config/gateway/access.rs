//! Who is let in: certificates, and bearer tokens.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::SystemTime;

use der::DateTime;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::policy::NamePattern;
use crate::config::document::ConfigSection;
use crate::config::error::{ConfigError, ConfigPlace};
use crate::config::keys;
use crate::config::read::NamedFile;
use crate::config::realms::realm;
use crate::wire::Realm;

/// Octets of a token's name.
const MAX_NAME: usize = 64;

/// Certificates that are let in.
#[derive(Clone, Debug)]
pub struct AllowedCertificates {
    /// What a DNS name in their subjectAltName is like.
    pub san: NamePattern,
    /// The realms that they may ask for.
    pub realms: Arc<[Realm]>,
}

impl PartialEq for AllowedCertificates {
    fn eq(&self, other: &Self) -> bool {
        let keys = |it: &Self| it.realms.iter().map(Realm::key).collect::<Vec<_>>();
        self.san == other.san && keys(self) == keys(other)
    }
}

impl Eq for AllowedCertificates {}

#[derive(Deserialize)]
struct WrittenClient {
    san: String,
    realms: Vec<String>,
}

/// What `clients` says; nothing if it says nothing.
pub(super) fn certificates(table: &ConfigSection) -> Result<Vec<AllowedCertificates>, ConfigError> {
    let clients = table.parse_each(&keys::CLIENTS, |written: &WrittenClient| {
        Ok(AllowedCertificates {
            san: san(&written.san)?,
            realms: realms(written.realms.iter().map(String::as_str))?,
        })
    })?;
    let error = |rule: &str, hint: &str| Err(table.error(&keys::CLIENTS, rule).hint(hint));
    match (table.is_written(&keys::CLIENTS), clients.is_empty()) {
        (true, true) => error(
            "no certificate would be let in",
            "name some, or take the key away: then all are let in",
        ),
        (true, false) if !table.is_written(&keys::CLIENT_CA_FILE) => error(
            "clients needs to know who signs their certificates",
            "add: client-ca-file = \"clients-ca.pem\"",
        ),
        _ => Ok(clients),
    }
}

fn san(text: &str) -> Result<NamePattern, ConfigError> {
    let is_allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"-._*".contains(&octet);
    if text.is_empty() || !text.bytes().all(is_allowed) {
        let rule = "a san is a DNS name, in which * stands for anything";
        return Err(ConfigError::new(rule).hint("write it like \"*.laptops.example.com\""));
    }
    NamePattern::parse(text)
}

fn realms<'a>(names: impl Iterator<Item = &'a str>) -> Result<Arc<[Realm]>, ConfigError> {
    let realms: Arc<[Realm]> = names.map(realm).collect::<Result<_, _>>()?;
    if realms.is_empty() {
        return Err(ConfigError::new("no realm could be asked for"));
    }
    Ok(realms)
}

/// The file of tokens that are let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokensFile(pub(super) PathBuf);

impl TokensFile {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// What it holds.
    pub(crate) fn read(&self) -> Result<NamedFile, ConfigError> {
        let key = &keys::TOKENS_FILE;
        NamedFile::read(key, self.0.clone(), ConfigPlace::Key(key))
    }
}

/// The tokens that are let in, by their SHA-256.
#[derive(Debug, Default)]
pub struct Tokens(HashMap<TokenHash, AllowedToken>);

/// A token that is let in.
#[derive(Clone, Debug)]
pub struct AllowedToken {
    /// Who has it.
    pub name: Arc<str>,
    /// The realms that may be asked for with it.
    pub realms: Arc<[Realm]>,
    /// The last moment at which it is valid, if there is one.
    until: Option<SystemTime>,
}

/// SHA-256 of a token. Nobody can tell by the time that a look-up takes what is there: where it begins to look depends on a key that
/// each table makes for itself, and what it finds is compared in constant time.
#[derive(Clone, Debug, Eq)]
struct TokenHash([u8; 32]);

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for TokenHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Tokens {
    /// The tokens in `file`.
    pub(crate) fn parse(file: &NamedFile) -> Result<Self, ConfigError> {
        let mut tokens = HashMap::new();
        for (index, line) in file.text()?.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let error = |rule: &str| {
                file.error(format!("{file}, line {}: {rule}", index + 1))
                    .hint("a line is like: laptop7 SHA256-IN-HEX 2027-06-30 EXAMPLE.COM")
            };
            let (hash, token) = token(line).map_err(error)?;
            match tokens.entry(hash) {
                Entry::Vacant(vacant) => vacant.insert(token),
                Entry::Occupied(_) => {
                    return Err(error("this token stands on an earlier line, too"));
                }
            };
        }
        Ok(Self(tokens))
    }

    /// What `token` is good for at `now`.
    pub fn find(&self, token: &[u8], now: SystemTime) -> Option<&AllowedToken> {
        let found = self.0.get(&TokenHash(Sha256::digest(token).into()));
        found.filter(|token| token.until.is_none_or(|until| now <= until))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// What stands on a line. No error repeats it: the token itself may have been written there.
fn token(line: &str) -> Result<(TokenHash, AllowedToken), &'static str> {
    let mut words = line.split_ascii_whitespace();
    let mut word = || words.next().unwrap_or_default();
    let (name, hash, until) = (word(), word(), word());
    if name.len() > MAX_NAME || !name.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Err("a name is up to 64 characters of ASCII");
    }
    let hash = sha256(hash).ok_or("the second word is no SHA-256 in hex")?;
    let until = match until {
        "never" => None,
        day => {
            let moment = DateTime::from_str(&format!("{day}T23:59:59Z"));
            let moment =
                moment.map_err(|_| "the third word is no day like 2027-06-30, nor never")?;
            Some(moment.to_system_time())
        }
    };
    let token = AllowedToken {
        name: name.into(),
        realms: realms(words).map_err(|_| "the realms are missing, or one of them is none")?,
        until,
    };
    Ok((hash, token))
}

fn sha256(hex: &str) -> Option<TokenHash> {
    let mut hash = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        return None;
    }
    for (octet, digits) in hash.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *octet = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(TokenHash(hash))
}
