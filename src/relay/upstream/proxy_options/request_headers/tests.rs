use std::fs;

use tempfile::TempDir;

use super::*;

fn source(dir: &TempDir) -> HeaderSource {
    let mut secret = HeaderValue::from_static("a");
    secret.set_sensitive(true);
    HeaderSource::new(&RequestHeaders {
        fixed: vec![(HeaderName::from_static("x-site"), secret)],
        headers_file: Some(dir.path().join("headers")),
        bearer_token_file: Some(dir.path().join("token")),
    })
}

fn files(headers: &str, token: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("headers"), headers).unwrap();
    fs::write(dir.path().join("token"), token).unwrap();
    dir
}

async fn sent(source: &HeaderSource, name: &str) -> String {
    let headers = source.headers().await.unwrap();
    headers[name].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_file_that_changes_is_read_again() {
    let dir = files("X-Device: 7\n", "one\n");
    let source = source(&dir);
    assert_eq!(sent(&source, "x-site").await, "a");
    assert_eq!(sent(&source, "x-device").await, "7");
    assert_eq!(sent(&source, "authorization").await, "Bearer one");
    // Of the same length, within the same tick of the clock perhaps, and by another file in its place.
    fs::write(dir.path().join("new"), "two\n").unwrap();
    fs::rename(dir.path().join("new"), dir.path().join("token")).unwrap();
    assert_eq!(sent(&source, "authorization").await, "Bearer two");
    assert_eq!(sent(&source, "x-device").await, "7");
}

#[tokio::test]
async fn what_it_held_before_counts_while_it_is_of_no_use() {
    let dir = files("X-Device: 7\n", "one\n");
    let source = source(&dir);
    assert_eq!(sent(&source, "authorization").await, "Bearer one");
    fs::remove_file(dir.path().join("token")).unwrap();
    fs::write(dir.path().join("headers"), "half a li").unwrap();
    for _ in 0..2 {
        assert_eq!(sent(&source, "authorization").await, "Bearer one");
        assert_eq!(sent(&source, "x-device").await, "7");
    }
    fs::write(dir.path().join("token"), "two\n").unwrap();
    assert_eq!(sent(&source, "authorization").await, "Bearer two");
}

#[tokio::test]
async fn nothing_is_sent_without_what_was_never_read() {
    let dir = files("X-Device: 7\n", "one\n");
    fs::remove_file(dir.path().join("token")).unwrap();
    let why = source(&dir).headers().await.unwrap_err();
    assert!(why.ends_with("token could not be read"), "{why}");
    fs::write(dir.path().join("token"), "t".repeat(64 * 1024 + 1)).unwrap();
    assert!(source(&dir).headers().await.is_err());
}

#[tokio::test]
async fn no_value_is_shown() {
    let dir = files("X-Device: s3cret\n", "s3cret\n");
    let source = source(&dir);
    let headers = source.headers().await.unwrap();
    assert!(headers.values().all(HeaderValue::is_sensitive));
    let all = format!(
        "{source:?} {headers:?} {:?}",
        parse_headers("X-Device: s3cret")
    );
    assert!(!all.contains("s3cret"), "{all}");
}

#[test]
fn what_is_no_header_is_refused() {
    for (line, number) in [
        ("no colon", 1),
        ("\n# x\nX y: 1", 3),
        ("X: \u{1}", 1),
        ("Host: h", 1),
    ] {
        let why = parse_headers(line).unwrap_err();
        assert!(why.starts_with(&format!("line {number}: ")), "{why}");
    }
    assert_eq!(parse_headers("").unwrap(), []);
    for token in ["", "a b", "a\nb", "ü"] {
        assert!(parse_token(token).is_err(), "{token:?}");
    }
}
