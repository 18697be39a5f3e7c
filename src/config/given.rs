//! `--realm REALM=URL`.

use super::error::{ConfigError, Place, Written};
use super::realms::{PatternKey, RealmPattern};

/// What the command line says of one realm.
pub(super) struct Given {
    pub(super) pattern: RealmPattern,
    pub(super) key: PatternKey,
    /// The first of its options, for errors about the realm itself.
    pub(super) option: Place,
    pub(super) proxies: Vec<Written>,
}

impl Given {
    /// Reads `REALM=URL`s; those of one realm become one, in their order.
    pub(super) fn parse(options: &[String]) -> Result<Vec<Self>, ConfigError> {
        let mut all: Vec<Self> = Vec::new();
        for text in options {
            let option = Place::option("--realm", text);
            let (pattern, url) = split(text).map_err(|broken| broken.placed(option.clone()))?;
            let key = pattern.key();
            let proxy = Written {
                text: url.to_owned(),
                place: option.clone(),
            };
            match all.iter_mut().find(|given| given.key == key) {
                Some(given) => given.proxies.push(proxy),
                None => all.push(Self {
                    pattern,
                    key,
                    option,
                    proxies: vec![proxy],
                }),
            }
        }
        Ok(all)
    }
}

fn split(text: &str) -> Result<(RealmPattern, &str), ConfigError> {
    let (pattern, url) = text.split_once('=').ok_or_else(|| {
        ConfigError::new("no = between the realm and its proxy")
            .hint("write it like --realm EXAMPLE.COM=https://kdcproxy.example.com/KdcProxy")
    })?;
    Ok((RealmPattern::parse(pattern)?, url))
}
