use std::fs;
use std::path::Path;

use super::*;
use crate::relay::explain::UpstreamKind;
use crate::wire::Realm;

fn realm(name: &str) -> Realm {
    Realm::parse(name.as_bytes()).unwrap()
}

fn urls(texts: &[&str]) -> Vec<UpstreamTarget> {
    let urls = texts.iter().map(|text| ProxyUrl::read(text).unwrap());
    urls.map(UpstreamTarget::Proxy).collect()
}

fn found(name: &str, [kdc, kpasswd]: [Vec<UpstreamTarget>; 2]) -> (String, DnsResults) {
    let results = DnsResults {
        primary: kpasswd.clone(),
        kdc,
        kpasswd,
        refused: Vec::new(),
        good_for: RETRY,
    };
    (name.to_owned(), results)
}

fn known() -> [Vec<UpstreamTarget>; 2] {
    let kdc = urls(&[
        "https://b.test/KdcProxy?front=a\\b'c",
        "https://a.test:8443/x'\"y",
    ]);
    [kdc, urls(&["https://pw.test"])]
}

fn example() -> ProxyCache {
    ProxyCache::of(&[found("Example.COM", known())])
}

/// What is known of EXAMPLE.COM: where logins go, and passwords, as to those that lead to the primary KDC.
fn recall(places: &[PathBuf]) -> Option<[Vec<UpstreamTarget>; 2]> {
    let cache = ProxyCache::read(places);
    let discovery = |name| Discovery::new(&realm(name), UpstreamKind::Proxy, Vec::new()).unwrap();
    assert!(cache.results(&discovery("OTHER.TEST")).is_none());
    let found = cache.results(&discovery("EXAMPLE.COM"))?;
    assert_eq!(found.primary, found.kpasswd);
    Some([found.kdc, found.kpasswd])
}

/// A folder of its own, in which this stands.
fn holding(text: impl AsRef<[u8]>) -> (tempfile::TempDir, [PathBuf; 1]) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE.name), text).unwrap();
    let places = [dir.path().to_owned()];
    (dir, places)
}

#[test]
fn what_was_written_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let places = [dir.path().join("state/loopkdc")];
    assert_eq!(recall(&places), None);
    let both = [found("Example.COM", known()), found("GONE.TEST", known())];
    FILE.write(&places, &ProxyCache::of(&both)).unwrap();
    assert_eq!(recall(&places), Some(known()));
    FILE.write(&places, &ProxyCache::of(&[])).unwrap();
    assert_eq!(recall(&places), None);
    let left: Vec<_> = fs::read_dir(&places[0]).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn nobody_else_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("state");
    FILE.write(std::slice::from_ref(&place), &example())
        .unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&place), mode(&place.join(FILE.name))), (0o700, 0o600));
}

#[test]
fn the_first_place_that_will_do_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("file/below");
    fs::write(dir.path().join("file"), "").unwrap();
    let places = [blocked, dir.path().join("a"), dir.path().join("b")];
    assert_eq!(FILE.write(&places, &example()).as_ref(), Ok(&places[1]));
    assert!(recall(&places).is_some());
    assert!(places[1].join(FILE.name).exists() && !places[2].exists());
}

#[test]
fn nowhere_to_write_is_told() {
    let places = [PathBuf::from("/dev/null/state")];
    let why = FILE.write(&places, &example()).unwrap_err();
    assert!(why.starts_with("/dev/null/state: "), "{why}");
    assert_eq!(recall(&places), None);
}

#[test]
fn a_broken_file_says_nothing() {
    for text in [
        &b"kdc = [\"https://a.test\""[..],
        b"realms = 7",
        b"[realms.\"EXAMPLE.COM\"]\nkdc = \"https://a.test\"\n",
        b"[realms.\"EXAMPLE.COM\"]\nkdc = [7]\n",
        b"\xff\xfe\0",
        b"",
        &vec![b'#'; 2 << 20],
    ] {
        let (_dir, places) = holding(text);
        assert_eq!(recall(&places), None);
    }
}

/// Whoever wrote it: it says no more than DNS may.
#[test]
fn what_is_remembered_is_held_to_the_rules_of_what_is_found() {
    let many = (0..100).map(|n| format!("\"https://p{n}.test\", "));
    let many: String = many.collect();
    let text = format!(
        "later = 1\n[realms.\"example.com\"]\nlater = 2\n\
         kdc = [\"http://a.test\", \"https://127.0.0.1\", \"https://localhost\", \"ftp://x\", \"\", \
         \"https://u:p@a.test\", \"https://good.test\", \"https://good.test/KdcProxy\", {many}]\n\
         [realms.\"EVIL.TEST\"]\nkdc = [\"https://evil.test\"]\n\
         [realms.\"\"]\nkdc = [\"https://evil.test\"]\n"
    );
    let (_dir, places) = holding(text);
    let [kdc, kpasswd] = recall(&places).unwrap();
    assert_eq!(
        kdc[..2],
        urls(&["https://good.test/KdcProxy", "https://p0.test/KdcProxy"])
    );
    assert!(kdc.len() <= MAX_PROXIES && kpasswd.is_empty());
}
