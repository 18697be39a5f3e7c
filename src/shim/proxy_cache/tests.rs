use super::*;
use crate::relay::upstream::kdc::Permitted;

fn realm(name: &str) -> Realm {
    Realm::parse(name.as_bytes()).unwrap()
}

fn urls(texts: &[&str]) -> Vec<DnsTarget> {
    let urls = texts.iter().map(|text| ProxyUrl::read(text).unwrap());
    urls.map(DnsTarget::Proxy).collect()
}

fn other_hosts() -> Allowed {
    Allowed {
        plaintext: false,
        permitted: Permitted::OtherHosts(Vec::new()),
    }
}

fn found(name: &str, [kdc, kpasswd]: [Vec<DnsTarget>; 2]) -> (Realm, DnsResults) {
    let results = DnsResults {
        kdc,
        kpasswd,
        refused: Vec::new(),
        good_for: RETRY,
    };
    (realm(name), results)
}

fn known() -> [Vec<DnsTarget>; 2] {
    let kdc = urls(&[
        "https://b.test/KdcProxy?front=a\\b'c",
        "https://a.test:8443/x'\"y",
    ]);
    [kdc, urls(&["https://pw.test"])]
}

fn example() -> (Realm, DnsResults) {
    found("Example.COM", known())
}

/// What is known of EXAMPLE.COM: where logins go, and passwords.
fn recall(cache: &ProxyCache) -> Option<[Vec<DnsTarget>; 2]> {
    let asked = ["EXAMPLE.COM", "OTHER.TEST"].map(|name| (realm(name), other_hosts()));
    let mut known = cache.recall(&asked);
    assert!(known.len() <= 1, "{known:?}");
    let (key, found) = known.drain().next()?;
    assert_eq!(key, realm("EXAMPLE.COM").key());
    Some([found.kdc, found.kpasswd])
}

/// A cache in a folder of its own, in which this stands.
fn holding(text: impl AsRef<[u8]>) -> (tempfile::TempDir, ProxyCache) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE), text).unwrap();
    let cache = ProxyCache::at(vec![dir.path().to_owned()]);
    (dir, cache)
}

#[test]
fn what_was_written_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("state/loopkdc");
    let mut cache = ProxyCache::at(vec![place.clone()]);
    assert_eq!(recall(&cache), None);
    cache.write(&[example(), found("GONE.TEST", known())]);
    assert_eq!(recall(&cache), Some(known()));
    cache.write(&[]);
    assert_eq!(recall(&cache), None);
    let left: Vec<_> = fs::read_dir(place).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn nobody_else_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("state");
    let mut cache = ProxyCache::at(vec![place.clone()]);
    cache.write(&[example()]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&place), mode(&place.join(FILE))), (0o700, 0o600));
}

#[test]
fn the_first_place_that_will_do_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("file/below");
    fs::write(dir.path().join("file"), "").unwrap();
    let places = [blocked, dir.path().join("a"), dir.path().join("b")];
    let mut cache = ProxyCache::at(places.to_vec());
    cache.write(&[example()]);
    assert!(recall(&cache).is_some());
    assert!(places[1].join(FILE).exists() && !places[2].exists());
}

#[test]
fn nowhere_to_write_is_told_once() {
    let mut cache = ProxyCache::at(vec!["/dev/null/state".into()]);
    cache.write(&[example()]);
    assert!(cache.is_told);
    cache.write(&[example()]);
    assert_eq!(recall(&cache), None);
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
        let (_dir, cache) = holding(text);
        assert_eq!(recall(&cache), None);
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
    let (_dir, cache) = holding(text);
    let [kdc, kpasswd] = recall(&cache).unwrap();
    assert_eq!(
        kdc[..2],
        urls(&["https://good.test/KdcProxy", "https://p0.test/KdcProxy"])
    );
    assert!(kdc.len() <= MAX_PROXIES && kpasswd.is_empty());
}
