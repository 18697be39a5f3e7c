//! The krb5.conf that SSSD reads besides, by what `loopkdc run` says of its realms.
//!
//! A user without rights writes what is read here, and libkrb5 loads the plugins that a krb5.conf names: so that text only
//! chooses among the realms that root has named, and none of it is written anywhere.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::config::read;
use crate::operate::krb5_conf::host::MAX_FILE;
use crate::operate::krb5_conf::{errors, safe_file};
use crate::relay::failure::Failure;

/// Below /run, what `loopkdc run` says by --reachable-file: the realms that can be reached, one a line.
pub(crate) const REACHABLE: &str = "loopkdc/reachable";
/// It makes this after each change of that, to be taken away when it has been acted on.
const CHANGED: &str = "loopkdc/reachable.changed";
/// What SSSD reads.
pub(crate) const KRB5_CONF: &str = "loopkdc-sssd/krb5.conf";
/// The command, for hints.
const COMMAND: &str = "loopkdc krb5-conf --sssd";
/// Has SSSD try the KDC at all. libkrb5 asks it last, if all else has failed, and is refused at once: nobody but root could
/// listen there.
const KDC: &str = "https://127.0.0.1:9/none";
/// Who changes what is read here so often is not to be believed.
const TRIES: usize = 8;
/// systemd gives a path unit up that starts its service more than 200 times in 2 s (systemd.path(5)).
const PACE: Duration = Duration::from_millis(20);

/// Has the file below `run` say which of these realms can be reached, or takes it away if none can.
///
/// # Errors
/// It can't be written, or others than root could.
pub(crate) fn write(run: &Path, realms: &[String]) -> Result<(), Failure> {
    let (told, file) = (run.join(REACHABLE), run.join(KRB5_CONF));
    for _ in 0..TRIES {
        let found = reachable(&told, realms);
        let done = put(&file, &found);
        // Not before, as `loopkdc run` has SSSD wait for this. Of a change after the next look systemd has the word once more.
        let _ = fs::remove_file(run.join(CHANGED));
        done?;
        // When loopkdc.service ends, both files are taken away, the one that is read here before the other.
        if reachable(&told, realms) == found {
            thread::sleep(PACE);
            return Ok(());
        }
    }
    put(&file, &[])
}

/// Those of the realms that can be reached. None: so it is said, or nobody says so in a way that is to be believed.
fn reachable<'a>(told: &Path, realms: &'a [String]) -> Vec<&'a str> {
    let octets = read::regular_itself(told, MAX_FILE).unwrap_or_default();
    let text = String::from_utf8_lossy(&octets);
    let named: HashSet<_> = text.lines().collect();
    let realms = realms.iter().map(String::as_str);
    realms.filter(|realm| named.contains(realm)).collect()
}

/// What the file says of realms that can be reached.
fn content(realms: &[&str]) -> String {
    let mut text = "# For sssd.service alone, while these realms can be reached: loopkdc-sssd.service writes it anew.\n[realms]\n".to_owned();
    for realm in realms {
        text += &format!("    {realm} = {{\n        kdc = {KDC}\n    }}\n");
    }
    text
}

fn put(file: &Path, realms: &[&str]) -> Result<(), Failure> {
    let folder = file.parent().unwrap_or(file);
    let is = safe_file::read(file, COMMAND)?;
    let should_be = (!realms.is_empty()).then(|| content(realms).into_bytes());
    let done = match &should_be {
        _ if is == should_be => Ok(()),
        Some(octets) if folder.is_dir() => safe_file::write(file, octets, file),
        Some(octets) => {
            safe_file::make_directory(folder).and_then(|()| safe_file::write(file, octets, file))
        }
        None => safe_file::remove(file),
    };
    done.map_err(|error| errors::failed(file, "written", &error, COMMAND))
}
