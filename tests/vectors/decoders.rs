//! What a gateway takes for valid, the decoders of MIT krb5's own KDC take, too: the recordings, and what becomes of them when
//! their elements are changed at random.

use std::fs::{self, File};
use std::process::Command;

use loopkdc::wire::{Framed, KerberosMessage, Kind, Service};

use super::{REQUESTS, read};

/// How many changed messages are tried for each recording.
const CHANGED: usize = 200;

/// ASN1_OVERFLOW (`asn1_err.et`): a nonce or a kvno above 2^31, which RFC 4120 allows and libkrb5 does not hold.
const OVERFLOW: i64 = 1_859_794_436;

/// One element of a message, and those in it.
#[derive(Clone)]
struct Element {
    tag: u8,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Octets(Vec<u8>),
    Elements(Vec<Element>),
}

impl Element {
    /// The elements that `input` consists of, if it does. Tags of more than one octet are of no message here.
    fn all(mut input: &[u8]) -> Option<Vec<Element>> {
        let mut elements = Vec::new();
        while let [tag, length, rest @ ..] = input {
            let (length, rest) = match length {
                0..=0x7f => (usize::from(*length), rest),
                0x81 => (usize::from(*rest.first()?), &rest[1..]),
                0x82 => {
                    let (length, rest) = rest.split_first_chunk()?;
                    (usize::from(u16::from_be_bytes(*length)), rest)
                }
                _ => return None,
            };
            let (content, rest) = rest.split_at_checked(length)?;
            elements.push(Element::new(*tag, content));
            input = rest;
        }
        input.is_empty().then_some(elements)
    }

    /// An OCTET STRING may hold a message.
    fn new(tag: u8, content: &[u8]) -> Element {
        let may_hold =
            tag & 0x20 != 0 || (tag == 4 && content.first().is_some_and(|tag| *tag > 0x5f));
        let elements = may_hold.then(|| Element::all(content)).flatten();
        let octets = || Content::Octets(content.to_vec());
        let content = elements.map_or_else(octets, Content::Elements);
        Element { tag, content }
    }

    fn encode(&self) -> Vec<u8> {
        let content = self.inside();
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        let head = match (length, content.len()) {
            ([_, short], 0..=0x7f) => vec![self.tag, short],
            ([0, long], _) => vec![self.tag, 0x81, long],
            ([high, low], _) => vec![self.tag, 0x82, high, low],
        };
        [head, content].concat()
    }

    fn elements(&self) -> &[Element] {
        match &self.content {
            Content::Octets(_) => &[],
            Content::Elements(elements) => elements,
        }
    }

    /// How many elements this one is, with all below it.
    fn size(&self) -> usize {
        1 + self.elements().iter().map(Element::size).sum::<usize>()
    }

    /// This one and all below it.
    fn everything(&self) -> Vec<&Element> {
        let below = self.elements().iter().flat_map(Element::everything);
        [self].into_iter().chain(below).collect()
    }

    /// The one at this place among [`Element::everything`].
    fn at(&mut self, place: usize) -> &mut Element {
        let Some(mut place) = place.checked_sub(1) else {
            return self;
        };
        let Content::Elements(elements) = &mut self.content else {
            panic!("nothing is there");
        };
        for element in elements {
            let size = element.size();
            if place < size {
                return element.at(place);
            }
            place -= size;
        }
        panic!("nothing is there");
    }

    /// The octets that it holds.
    fn inside(&self) -> Vec<u8> {
        match &self.content {
            Content::Octets(octets) => octets.clone(),
            Content::Elements(elements) => elements.iter().flat_map(Element::encode).collect(),
        }
    }

    /// The values of the PA-DATA of type `kind` in this KDC-REQ, which is valid.
    fn padata(&self, kind: u8) -> impl Iterator<Item = Vec<u8>> {
        let fields = self.elements()[0].elements();
        let lists = fields.iter().filter(|field| field.tag == 0xa3);
        let items = lists.flat_map(|field| field.elements()[0].elements());
        items.filter_map(move |item| {
            let [number, value] = item.elements() else {
                return None;
            };
            let number = number.elements()[0].inside();
            let is_it = number == [&[0][..usize::from(kind >> 7)], &[kind]].concat();
            is_it.then(|| value.elements()[0].inside())
        })
    }
}

/// The same numbers in each run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % end.max(1)
    }

    fn octet(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}

/// Changes one element of `message` to something else, perhaps to one out of `pool`.
fn change(message: &mut Element, pool: &[Element], numbers: &mut Numbers) {
    let place = numbers.below(message.size());
    let other = pool[numbers.below(pool.len())].clone();
    let (octet, choice) = (numbers.octet(), numbers.below(10));
    let element = message.at(place);
    match (&mut element.content, choice) {
        (_, 0) => *element = other,
        (_, 1) => element.tag = octet,
        (_, 2) => element.tag ^= 1 << (octet % 3),
        (Content::Elements(elements), 3 | 4) if !elements.is_empty() => {
            elements.remove(numbers.below(elements.len()));
        }
        (Content::Elements(elements), 5) => {
            elements.insert(numbers.below(elements.len() + 1), other)
        }
        (Content::Elements(elements), 6) if !elements.is_empty() => {
            let place = numbers.below(elements.len());
            elements.insert(place, elements[place].clone());
        }
        (Content::Elements(elements), 7) if !elements.is_empty() => {
            let places = [numbers.below(elements.len()), numbers.below(elements.len())];
            elements.swap(places[0], places[1]);
        }
        (Content::Octets(octets), 3) => octets.truncate(usize::from(octet) % (octets.len() + 1)),
        (Content::Octets(octets), 4) => {
            octets.insert(usize::from(octet) % (octets.len() + 1), octet)
        }
        (Content::Octets(octets), _) if !octets.is_empty() => {
            let place = numbers.below(octets.len());
            octets[place] = octet;
        }
        _ => *element = other,
    }
}

/// What `message` is, made of one of this kind, if it is valid.
fn valid(kind: Kind, message: Vec<u8>) -> Option<(Kind, Vec<u8>)> {
    let service = match kind {
        Kind::AsReq | Kind::TgsReq => Service::Kdc,
        Kind::Kpasswd => Service::Kpasswd,
    };
    let parsed = KerberosMessage::parse(service, message.clone().into()).ok()?;
    parsed.validate().ok()?;
    Some((parsed.kind(), message))
}

/// The two parts of a frame (RFC 3244 2).
fn kpasswd_parts(frame: &[u8]) -> [&[u8]; 2] {
    let ap_length = usize::from(u16::from_be_bytes([frame[4], frame[5]]));
    let (ap_req, krb_priv) = frame[6..].split_at(ap_length);
    [ap_req, krb_priv]
}

fn kpasswd_frame(ap_req: &[u8], krb_priv: &[u8]) -> Vec<u8> {
    let length = u16::try_from(6 + ap_req.len() + krb_priv.len()).unwrap();
    let ap_length = u16::try_from(ap_req.len()).unwrap();
    let head = [length, 1, ap_length].map(u16::to_be_bytes).concat();
    [&head, ap_req, krb_priv].concat()
}

/// What `decode.c` is asked of a message that is valid.
fn questions(kind: Kind, message: &[u8]) -> Vec<(u8, Vec<u8>)> {
    if kind == Kind::Kpasswd {
        let [ap_req, krb_priv] = kpasswd_parts(message);
        return vec![(b'R', ap_req.to_vec()), (b'P', krb_priv.to_vec())];
    }
    let whole = Element::all(message).unwrap().remove(0);
    let fast = whole.padata(136).map(|value| (b'F', value));
    let mut questions: Vec<_> = fast.collect();
    if kind == Kind::TgsReq {
        questions.extend(whole.padata(1).map(|value| (b'R', value)));
        questions.push((b'T', message.to_vec()));
    } else {
        questions.push((b'A', message.to_vec()));
    }
    questions
}

/// All recordings and what was made of them, as far as it is valid.
fn valid_messages() -> Vec<(Kind, Vec<u8>)> {
    let mut numbers = Numbers(0x6c6f_6f70_6b64_6321);
    let recorded = REQUESTS
        .iter()
        .map(|(name, kind, _)| (*kind, read(name, "request").to_vec()));
    let recorded: Vec<_> = recorded.collect();
    let parts = |(kind, message): &(Kind, Vec<u8>)| match kind {
        Kind::Kpasswd => kpasswd_parts(message)
            .map(|part| Element::all(part).unwrap().remove(0))
            .to_vec(),
        _ => Element::all(message).unwrap(),
    };
    let pool: Vec<Element> = recorded.iter().flat_map(&parts).collect();
    let pool: Vec<Element> = pool.iter().flat_map(Element::everything).cloned().collect();
    let mut messages = recorded.clone();
    for one in &recorded {
        for _ in 0..CHANGED {
            let mut parts = parts(one);
            for _ in 0..=numbers.below(2) {
                let part = numbers.below(parts.len());
                change(&mut parts[part], &pool, &mut numbers);
            }
            let octets = match &parts[..] {
                [ap_req, krb_priv] => kpasswd_frame(&ap_req.encode(), &krb_priv.encode()),
                parts => parts[0].encode(),
            };
            messages.extend(valid(one.0, octets));
        }
    }
    messages
}

#[test]
fn what_is_valid_is_read_by_the_decoders_of_a_kdc() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("decode");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/decode.c");
    let made = Command::new("cc")
        .arg("-o")
        .arg(&program)
        .args([source, "-lkrb5"])
        .status();
    assert!(made.expect("cc starts; tests/run installs it").success());
    let messages = valid_messages();
    // The rest was refused, as it should be: the decoders are asked enough, and not everything passes.
    let tried = REQUESTS.len() * (CHANGED + 1);
    assert!(
        (tried / 20..tried / 2).contains(&messages.len()),
        "{} of {tried}",
        messages.len()
    );
    let asked = messages
        .iter()
        .flat_map(|(kind, message)| questions(*kind, message));
    let asked: Vec<_> = asked.collect();
    let framed = |(decoder, message): &(u8, Vec<u8>)| {
        [&[*decoder][..], Framed::wrap(message).as_bytes()].concat()
    };
    let input = folder.path().join("input");
    fs::write(&input, asked.iter().flat_map(framed).collect::<Vec<_>>()).unwrap();
    let input = File::open(input).unwrap();
    let told = Command::new(program).stdin(input).output().unwrap();
    assert!(told.status.success(), "{told:?}");
    let codes = String::from_utf8(told.stdout).unwrap();
    assert_eq!(codes.lines().count(), asked.len());
    for ((decoder, message), code) in asked.iter().zip(codes.lines()) {
        let code = code.parse().unwrap();
        let is_read = [0, OVERFLOW].contains(&code);
        assert!(is_read, "{} {code} {message:02x?}", char::from(*decoder));
    }
}
