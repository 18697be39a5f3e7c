use super::*;

/// What is found in `octets` of which the first `cut` come first.
fn found(octets: &str, cut: usize) -> (Option<RequestHead>, Vec<u8>) {
    let mut octets = octets.as_bytes().to_vec();
    let (first, _) = octets.split_at_mut(cut);
    let head = RequestHead::find(first, 0).or_else(|| RequestHead::find(&mut octets, cut));
    (head, octets)
}

#[test]
fn a_head_ends_with_an_empty_line_however_it_is_cut() {
    let head = "GET / HTTP/1.1\r\nX: y\t\r\n\r\n";
    for behind in ["", "GET", "\n\n", "\0", "\r\n\r\n"] {
        let octets = [head, behind].concat();
        for cut in 0..octets.len() {
            let (found, unchanged) = found(&octets, cut);
            assert_eq!(found.unwrap().length, head.len(), "{octets:?} {cut}");
            assert_eq!(unchanged, octets.as_bytes());
        }
    }
}

#[test]
fn part_of_a_head_is_none_until_it_is_too_long() {
    let head = "GET / HTTP/1.1\r\nX: y\r\n\r";
    for length in 0..head.len() {
        assert_eq!(found(&head[..length], 0).0, None);
    }
    let long = ["X: y\r\n", &"x".repeat(MAX_HEADERS)].concat();
    assert_eq!(found(&long, 0).0.unwrap().length, long.len());
}

#[test]
fn a_head_ends_at_a_bare_line_feed_and_is_malformed() {
    let head = "GET / HTTP/1.1\r\nX: y\r\n\r\n";
    for (at, _) in head.match_indices('\r') {
        let mut bad = head.to_owned();
        bad.remove(at);
        for cut in 0..bad.len() {
            let (found, octets) = found(&bad, cut);
            assert_eq!(found.unwrap().length, at + 1, "{bad:?} {cut}");
            assert_eq!(octets[at], MALFORMED, "{bad:?} {cut}");
        }
    }
    for octet in ["\n", "\0", "\u{16}", "\u{7f}"] {
        assert_eq!(found(octet, 0).0.unwrap().length, 1);
    }
}

#[test]
fn a_declared_length_is_found_in_its_own_head() {
    for (line, declares_length) in [
        ("Content-Length: 3", true),
        ("X: y\r\ncontent-LENGTH:", true),
        ("X: content-length:", false),
        ("Content-Length :5", false),
        ("content-\r\ncontent-length:4", true),
    ] {
        let octets = format!("GET / HTTP/1.1\r\n{line}\r\n\r\nContent-Length: 3\r\n");
        for cut in 0..octets.len() {
            let (head, _) = found(&octets, cut);
            assert_eq!(head.unwrap().declares_length, declares_length, "{octets}");
        }
    }
}
