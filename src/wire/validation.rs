//! Whether a request is valid Kerberos as a whole ([MS-KKDCP] 3.2.5.1, 5.1), and not its outline alone, which is all that
//! [`KerberosMessage::parse`] reads.
//!
//! RFC 4120's ASN.1 stands in `shapes` as data: each element has the type that it says, and the fields of a SEQUENCE come once
//! each, in order, and none beside them. No type holds itself, so the walk is as deep as they are; it allocates nothing. Encrypted
//! parts and the values of PA-DATA are octets, but for those that a KDC reads before it knows who asks.

mod shapes;

#[cfg(test)]
mod tests;

use std::fmt;

use der::Tag;

use self::shapes::{AP_REQ, AS_REQ, Field, KRB_PRIV, PA_FX_FAST_REQUEST, Shape, TGS_REQ};
use super::asn1::{Element, application, elements, split_field};
use super::kpasswd::Frame;
use super::message::{KerberosMessage, Kind, read_kdc_req};
use super::padata::{PA_FX_FAST, PA_TGS_REQ, armor_ap_req, padata};

/// Where a request is not valid, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Invalid {
    /// The innermost field that has a name in RFC 4120 or RFC 6113.
    field: &'static str,
    rule: &'static str,
}

impl std::error::Error for Invalid {}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.rule)
    }
}

/// Checks all of `message`.
///
/// # Errors
/// The first place where it is not valid.
pub(super) fn check(message: &KerberosMessage) -> Result<(), Invalid> {
    let octets = message.bytes();
    match message.kind() {
        Kind::AsReq => AS_REQ.check_encoded("AS-REQ", octets)?,
        Kind::TgsReq => TGS_REQ.check_encoded("TGS-REQ", octets)?,
        Kind::Kpasswd => return check_kpasswd(octets),
    }
    check_padata(message)
}

/// RFC 3244 2.
fn check_kpasswd(octets: &[u8]) -> Result<(), Invalid> {
    let frame = Frame::parse(octets).map_err(|_| broken("kpasswd"))?;
    if frame.length != octets.len() {
        return Err(broken("kpasswd"));
    }
    AP_REQ.check_encoded("AP-REQ", frame.ap)?;
    KRB_PRIV.check_encoded("KRB-PRIV", frame.rest)
}

/// The values of PA-DATA that every KDC reads before it knows who asks: with another, it would only refuse the request.
fn check_padata(message: &KerberosMessage) -> Result<(), Invalid> {
    let is_tgs_req = message.kind() == Kind::TgsReq;
    let mut has_ticket = false;
    let kdc_req = read_kdc_req(message.bytes());
    for item in kdc_req.into_iter().flat_map(|(_, fields)| padata(fields)) {
        match (item.kind, item.value) {
            (Some(PA_TGS_REQ), Some(value)) if is_tgs_req => {
                has_ticket = true;
                AP_REQ.check_encoded("PA-TGS-REQ", value)?;
            }
            (Some(PA_FX_FAST), Some(value)) => {
                check_fields(&PA_FX_FAST_REQUEST, "PA-FX-FAST", value)?;
                if let Some(ap_req) = armor_ap_req(value) {
                    AP_REQ.check_encoded("armor-value", ap_req)?;
                }
            }
            _ => {}
        }
    }
    // RFC 4120 5.4.1: it is what authenticates the client.
    if is_tgs_req && !has_ticket {
        return Err(missing("PA-TGS-REQ"));
    }
    Ok(())
}

impl Shape {
    /// Checks that `input`, the content of `field`, is one such element and nothing else.
    fn check_encoded(&self, field: &'static str, input: &[u8]) -> Result<(), Invalid> {
        let element = Element::whole(input).ok_or(broken(field))?;
        self.check(field, element)
    }

    fn check(&self, field: &'static str, element: Element<'_>) -> Result<(), Invalid> {
        let content = |tag| element.inside(tag).ok_or(broken(field));
        match self {
            Self::Primitive(holds) => holds(element).then_some(()).ok_or(broken(field)),
            Self::Exactly(number) if element.integer() == Some(i64::from(*number)) => Ok(()),
            Self::Exactly(_) => Err(broken(field)),
            Self::SequenceOf(shape) => elements(content(Tag::Sequence)?)
                .try_for_each(|element| shape.check(field, element.ok_or(broken(field))?)),
            Self::Sequence(fields) => check_fields(fields, field, content(Tag::Sequence)?),
            Self::Extensible(fields) => {
                let rest = split_fields(fields, content(Tag::Sequence)?)?;
                let is_der = elements(rest).all(|element| element.is_some());
                is_der.then_some(()).ok_or(broken(field))
            }
            Self::Application(number, fields) => {
                let inside = content(application(*number))?;
                Self::Sequence(fields).check_encoded(field, inside)
            }
        }
    }
}

/// Checks that `input`, the content of `name`, holds these fields and no others.
fn check_fields(fields: &[Field], name: &'static str, input: &[u8]) -> Result<(), Invalid> {
    if split_fields(fields, input)?.is_empty() {
        return Ok(());
    }
    Err(Invalid {
        field: name,
        rule: "has a field that is unknown, out of order, or there twice",
    })
}

/// Checks these fields, and returns what comes after them.
fn split_fields<'a>(fields: &[Field], mut input: &'a [u8]) -> Result<&'a [u8], Invalid> {
    for field in fields {
        if let Some((content, rest)) = split_field(input, field.number) {
            field.shape.check_encoded(field.name, content)?;
            input = rest;
        } else if !field.is_optional {
            return Err(missing(field.name));
        }
    }
    Ok(input)
}

const fn broken(field: &'static str) -> Invalid {
    Invalid {
        field,
        rule: "is not what the specification says",
    }
}

const fn missing(field: &'static str) -> Invalid {
    Invalid {
        field,
        rule: "is missing, or not in its place",
    }
}
