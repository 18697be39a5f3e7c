//! The few steps through DER that every message shares, and the string type that `der` lacks.

use der::asn1::IntRef;
use der::{
    DecodeValue, Encode, EncodeValue, FixedTag, Header, Length, Reader, Tag, TagNumber, Writer,
};

/// The identifier octet of field `[0]`, and those of the others follow it.
const CONTEXT: u8 = 0xa0;
/// In the place of a tag's number: it is larger than that and comes in octets of its own (X.690 8.1.2.4).
const HIGH_NUMBER: u8 = 0x1f;

/// A GeneralString: what RFC 4120 5.2.1 makes of KerberosString and Realm. Octets as sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GeneralString<'a>(&'a [u8]);

impl<'a> GeneralString<'a> {
    /// The octets of `text`, unchecked: RFC 4120 5.2.1 asks for IA5 only, [`super::Realm`] checks it.
    pub fn new(text: &'a [u8]) -> Self {
        Self(text)
    }

    /// The octets between tag and length, as sent.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl FixedTag for GeneralString<'_> {
    const TAG: Tag = Tag::GeneralString;
}

impl<'a> DecodeValue<'a> for GeneralString<'a> {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> der::Result<Self> {
        reader.read_slice(header.length()).map(Self)
    }
}

impl EncodeValue for GeneralString<'_> {
    fn value_len(&self) -> der::Result<Length> {
        self.0.len().try_into()
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(self.0)
    }
}

/// Flags in an INTEGER, which Windows and MIT krb5 read and write as a signed one of 32 bits. Of one that is longer, such as an
/// unsigned one whose highest bit is set, it is the lower 32 bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IntegerFlags(pub u32);

impl FixedTag for IntegerFlags {
    const TAG: Tag = Tag::Integer;
}

impl<'a> DecodeValue<'a> for IntegerFlags {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> der::Result<Self> {
        let octets = IntRef::decode_value(reader, header)?.as_bytes();
        Ok(Self(signed(octets) as u32))
    }
}

impl EncodeValue for IntegerFlags {
    fn value_len(&self) -> der::Result<Length> {
        self.0.cast_signed().value_len()
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        self.0.cast_signed().encode_value(writer)
    }
}

/// The number that `octets` are in two's complement (X.690 8.3.3); of one that is longer, its lower 64 bits.
fn signed(octets: &[u8]) -> i64 {
    let is_negative = octets.first().is_some_and(|first| first & 0x80 != 0);
    let fold = |number, octet: &u8| number << 8 | i64::from(*octet);
    octets.iter().fold(-i64::from(is_negative), fold)
}

/// The tag of an RFC 4120 message: `[APPLICATION n]`.
pub(super) const fn application(number: u32) -> Tag {
    Tag::Application {
        constructed: true,
        number: TagNumber(number),
    }
}

/// The tag of a field: `[n]`, EXPLICIT throughout RFC 4120.
pub(super) const fn context(number: u32) -> Tag {
    Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(number),
    }
}

/// An element of DER, of which all but its identifier and its length is still to be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Element<'a> {
    /// Its identifier octet: of all that RFC 4120 knows it is a single one (X.690 8.1.2).
    identifier: u8,
    value: &'a [u8],
}

impl<'a> Element<'a> {
    /// The element that `input` begins with, and what follows it. [`der`] reads the same; by it a gateway took a fifth more
    /// instructions for a request, which has some 60 of them and passes most several times.
    pub(super) fn split(input: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let [identifier, length, rest @ ..] = input else {
            return None;
        };
        let (length, rest) = match *length {
            short @ ..=0x7f => (usize::from(short), rest),
            long @ 0x81..=0x84 => {
                let (octets, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                let length = octets
                    .iter()
                    .fold(0, |length, octet| length << 8 | usize::from(*octet));
                // X.690 10.1: in no more octets than it takes.
                let is_shortest = length > 0x7f && octets.first() != Some(&0);
                (is_shortest.then_some(length)?, rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        let element = Self {
            identifier: *identifier,
            value,
        };
        is_known(*identifier).then_some((element, rest))
    }

    /// The element that `input` is, with nothing behind it.
    pub(super) fn whole(input: &'a [u8]) -> Option<Self> {
        let (element, rest) = Self::split(input)?;
        rest.is_empty().then_some(element)
    }

    pub(super) const fn new(tag: Tag, value: &'a [u8]) -> Self {
        let constructed = (tag.is_constructed() as u8) << 5;
        Self {
            identifier: tag.class().bits() | constructed | tag.number().0 as u8,
            value,
        }
    }

    /// The same kind of element with another value.
    pub(super) fn with(self, value: &[u8]) -> Element<'_> {
        let identifier = self.identifier;
        Element { identifier, value }
    }

    /// What is in it, if it carries `tag`.
    pub(super) fn inside(self, tag: Tag) -> Option<&'a [u8]> {
        (self.identifier == Element::new(tag, &[]).identifier).then_some(self.value)
    }

    pub(super) fn value(self) -> &'a [u8] {
        self.value
    }

    /// Its number, if it is an INTEGER (X.690 8.3) of at most 32 bits and a sign.
    pub(super) fn integer(self) -> Option<i64> {
        let octets = self.inside(Tag::Integer)?;
        let is_shortest = match octets {
            [] => false,
            [0x00, second, ..] => second & 0x80 != 0,
            [0xff, second, ..] => second & 0x80 == 0,
            _ => true,
        };
        (is_shortest && octets.len() <= 5).then(|| signed(octets))
    }

    /// Appends it to `octets`; nothing if it is too long for DER.
    pub(super) fn encode(self, octets: &mut Vec<u8>) -> Option<()> {
        octets.push(self.identifier);
        let length = Length::try_from(self.value.len()).ok()?;
        length.encode_to_vec(octets).ok()?;
        octets.extend_from_slice(self.value);
        Some(())
    }
}

/// True for what `der` knows of identifiers of one octet: the universal types that there are, and all of the other classes.
const fn is_known(identifier: u8) -> bool {
    match identifier {
        0x01..=0x06 | 0x09 | 0x0a | 0x0c | 0x0d | 0x12..=0x18 | 0x1a | 0x1b | 0x1e => true,
        0x30 | 0x31 => true,
        0x40.. => identifier & HIGH_NUMBER != HIGH_NUMBER,
        _ => false,
    }
}

/// The elements that follow each other in `input`; a `None` ends the walk where it stops being DER.
pub(super) fn elements<'a>(mut input: &'a [u8]) -> impl Iterator<Item = Option<Element<'a>>> {
    std::iter::from_fn(move || {
        if input.is_empty() {
            return None;
        }
        let element = Element::split(input);
        input = element.map_or(&[], |(_, rest)| rest);
        Some(element.map(|(element, _)| element))
    })
}

/// The content of the first element of `input`, which must carry `tag`; what follows it is not read.
pub(super) fn inside(input: &[u8], tag: Tag) -> Option<&[u8]> {
    let (element, _) = Element::split(input)?;
    element.inside(tag)
}

/// The content of `input`, which must be one element with `tag` and nothing else.
pub(super) fn exactly(input: &[u8], tag: Tag) -> Option<&[u8]> {
    Element::whole(input)?.inside(tag)
}

/// The content of field `[number]` among the fields of a SEQUENCE, as far as those are DER.
pub(super) fn field(sequence: &[u8], number: u32) -> Option<&[u8]> {
    let mut fields = elements(sequence).map_while(|element| element);
    fields.find_map(|element| element.inside(context(number)))
}

/// The content of field `[number]`, if the fields of a SEQUENCE begin with that one, and those that follow it.
pub(super) fn split_field(sequence: &[u8], number: u32) -> Option<(&[u8], &[u8])> {
    let (element, rest) = Element::split(sequence)?;
    Some((element.inside(context(number))?, rest))
}

/// True if `sequence` holds nothing but fields in DER, each number once and in rising order.
///
/// Where two readers of the same bytes must not see two different things, [`field`] alone isn't enough.
pub(super) fn well_ordered(sequence: &[u8]) -> bool {
    let mut least = CONTEXT;
    elements(sequence).all(|element| match element {
        Some(Element { identifier, .. })
            if (least..CONTEXT + HIGH_NUMBER).contains(&identifier) =>
        {
            least = identifier + 1;
            true
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use der::Decode;
    use der::asn1::AnyRef;

    use super::*;

    /// As `der` reads it.
    fn by_der(input: &[u8]) -> Option<(Tag, &[u8], &[u8])> {
        let (element, rest) = AnyRef::from_der_partial(input).ok()?;
        Some((element.header().tag(), element.value(), rest))
    }

    fn encoded(element: Element<'_>) -> Vec<u8> {
        let mut octets = Vec::new();
        element.encode(&mut octets).unwrap();
        octets
    }

    #[test]
    fn elements_are_read_as_der_reads_them() {
        let lengths: [&[u8]; 20] = [
            &[],
            &[0],
            &[1],
            &[0x7f],
            &[0x80],
            &[0x81],
            &[0x81, 0],
            &[0x81, 0x7f],
            &[0x81, 0x80],
            &[0x81, 0xff],
            &[0x82, 0, 0xff],
            &[0x82, 1, 0],
            &[0x82, 0xff, 0xff],
            &[0x83, 0, 1, 0],
            &[0x83, 1, 0, 0],
            &[0x84, 0, 1, 0, 0],
            &[0x84, 1, 0, 0, 0],
            &[0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x85, 0, 0, 0, 0, 1],
            &[0xff],
        ];
        let octets = vec![0; 0xffff];
        let mut read = 0;
        for identifier in 0..=0xff_u8 {
            if identifier & HIGH_NUMBER == HIGH_NUMBER {
                assert_eq!(Element::split(&[identifier, 0]), None);
                continue;
            }
            for length in lengths {
                for behind in [0, 1, 127, 128, 255, 256, 0xffff] {
                    let input = [&[identifier], length, &octets[..behind]].concat();
                    let (own, by_der) = (Element::split(&input), by_der(&input));
                    assert_eq!(
                        own.is_some(),
                        by_der.is_some(),
                        "{identifier:x} {length:x?} {behind}"
                    );
                    if let (Some((element, rest)), Some((tag, value, behind))) = (own, by_der) {
                        assert_eq!(element.inside(tag), Some(value));
                        let other = if tag == Tag::Null {
                            Tag::Boolean
                        } else {
                            Tag::Null
                        };
                        assert_eq!(element.inside(other), None);
                        assert_eq!(rest, behind);
                        assert_eq!(encoded(element), input[..input.len() - rest.len()]);
                        read += 1;
                    }
                }
            }
        }
        assert!(read > 200, "{read}");
    }

    #[test]
    fn numbers_are_read_as_der_reads_them() {
        let mut numbers = vec![Vec::new()];
        for start in 0..6_u32 {
            let longest = numbers
                .iter()
                .filter(|octets| octets.len() == start as usize);
            let longer = longest.flat_map(|octets: &Vec<u8>| {
                [0x00, 0x01, 0x7f, 0x80, 0xff].map(|octet| [&octets[..], &[octet]].concat())
            });
            let longer: Vec<_> = longer.collect();
            numbers.extend(longer);
        }
        for octets in &numbers {
            let element = Element::new(Tag::Integer, octets);
            let by_der = i64::from_der(&encoded(element)).ok();
            let by_der = by_der.filter(|_| octets.len() <= 5);
            assert_eq!(element.integer(), by_der, "{octets:x?}");
        }
    }
}
