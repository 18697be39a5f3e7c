//! Apple's profile for its Kerberos extension (.mobileconfig): a payload names its `Realm`, and `preferredKDCs` among its data.
//!
//! It is a property list: a `<key>` is followed by what it is the name of. The keys of a dict are in any order.

/// The key of the list that may name KDC proxies.
pub(super) const KDCS: &str = "preferredKDCs";

/// A dict that has begun.
#[derive(Default)]
struct Dict<'a> {
    key: &'a str,
    payload: Payload<'a>,
}

/// What one payload says.
#[derive(Default)]
pub(super) struct Payload<'a> {
    pub(super) realm: Option<&'a str>,
    /// As in a krb5.conf, each with its line.
    pub(super) kdcs: Vec<(usize, &'a str)>,
}

/// The payloads of a profile that name KDCs.
pub(super) fn payloads(text: &str) -> Vec<Payload<'_>> {
    let mut payloads = Vec::new();
    let mut open = vec![Dict::default()];
    let (mut line, mut is_comment) = (0, false);
    for piece in text.split('<') {
        let (tag, content) = piece.split_once('>').unwrap_or((piece, ""));
        is_comment = (is_comment || tag.starts_with("!--")) && !piece.contains("-->");
        if !is_comment {
            element(&mut open, tag, content.trim(), line, &mut payloads);
        }
        line += piece.matches('\n').count();
    }
    // A file may be cut.
    payloads.extend(open.into_iter().map(|dict| dict.payload));
    payloads.retain(|payload| !payload.kdcs.is_empty());
    payloads
}

/// Takes the beginning or the end of one element.
fn element<'a>(
    open: &mut Vec<Dict<'a>>,
    tag: &str,
    content: &'a str,
    line: usize,
    payloads: &mut Vec<Payload<'a>>,
) {
    if tag == "dict" {
        open.push(Dict::default());
    }
    let ended = if tag == "/dict" && open.len() > 1 {
        open.pop()
    } else {
        None
    };
    let Some(dict) = open.last_mut() else {
        return;
    };
    match (tag, dict.key) {
        ("key", _) => dict.key = content,
        ("string", "Realm") => dict.payload.realm = Some(content),
        ("string", KDCS) => dict.payload.kdcs.push((line, content)),
        _ => {}
    }
    if let Some(Dict { payload, .. }) = ended {
        if payload.realm.is_some() {
            payloads.push(payload);
        } else {
            // The data is a dict in that of the payload.
            dict.payload.kdcs.extend(payload.kdcs);
        }
    }
}
