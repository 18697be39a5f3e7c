use std::fs;
use std::path::PathBuf;

use super::*;

const GOOD: &str = "[realms.\"EXAMPLE.COM\"]\nproxies = \"https://a.test\"\n";
const OTHER: &str = "[realms.\"EXAMPLE.ORG\"]\nproxies = \"https://a.test\"\n";
const BAD: &str = "proxiez = 1\n";

fn sources(dir: &tempfile::TempDir) -> (PathBuf, Sources) {
    let file = dir.path().join("config.toml");
    fs::write(&file, GOOD).unwrap();
    let sources = Sources {
        file: Some(file.clone()),
        ..Sources::default()
    };
    (file, sources)
}

fn daemon(sources: &Sources) -> RunDaemon<'_> {
    let config = Config::load(sources).unwrap();
    let relay = Relay::start(&config, Vec::new()).unwrap();
    RunDaemon::new(relay, sources, config.text, false)
}

/// The realms that are served.
fn served(daemon: &RunDaemon) -> Vec<String> {
    let json = daemon.relay.status.json(None);
    let document: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let realms = document["realms"].as_array().unwrap().iter();
    let names = realms.map(|realm| realm["name"].as_str().unwrap().to_owned());
    names.collect()
}

/// An editor may empty a file before it writes what the file is to say, and an empty one is valid.
#[tokio::test]
async fn what_is_being_written_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let (file, sources) = sources(&dir);
    let mut daemon = daemon(&sources);
    fs::write(&file, BAD).unwrap();
    daemon.reload().unwrap_err();
    let mut seen = None;
    for half in ["", OTHER, GOOD, "", BAD, OTHER] {
        fs::write(&file, half).unwrap();
        assert_ne!(daemon.look(&mut seen), Ok(true), "{half}");
        assert_eq!(served(&daemon), ["EXAMPLE.COM"]);
    }
    assert_eq!(daemon.look(&mut seen), Ok(true));
    assert_eq!(served(&daemon), ["EXAMPLE.ORG"]);
    assert!(daemon.mistake.is_none());
}

/// Whatever it was: the file replaced, away with its folder, or one that it names.
#[tokio::test]
async fn it_is_mended_in_whatever_way() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let rename = |from: &str, to: &str| fs::rename(path(from), path(to)).unwrap();
    fs::create_dir(path("etc")).unwrap();
    let ca = rcgen::generate_simple_self_signed(vec!["ca.test".to_owned()]).unwrap();
    let key = ca.signing_key.serialize_pem();
    let good = format!(
        "{GOOD}ca-file = \"ca.pem\"\nheaders-file = \"headers\"\nclient-certificate = \"ca.pem\"\nclient-key = \"key.pem\"\n"
    );
    for (name, text) in [
        ("config.toml", &*good),
        ("ca.pem", &ca.cert.pem()),
        ("key.pem", &key),
        ("headers", "X-Tenant: 7\n"),
    ] {
        fs::write(path("etc").join(name), text).unwrap();
    }
    let sources = Sources {
        file: Some(path("etc/config.toml")),
        ..Sources::default()
    };
    let (mut daemon, mut seen) = (daemon(&sources), None);
    let mut is_mended_by = |breaks: &dyn Fn(), mends: &dyn Fn()| {
        breaks();
        daemon.reload().unwrap_err();
        daemon.look(&mut seen).unwrap_err();
        mends();
        assert_eq!(daemon.look(&mut seen), Ok(false));
        assert_eq!(daemon.look(&mut seen), Ok(true));
    };
    is_mended_by(&|| rename("etc", "away"), &|| rename("away", "etc"));
    for name in ["config.toml", "ca.pem", "key.pem", "headers"] {
        let (file, new) = (format!("etc/{name}"), format!("etc/{name}.new"));
        let right = fs::read(path(&file)).unwrap();
        is_mended_by(&|| rename(&file, &new), &|| rename(&new, &file));
        is_mended_by(&|| fs::write(path(&file), BAD).unwrap(), &|| {
            fs::write(path(&new), &right).unwrap();
            rename(&new, &file);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_looked_at_while_all_is_well() {
    let dir = tempfile::tempdir().unwrap();
    let (file, sources) = sources(&dir);
    let mut daemon = daemon(&sources);
    fs::write(&file, OTHER).unwrap();
    let day = Duration::from_secs(24 * 3600);
    let mended = tokio::time::timeout(day, daemon.mended()).await;
    assert!(mended.is_err());
    assert_eq!(served(&daemon), ["EXAMPLE.COM"]);
}

#[tokio::test(start_paused = true)]
async fn a_mended_one_is_taken_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (file, sources) = sources(&dir);
    let mut daemon = daemon(&sources);
    fs::write(&file, BAD).unwrap();
    daemon.reload().unwrap_err();
    fs::write(&file, OTHER).unwrap();
    let soon = tokio::time::timeout(LOOK * 3, daemon.mended()).await;
    soon.unwrap();
    assert_eq!(served(&daemon), ["EXAMPLE.ORG"]);
}
