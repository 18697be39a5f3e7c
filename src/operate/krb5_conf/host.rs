//! What on a machine decides which krb5.conf is read, and by whom.

use super::machine::Host;

/// The usual file.
pub(crate) const FILE: &str = "/etc/krb5.conf";
/// Where libraries are, and below which folders of an architecture's name.
const LIBRARIES: [&str; 2] = ["/usr/lib64", "/usr/lib"];
/// Heimdal 7's library.
const HEIMDAL: &str = "libkrb5.so.26";

/// The files that libkrb5 reads, the first before the others: those of KRB5_CONFIG, or the usual one.
pub(crate) fn files(host: &dyn Host) -> Vec<String> {
    match host.variable("KRB5_CONFIG") {
        Some(list) => list
            .split(':')
            .filter(|path| !path.is_empty())
            .map(str::to_owned)
            .collect(),
        None => vec![FILE.to_owned()],
    }
}

/// Heimdal's library, if it is installed. Version 7 takes an include before the first section for a mistake, and reads
/// nothing of the file.
pub(crate) fn heimdal(host: &mut dyn Host) -> Option<String> {
    library(host, |name| name.starts_with(HEIMDAL), "")
}

/// The file of a library's folder, or of the folder `below` it, whose name fits.
pub(crate) fn library(
    host: &mut dyn Host,
    fits: impl Fn(&str) -> bool,
    below: &str,
) -> Option<String> {
    let mut folders: Vec<String> = LIBRARIES.map(str::to_owned).to_vec();
    let names = host.names("/usr/lib").unwrap_or_default();
    let of_architecture = names.iter().filter(|name| name.contains("-linux-"));
    folders.extend(of_architecture.map(|name| format!("/usr/lib/{name}")));
    folders.iter().find_map(|folder| {
        let folder = format!("{folder}{below}");
        let names = host.names(&folder).ok()?;
        let name = names.into_iter().find(|name| fits(name))?;
        Some(format!("{folder}/{name}"))
    })
}
