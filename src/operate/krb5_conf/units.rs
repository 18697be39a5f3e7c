//! What systemd's socket units open. Where they serve, theirs are the only sockets, and an address of `[listen]` that none of
//! them opens is nobody's.
//!
//! Pure but for what it reads through [`Host`].

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::machine::Host;
use super::servers::Servers;

/// Where units of the machine are (systemd.unit(5)), the first before the others.
const SYSTEM: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// Where units of its users are, behind those of their own.
const USER: [&str; 4] = [
    "/etc/systemd/user",
    "/run/systemd/user",
    "/usr/local/lib/systemd/user",
    "/usr/lib/systemd/user",
];
/// What systemd makes for the service, and takes away with all that is in it when that ends.
const RUNTIME: &str = "/run/loopkdc/";

/// What is read of units and their drop-ins in all, in MiB.
const MAX_MIB: usize = 16;
/// What a file counts for at the least, in octets.
const MIN_FILE: usize = 4096;

/// What is to be known, and done.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) what: String,
    pub(super) hint: String,
}

/// What is to be known of addresses that a krb5.conf names and no unit opens.
pub(super) fn notes(host: &mut dyn Host, servers: &Servers) -> Vec<Note> {
    let managers = [Manager::of_machine(), Manager::of_user(host)];
    let mut files = Bounded {
        host,
        left: MAX_MIB * 1024 * 1024,
        is_full: false,
    };
    let services = [
        ("loopkdc.socket", Some(servers.kdc_address())),
        ("loopkdc-kpasswd.socket", servers.kpasswd.clone()),
    ];
    let mut notes = Vec::new();
    for (unit, address) in services {
        let Some(address) = address else {
            continue;
        };
        let enabled: Vec<_> = managers
            .iter()
            .filter_map(|manager| Some((manager, manager.opened(&mut files, unit)?)))
            .collect();
        if files.is_full {
            return vec![unread(unit)];
        }
        let opening = enabled.iter().find(|(manager, opened)| {
            let opened = opened.iter();
            opened
                .map(|listed| listed.replace("%t", &manager.runtime))
                .any(|listed| is_opened(&listed, &address))
        });
        match (enabled.first(), opening) {
            (Some((manager, _)), None) => notes.push(manager.unopened(unit, &address)),
            (_, Some(_)) if address.starts_with(RUNTIME) => notes.push(taken_away(&address)),
            _ => {}
        }
    }
    notes
}

/// Files, of which no more is read than [`MAX_MIB`].
struct Bounded<'a> {
    host: &'a mut dyn Host,
    /// In octets.
    left: usize,
    is_full: bool,
}

impl Bounded<'_> {
    fn text(&mut self, path: &str) -> Result<String, String> {
        if self.is_full {
            return Err("is not read any more".to_owned());
        }
        let text = self.host.text(path);
        let octets = text.as_ref().map_or(0, String::len);
        match self.left.checked_sub(octets.max(MIN_FILE)) {
            Some(left) => self.left = left,
            None => self.is_full = true,
        }
        text
    }

    fn names(&mut self, directory: &str) -> Vec<String> {
        self.host.names(directory).unwrap_or_default()
    }
}

/// systemd, of the machine or of a user.
struct Manager {
    directories: Vec<String>,
    command: &'static str,
    /// What `%t` stands for.
    runtime: String,
}

impl Manager {
    fn of_machine() -> Self {
        Self {
            directories: SYSTEM.map(str::to_owned).to_vec(),
            command: "systemctl",
            runtime: "/run".to_owned(),
        }
    }

    fn of_user(host: &dyn Host) -> Self {
        let home = host.variable("HOME");
        let below_home = |path| Some(format!("{}/{path}", home.as_ref()?));
        let config = host.variable("XDG_CONFIG_HOME");
        let own = [
            config.or_else(|| below_home(".config")),
            below_home(".local/share"),
        ];
        let own = own.into_iter().flatten();
        let own = own.map(|path| format!("{path}/systemd/user"));
        Self {
            directories: own.chain(USER.map(str::to_owned)).collect(),
            command: "systemctl --user",
            runtime: host.variable("XDG_RUNTIME_DIR").unwrap_or_default(),
        }
    }

    /// The streams that a unit opens, as it lists them. None: it is not there, or does not start by itself.
    fn opened(&self, files: &mut Bounded<'_>, unit: &str) -> Option<Vec<String>> {
        let is_enabled = self.directories.iter().any(|directory| {
            let wanted = files.names(&format!("{directory}/sockets.target.wants"));
            wanted.iter().any(|name| name == unit)
        });
        let mut directories = self.directories.iter().filter(|_| is_enabled);
        let text =
            directories.find_map(|directory| files.text(&format!("{directory}/{unit}")).ok());
        let mut opened = Vec::new();
        streams(&text?, &mut opened);
        // Of drop-ins with one name, the first directory's counts; all are read in the order of their names.
        let mut drop_ins = BTreeMap::new();
        for directory in self.directories.iter().rev() {
            let directory = format!("{directory}/{unit}.d");
            for name in files.names(&directory) {
                let path = format!("{directory}/{name}");
                drop_ins.insert(name, path);
            }
        }
        for (_, path) in drop_ins.iter().filter(|(name, _)| name.ends_with(".conf")) {
            streams(&files.text(path).unwrap_or_default(), &mut opened);
        }
        Some(opened)
    }

    fn unopened(&self, unit: &str, address: &str) -> Note {
        let Self { command, .. } = self;
        let listen = match address.starts_with('/') {
            true => format!("    ListenStream={address}"),
            false => format!("    ListenDatagram={address}\n    ListenStream={address}"),
        };
        Note {
            what: format!(
                "systemd's {unit} does not open {address}, which krb5.conf is to name: with the units, their addresses count and [listen]'s do not"
            ),
            hint: format!(
                "{command} edit {unit}, and write\n    [Socket]\n{listen}\n  then: {command} restart {unit}; or name in [listen] what it opens: {command} cat {unit}"
            ),
        }
    }
}

fn unread(unit: &str) -> Note {
    Note {
        what: format!(
            "systemd's {unit} has more than {MAX_MIB} MiB of drop-ins with what is read before it: whether it opens what krb5.conf is to name was not looked for"
        ),
        hint: format!("see what is there: systemctl cat {unit}; systemctl --user cat {unit}"),
    }
}

fn taken_away(address: &str) -> Note {
    Note {
        what: format!(
            "systemd takes {address} away when loopkdc ends, with all that is below {RUNTIME}, and then nobody can start it there"
        ),
        hint: "name a path elsewhere in the socket unit and in [listen], such as /run/loopkdc.sock"
            .to_owned(),
    }
}

/// Adds the streams that a file of a unit lists; one that is empty takes away all before it (systemd.socket(5)).
fn streams(text: &str, opened: &mut Vec<String>) {
    let mut is_socket = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            is_socket = line == "[Socket]";
        }
        let assigned = line.split_once('=').filter(|_| is_socket);
        match assigned.map(|(key, value)| (key.trim_end(), value.trim_start())) {
            Some(("ListenStream", value)) if !value.is_empty() => opened.push(value.to_owned()),
            Some((key, "")) if key.starts_with("Listen") => opened.clear(),
            _ => {}
        }
    }
}

/// Whether what is listed opens the address. What only systemd understands may.
fn is_opened(listed: &str, address: &str) -> bool {
    if listed.contains('%') || listed == address {
        return true;
    }
    let Ok(address) = address.parse::<SocketAddr>() else {
        return false;
    };
    // A port alone is that of all addresses.
    if let Ok(port) = listed.parse::<u16>() {
        return port == address.port();
    }
    let listed = listed.parse::<SocketAddr>();
    listed.is_ok_and(|listed| {
        let takes_all = listed.ip().is_unspecified() && (listed.is_ipv6() || address.is_ipv4());
        listed.port() == address.port() && (takes_all || listed.ip() == address.ip())
    })
}
