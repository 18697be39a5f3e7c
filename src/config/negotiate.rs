//! `auth`, `keytab`, `ccache` and `negotiate-principal`.

use std::path::Path;

use super::document::ConfigSection;
use super::error::{ConfigError, Located};
use super::keys;
use super::read::{self, NamedFile};
use crate::relay::upstream::negotiate::{Negotiate, Principal};

/// Kinds of credential caches that krb5.conf(5) knows by these names, but for those of one process.
const CACHES: [&str; 6] = ["FILE:", "DIR:", "KCM:", "KEYRING:", "API:", "SLOT:"];

/// `base`: what files are relative to.
pub(super) fn read(table: &ConfigSection, base: &Path) -> Result<Option<Negotiate>, ConfigError> {
    let written = |key| table.text(key);
    let ccache = written(&keys::CCACHE);
    let principal = written(&keys::NEGOTIATE_PRINCIPAL);
    let Some(auth) = written(&keys::AUTH) else {
        let alone = written(&keys::KEYTAB).or(ccache).or(principal);
        return alone.map_or(Ok(None), |written| {
            Err(written.error("tickets are shown only with auth = \"negotiate\""))
        });
    };
    if auth.value == "none" {
        return Ok(None);
    }
    if !table.is_written(&keys::KEYTAB) && ccache.is_none() {
        let rule = "auth = \"negotiate\" needs tickets to show";
        return Err(auth.error(rule).hint(
            "name a file of keys, keytab = \"FILE\", or a credential cache, ccache = \"NAME\"",
        ));
    }
    if !cfg!(feature = "negotiate") {
        return Err(auth
            .error("this loopkdc was built without the GSSAPI library")
            .hint("build it with it: cargo build --release --features negotiate"));
    }
    let mut principal = table.parse(&keys::NEGOTIATE_PRINCIPAL, parse_principal)?;
    let keytab = NamedFile::of(table, &keys::KEYTAB, base)?;
    if let Some(file) = &keytab {
        let chosen = choose(&file.octets, principal);
        principal = Some(chosen.map_err(|why| file.error(format!("{file} {why}")))?);
    }
    let ccache = ccache.map(|written| cache(base, &written));
    Ok(Some(Negotiate {
        keytab: keytab.map(|file| file.path),
        ccache: ccache.transpose()?,
        principal,
    }))
}

fn cache(base: &Path, written: &Located<String>) -> Result<String, ConfigError> {
    let text = &written.value;
    if CACHES.iter().any(|kind| text.starts_with(kind)) {
        return Ok(text.to_owned());
    }
    if text.starts_with("MEMORY:") {
        return Err(written
            .error("a MEMORY: cache is that of another process")
            .hint("with a keytab leave ccache out: tickets are kept in memory then"));
    }
    Ok(format!("FILE:{}", read::path(base, written)?.display()))
}

fn parse_principal(text: &str) -> Result<Principal, ConfigError> {
    match text.rsplit_once('@') {
        Some((name, realm)) if !name.is_empty() && !realm.is_empty() => Ok(Principal {
            name: name.to_owned(),
            realm: realm.to_owned(),
        }),
        _ => Err(ConfigError::new("a principal has a name and a realm")
            .hint("write it like \"host/laptop.example.com@EXAMPLE.COM\"")),
    }
}

/// The principal whose keys are to be used: the one that is `wanted`, else the first in the file.
fn choose(keytab: &[u8], wanted: Option<Principal>) -> Result<Principal, String> {
    let held = principals(keytab).ok_or("is no keytab of MIT's format")?;
    let first = held.first().cloned().ok_or("holds no key")?;
    match wanted {
        Some(wanted) if held.contains(&wanted) => Ok(wanted),
        Some(wanted) => Err(format!("holds no key of {wanted}")),
        None => Ok(first),
    }
}

/// The principals in a keytab, format 0x0502: entries behind their lengths, of which negative ones are holes.
fn principals(keytab: &[u8]) -> Option<Vec<Principal>> {
    let mut rest = keytab.strip_prefix(&[5, 2])?;
    let mut held = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = i32::from_be_bytes(*length);
        let octets = usize::try_from(length.unsigned_abs()).ok()?;
        let (entry, after) = after.split_at_checked(octets)?;
        match length {
            0 => break,
            1.. => held.push(principal(entry)?),
            _ => {}
        }
        rest = after;
    }
    Some(held)
}

fn principal(entry: &[u8]) -> Option<Principal> {
    let (count, mut rest) = entry.split_first_chunk()?;
    let mut text = || {
        let (length, after) = rest.split_first_chunk()?;
        let (text, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
        rest = after;
        Some(String::from_utf8_lossy(text).into_owned())
    };
    let realm = text()?;
    let count = u16::from_be_bytes(*count);
    // As it is written, and as the library reads it.
    let components = (0..count).map(|_| Some(escaped(&text()?)));
    let name = components.collect::<Option<Vec<_>>>()?.join("/");
    Some(Principal { name, realm })
}

/// RFC 1964 2.1.1.
fn escaped(component: &str) -> String {
    let component = component.replace('\\', r"\\");
    component.replace('/', r"\/").replace('@', r"\@")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A keytab as MIT's ktutil wrote it: two keys, of which one was deleted, and then one of a host.
    fn keytab(entries: &[(i32, &str, &[&str])]) -> Vec<u8> {
        let text = |text: &str| {
            [
                &u16::try_from(text.len()).unwrap().to_be_bytes(),
                text.as_bytes(),
            ]
            .concat()
        };
        let mut keytab = vec![5, 2];
        for (sign, realm, components) in entries {
            let mut entry = u16::try_from(components.len())
                .unwrap()
                .to_be_bytes()
                .to_vec();
            entry.extend(text(realm));
            entry.extend(components.iter().flat_map(|part| text(part)));
            entry.extend([0; 32]);
            keytab.extend((i32::try_from(entry.len()).unwrap() * sign).to_be_bytes());
            keytab.extend(entry);
        }
        keytab
    }

    fn chosen(keytab: &[u8], wanted: Option<&str>) -> Result<String, String> {
        let wanted = wanted.map(|text| {
            let (name, realm) = text.rsplit_once('@').unwrap();
            Principal {
                name: name.to_owned(),
                realm: realm.to_owned(),
            }
        });
        choose(keytab, wanted).map(|principal| principal.to_string())
    }

    #[test]
    fn the_first_principal_is_meant_unless_one_is_named() {
        let keytab = keytab(&[
            (-1, "GONE.EXAMPLE", &["gone"]),
            (1, "EXAMPLE.COM", &["host", "laptop.example.com"]),
            (1, "EXAMPLE.COM", &["laptop$", "a/b@c"]),
        ]);
        assert_eq!(
            chosen(&keytab, None).unwrap(),
            "host/laptop.example.com@EXAMPLE.COM"
        );
        let second = r"laptop$/a\/b\@c@EXAMPLE.COM";
        assert_eq!(chosen(&keytab, Some(second)).unwrap(), second);
        let none = chosen(&keytab, Some("gone@GONE.EXAMPLE")).unwrap_err();
        assert_eq!(none, "holds no key of gone@GONE.EXAMPLE");
    }

    #[test]
    fn what_is_no_keytab_is_told() {
        assert_eq!(chosen(&[5, 2], None).unwrap_err(), "holds no key");
        let whole = keytab(&[(1, "EXAMPLE.COM", &["user"])]);
        for octets in [
            &b""[..],
            b"\x05\x01",
            b"-----BEGIN",
            &whole[..whole.len() - 1],
            &[5, 2, 0, 0, 0, 1, 0],
        ] {
            assert_eq!(
                chosen(octets, None).unwrap_err(),
                "is no keytab of MIT's format",
                "{octets:?}"
            );
        }
    }
}
