//! sssd.conf: which domains there are, and the realm of each.

use std::collections::HashMap;

use crate::operate::krb5_conf::profile::FileSystem;

/// What SSSD reads (sssd.conf(5)): a file, and then those of a folder, of which the last one counts.
pub(crate) const FILE: &str = "/etc/sssd/sssd.conf";
const FOLDER: &str = "/etc/sssd/conf.d";
/// More than anybody has.
const MAX_FILES: usize = 64;

/// A domain whose users SSSD logs in by Kerberos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SssdDomain {
    pub(crate) name: String,
    pub(crate) realm: String,
    /// This one, or another one of the realm, has SSSD ask the KDCs of other realms.
    pub(crate) asks_others: Option<AsksOthers>,
}

/// SSSD asks the KDCs of other realms for some users itself. Nobody says of those whether they can be reached, and while it may
/// try the domain's realm, SSSD begins a login there again without end if they can't.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AsksOthers {
    pub(crate) section: String,
    pub(crate) file: String,
    /// Which KDCs, and for whose logins.
    pub(crate) whose: [&'static str; 2],
    /// What would have it ask the domain's realm.
    pub(crate) instead: Vec<String>,
    /// What else would, and where that does.
    pub(crate) or: [&'static str; 2],
}

/// What has SSSD ask its own realm, whose answer leads on to others (RFC 6806 5).
const ENTERPRISE: &str = "krb5_use_enterprise_principal";
/// How sssd.conf says that no attribute of LDAP has the user's principal: by any name that none has.
const NO_ATTRIBUTE: &str = "nosuch";

/// Those that are enabled, in the order of sssd.conf. None: there is no SSSD here, or its files can't be read.
pub(crate) fn domains(files: &mut dyn FileSystem) -> Vec<SssdDomain> {
    let mut settings = Settings::default();
    if let Ok(text) = files.text(FILE) {
        settings.read(FILE, &text);
    }
    let mut names = files.names(FOLDER).unwrap_or_default();
    names.retain(|name| name.ends_with(".conf") && !name.starts_with('.'));
    names.sort_unstable();
    for name in names.iter().take(MAX_FILES) {
        let file = format!("{FOLDER}/{name}");
        if let Ok(text) = files.text(&file) {
            settings.read(&file, &text);
        }
    }
    let mut domains = settings.domains();
    // SSSD may try a realm, or may not, for all domains alike.
    let mut asking = domains.clone();
    asking.retain(|of| of.asks_others.is_some());
    for domain in &mut domains {
        let asks = asking.iter().find(|of| of.realm == domain.realm);
        domain.asks_others = asks.and_then(|of| of.asks_others.clone());
    }
    domains
}

/// Values with their files, by section and key, both of which are the same in any letter case.
#[derive(Default)]
struct Settings(HashMap<(String, String), (String, String)>);

impl Settings {
    /// As SSSD has it read: no line goes on in the next one, and the last value of a key counts.
    fn read(&mut self, file: &str, text: &str) {
        let mut section = String::new();
        for line in text.lines().map(str::trim) {
            let header = line.strip_prefix('[').and_then(|line| line.split_once(']'));
            if let Some((name, _)) = header {
                section = name.trim().to_ascii_lowercase();
            } else if !line.starts_with(['#', ';'])
                && let Some((key, value)) = line.split_once('=')
            {
                let key = key.trim().to_ascii_lowercase();
                let value = (value.trim().to_owned(), file.to_owned());
                self.0.insert((section.clone(), key), value);
            }
        }
    }

    /// A value, and its file.
    fn find(&self, section: &str, key: &str) -> Option<(&str, &str)> {
        let found = self.0.get(&(section.to_ascii_lowercase(), key.to_owned()));
        let found = found.map(|(value, file)| (value.as_str(), file.as_str()));
        found.filter(|(value, _)| !value.is_empty())
    }

    fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.find(section, key).map(|(value, _)| value)
    }

    fn domains(&self) -> Vec<SssdDomain> {
        let listed = self.get("sssd", "domains").unwrap_or_default();
        let listed = listed.split(',').map(|name| name.trim().to_owned());
        let mut names: Vec<_> = listed.collect();
        // `enabled` of the domain itself goes before the list.
        let mut enabled: Vec<_> = self.0.keys().filter(|(_, key)| key == "enabled").collect();
        enabled.sort_unstable();
        for (section, _) in enabled {
            let name = section.strip_prefix("domain/").unwrap_or_default();
            if !names.iter().any(|other| other.eq_ignore_ascii_case(name))
                && self.is(name, "enabled", false)
            {
                names.push(name.to_owned());
            }
        }
        names.retain(|name| self.is(name, "enabled", true));
        let domains = names.into_iter().filter_map(|name| self.domain(name));
        domains.collect()
    }

    /// A switch of a domain.
    fn is(&self, domain: &str, key: &str, usual: bool) -> bool {
        let said = self.get(&format!("domain/{domain}"), key);
        said.map_or(usual, |said| said.eq_ignore_ascii_case("true"))
    }

    /// None: its passwords are not tried with Kerberos.
    fn domain(&self, name: String) -> Option<SssdDomain> {
        let section = format!("domain/{name}");
        let get = |key| self.get(&section, key);
        let provider = get("auth_provider").or_else(|| get("id_provider"))?;
        let own = |key| get(key).unwrap_or(&name).to_ascii_uppercase();
        let usual = match provider {
            "krb5" => name.clone(),
            "ad" => own("ad_domain"),
            "ipa" => own("ipa_domain"),
            _ => return None,
        };
        Some(SssdDomain {
            realm: get("krb5_realm").map_or(usual, str::to_owned),
            asks_others: self
                .asks_trusted(&name, provider)
                .or_else(|| self.asks_of_principals(&name, provider)),
            name,
        })
    }

    /// sssd.conf(5), sssd-krb5(5): `provider` is whose passwords are tried.
    fn asks_trusted(&self, name: &str, provider: &str) -> Option<AsksOthers> {
        let section = format!("domain/{name}");
        let find = |key| self.find(&section, key);
        let (subdomains, file) = find("subdomains_provider").or_else(|| find("id_provider"))?;
        if !["ad", "ipa"].contains(&subdomains) {
            return None;
        }
        let needed = [
            // With ipa it depends on the server.
            (ENTERPRISE, provider == "ad", true),
            ("krb5_use_subdomain_realm", false, false),
        ];
        let is_wrong =
            |(key, usual, needed): &(&str, bool, bool)| self.is(name, key, *usual) != *needed;
        let wrong: Vec<_> = needed.into_iter().filter(is_wrong).collect();
        let said = wrong.iter().find_map(|(key, ..)| find(key));
        let instead = wrong
            .iter()
            .map(|(key, _, needed)| format!("{key} = {needed}"));
        (!wrong.is_empty()).then(|| AsksOthers {
            file: said.map_or(file, |(_, file)| file).to_owned(),
            whose: ["of trusted domains", "of theirs"],
            or: [
                "where none of their users log in",
                "subdomains_provider = none",
            ],
            instead: instead.collect(),
            section: section.clone(),
        })
    }

    /// By sssd-ldap(5) a user's principal may be of any realm where an attribute has it, as Active Directory's always has. Of the
    /// attribute that is the default elsewhere that is not supposed.
    fn asks_of_principals(&self, name: &str, provider: &str) -> Option<AsksOthers> {
        let section = format!("domain/{name}");
        let find = |key| self.find(&section, key);
        let schema = || {
            let schema = find("ldap_schema").or_else(|| find("id_provider"));
            schema.filter(|(schema, _)| schema.eq_ignore_ascii_case("ad"))
        };
        let (attribute, file) = find("ldap_user_principal").or_else(schema)?;
        let has_none = attribute.to_ascii_lowercase().starts_with(NO_ATTRIBUTE);
        if has_none || self.is(name, ENTERPRISE, provider == "ad") {
            return None;
        }
        Some(AsksOthers {
            file: find(ENTERPRISE).map_or(file, |(_, file)| file).to_owned(),
            section,
            whose: [
                "of the realms of users' principals in LDAP",
                "of such a user",
            ],
            instead: vec![format!("{ENTERPRISE} = true")],
            or: [
                "where all of them are NAME@REALM with the domain's realm",
                "ldap_user_principal = nosuchattr",
            ],
        })
    }
}
