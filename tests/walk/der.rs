//! DER by hand: enough to build messages that nobody else built, and to find a field in one.

/// One element: tag, length, content.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    match content.len() {
        short @ 0..=0x7f => der.push(short as u8),
        long => {
            let length: Vec<u8> = long
                .to_be_bytes()
                .into_iter()
                .skip_while(|octet| *octet == 0)
                .collect();
            der.push(0x80 | length.len() as u8);
            der.extend(length);
        }
    }
    der.extend(content);
    der
}

/// `[APPLICATION number]`, constructed.
pub(crate) fn application(number: u8, content: &[u8]) -> Vec<u8> {
    tlv(0x60 | number, content)
}

/// `[number] EXPLICIT`.
pub(crate) fn field(number: u8, content: &[u8]) -> Vec<u8> {
    tlv(0xa0 | number, content)
}

pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub(crate) fn integer(value: i64) -> Vec<u8> {
    let octets = value.to_be_bytes();
    let redundant = |pair: &&[u8]| matches!((pair[0], pair[1] >> 7), (0, 0) | (0xff, 1));
    let skip = octets.windows(2).take_while(redundant).count();
    tlv(0x02, &octets[skip..])
}

pub(crate) fn octets(content: &[u8]) -> Vec<u8> {
    tlv(0x04, content)
}

pub(crate) fn bits() -> Vec<u8> {
    tlv(0x03, &[0; 5])
}

/// GeneralString, Kerberos's only kind of text.
pub(crate) fn text(content: &str) -> Vec<u8> {
    tlv(0x1b, content.as_bytes())
}

pub(crate) fn time() -> Vec<u8> {
    tlv(0x18, b"20370913024805Z")
}

/// PrincipalName (RFC 4120 5.2.2).
pub(crate) fn principal(parts: &[&str]) -> Vec<u8> {
    let parts: Vec<_> = parts.iter().map(|part| text(part)).collect();
    sequence(&[field(0, &integer(1)), field(1, &sequence(&parts))])
}

/// The content of the element that `path` leads to, a tag for each level; the first of its tag counts.
pub(crate) fn dig<'a>(der: &'a [u8], path: &[u8]) -> Option<&'a [u8]> {
    let Some((wanted, path)) = path.split_first() else {
        return Some(der);
    };
    let mut rest = der;
    while let Some((tag, content, after)) = element(rest) {
        if tag == *wanted {
            return dig(content, path);
        }
        rest = after;
    }
    None
}

/// The first element of `der`: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, length], rest) = der.split_first_chunk()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        _ => {
            let (length, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let length = length
                .iter()
                .fold(0, |sum, octet| sum << 8 | usize::from(*octet));
            (length, rest)
        }
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

/// An INTEGER's content as a number.
pub(crate) fn number(content: &[u8]) -> i64 {
    let sign = if content.first().is_some_and(|octet| *octet > 0x7f) {
        -1
    } else {
        0
    };
    content
        .iter()
        .fold(sign, |sum, octet| sum << 8 | i64::from(*octet))
}
