//! Octets become text: UTF-8, UTF-16 of either order, or Windows-1252, with or without a mark; and what a text may have its
//! brackets escaped by, or its values written in hexadecimal.

use crate::relay::text;

/// What Windows-1252 has from 0x80 to 0x9f, where ISO 8859-1 has controls. The rest is the same.
const WINDOWS_1252: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";
/// How a Registry.pol begins ([MS-GPREG] 2.2.1).
const REGISTRY_POL: &[u8] = b"PReg\x01\0\0\0";
/// What a DWORD's type is ([MS-GPREG] 2.2.1).
const REG_DWORD: u32 = 4;
/// How a value in hexadecimal begins in an export (.reg), before its type.
const HEXADECIMAL: &str = "=hex(";
/// Twice escaped is what stands in XML within XML, as a policy of an MDM does.
const MAX_ESCAPED: usize = 3;
/// XML, JSON as PowerShell writes it, and cmd. Intune has U+F000 between a name and its value. `<https://…>` is no value of
/// the policy but a link.
const ESCAPED: [(&str, &str); 14] = [
    ("&lt;", "<"),
    ("&#60;", "<"),
    ("&#x3c;", "<"),
    ("&#x3C;", "<"),
    (r"\u003c", "<"),
    ("^<", "<"),
    ("&gt;", ">"),
    (r"\u003e", ">"),
    ("^>", ">"),
    ("&quot;", "\""),
    ("&#xF000;", "\u{f000}"),
    ("&#xf000;", "\u{f000}"),
    ("&amp;", "&"),
    ("<https://", " https://"),
];

/// What `octets` say in any of these encodings: where they fit none, there are characters that stand for nothing.
pub(super) fn decoded(octets: &[u8]) -> String {
    match octets.strip_prefix(REGISTRY_POL) {
        Some(entries) => registry_pol(entries),
        None => without_hexadecimal(&text_of(octets)),
    }
}

fn text_of(octets: &[u8]) -> String {
    for (mark, unit) in [
        (b"\xff\xfe", u16::from_le_bytes as fn([u8; 2]) -> u16),
        (b"\xfe\xff", u16::from_be_bytes),
    ] {
        if let Some(octets) = octets.strip_prefix(mark) {
            return utf_16(octets, unit);
        }
    }
    // Text of any kind has none, but for the high octets of UTF-16.
    let zeros = |first: usize| {
        let octets = octets.iter().skip(first).step_by(2);
        octets.filter(|octet| **octet == 0).count()
    };
    let (even, odd) = (zeros(0), zeros(1));
    if even + odd > octets.len() / 8 {
        let unit = if odd > even {
            u16::from_le_bytes
        } else {
            u16::from_be_bytes
        };
        return utf_16(octets, unit);
    }
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    str::from_utf8(octets).map_or_else(|_| ansi(octets), str::to_owned)
}

fn ansi(octets: &[u8]) -> String {
    let character = |octet: &u8| match octet {
        0x80..=0x9f => WINDOWS_1252.chars().nth(usize::from(octet - 0x80)),
        _ => Some(char::from(*octet)),
    };
    octets.iter().filter_map(character).collect()
}

fn utf_16_le(octets: &[u8]) -> String {
    utf_16(octets, u16::from_le_bytes)
}

fn utf_16(octets: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (pairs, _) = octets.as_chunks();
    let units: Vec<_> = pairs.iter().copied().map(unit).collect();
    String::from_utf16_lossy(&units)
}

/// A line for each entry, as an export has it; what is none is read as it stands.
fn registry_pol(mut octets: &[u8]) -> String {
    let mut lines = String::new();
    while let Some((line, rest)) = registry_pol_entry(octets) {
        lines.push_str(&text::line(&line));
        lines.push('\n');
        octets = rest;
    }
    lines + &utf_16_le(octets)
}

/// `[key;value;type;size;data]` in UTF-16, the first two with a NUL at the end ([MS-GPREG] 2.2.1).
fn registry_pol_entry(octets: &[u8]) -> Option<(String, &[u8])> {
    let (_, rest) = terminated(octets.strip_prefix(b"[\0")?)?;
    let (name, rest) = terminated(rest)?;
    let (kind, rest) = rest.split_first_chunk::<4>()?;
    let (size, rest) = rest.strip_prefix(b";\0")?.split_first_chunk::<4>()?;
    let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
    let (data, rest) = rest.strip_prefix(b";\0")?.split_at_checked(size)?;
    let data = value(u32::from_le_bytes(*kind), data, utf_16_le);
    Some((format!("\"{name}\"={data}"), rest.strip_prefix(b"]\0")?))
}

/// A value as an export has it where it is not in hexadecimal. The texts of a list stand side by side.
fn value(kind: u32, data: &[u8], text_of: fn(&[u8]) -> String) -> String {
    match data.first_chunk() {
        Some(number) if kind == REG_DWORD => format!("dword:{:08x}", u32::from_le_bytes(*number)),
        _ => {
            let text = text_of(data);
            let text = text.trim_end_matches('\0').replace('\0', " ");
            format!("\"{}\"", text::line(&text))
        }
    }
}

/// An export's `text`, with what it has in hexadecimal as it stands for it: in UTF-16, and in ANSI in older ones.
fn without_hexadecimal(text: &str) -> String {
    let is_old = text.starts_with("REGEDIT4");
    let text_of = if is_old { ansi } else { utf_16_le };
    let mut pieces = text.split(HEXADECIMAL);
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match hexadecimal(piece, text_of) {
            Some((value, rest)) => plain.extend(["=", &value, rest]),
            None => plain.extend([HEXADECIMAL, piece]),
        }
    }
    plain
}

/// A value, `1):3c,00,\`, which goes on in the next line behind a backslash, with as many line feeds; and what stands behind it.
fn hexadecimal(piece: &str, text_of: fn(&[u8]) -> String) -> Option<(String, &str)> {
    let (kind, rest) = piece.split_once("):")?;
    let kind = u32::from_str_radix(kind, 16).ok()?;
    let mut feeds = rest.match_indices('\n').map(|(feed, _)| feed);
    let is_end = |feed: &usize| {
        let line = rest.get(..*feed).unwrap_or_default();
        !line.trim_end_matches([' ', '\t', '\r']).ends_with('\\')
    };
    let (digits, rest) = rest.split_at_checked(feeds.find(is_end).unwrap_or(rest.len()))?;
    let octets = digits.split(',').map(|octet| {
        let octet = octet.trim_matches(|c: char| c == '\\' || c.is_whitespace());
        u8::from_str_radix(octet, 16).ok()
    });
    let value = value(kind, &octets.collect::<Option<Vec<_>>>()?, text_of);
    Some((value + &"\n".repeat(digits.matches('\n').count()), rest))
}

/// A text of a Registry.pol, and what stands behind its semicolon.
fn terminated(octets: &[u8]) -> Option<(String, &[u8])> {
    let (pairs, _) = octets.as_chunks::<2>();
    let end = 2 * pairs.iter().position(|pair| *pair == [0, 0])?;
    let (text, rest) = octets.split_at_checked(end)?;
    let rest = rest.strip_prefix(b"\0\0;\0")?;
    Some((utf_16_le(text), rest))
}

/// `text` with its brackets and quotes themselves.
pub(super) fn unescaped(text: &str) -> String {
    let mut plain = text.to_owned();
    for _ in 0..MAX_ESCAPED {
        for (escaped, character) in ESCAPED {
            plain = plain.replace(escaped, character);
        }
    }
    plain
}
