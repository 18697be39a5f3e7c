//! The few steps through DER that every message shares, and the string type that `der` lacks.

use der::asn1::{AnyRef, IntRef};
use der::{
    Decode, DecodeValue, EncodeValue, FixedTag, Header, Length, Reader, Tag, TagNumber, Writer,
};

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
        let is_negative = octets.first().is_some_and(|first| first & 0x80 != 0);
        let sign = if is_negative { u32::MAX } else { 0 };
        let flags = octets
            .iter()
            .fold(sign, |flags, octet| flags << 8 | u32::from(*octet));
        Ok(Self(flags))
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

/// The elements that follow each other in `input`; a `None` ends the walk where it stops being DER.
pub(super) fn elements<'a>(mut input: &'a [u8]) -> impl Iterator<Item = Option<AnyRef<'a>>> {
    std::iter::from_fn(move || {
        if input.is_empty() {
            return None;
        }
        let element = AnyRef::from_der_partial(input).ok();
        input = element.map_or(&[], |(_, rest)| rest);
        Some(element.map(|(element, _)| element))
    })
}

/// The content of the first element of `input`, which must carry `tag`; what follows it is not read.
pub(super) fn inside(input: &[u8], tag: Tag) -> Option<&[u8]> {
    let (element, _) = AnyRef::from_der_partial(input).ok()?;
    (element.header().tag() == tag).then(|| element.value())
}

/// The content of `input`, which must be one element with `tag` and nothing else.
pub(super) fn exactly(input: &[u8], tag: Tag) -> Option<&[u8]> {
    let element = AnyRef::from_der(input).ok()?;
    (element.header().tag() == tag).then(|| element.value())
}

/// The content of field `[number]` among the fields of a SEQUENCE, as far as those are DER.
pub(super) fn field(sequence: &[u8], number: u32) -> Option<&[u8]> {
    elements(sequence)
        .map_while(|element| element)
        .find(|element| element.header().tag() == context(number))
        .map(AnyRef::value)
}

/// The content of field `[number]`, if the fields of a SEQUENCE begin with that one, and those that follow it.
pub(super) fn split_field(sequence: &[u8], number: u32) -> Option<(&[u8], &[u8])> {
    let (element, rest) = AnyRef::from_der_partial(sequence).ok()?;
    (element.header().tag() == context(number)).then(|| (element.value(), rest))
}

/// True if `sequence` holds nothing but fields in DER, each number once and in rising order.
///
/// Where two readers of the same bytes must not see two different things, [`field`] alone isn't enough.
pub(super) fn well_ordered(sequence: &[u8]) -> bool {
    let mut least = 0;
    elements(sequence).all(|element| match element.map(|e| e.header().tag()) {
        Some(Tag::ContextSpecific {
            constructed: true,
            number: TagNumber(number),
        }) if number >= least => {
            least = number.saturating_add(1);
            true
        }
        _ => false,
    })
}
