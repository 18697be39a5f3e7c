//! `loopkdc gssapi`: asks the system's GSSAPI library for the tokens that a KDC proxy wants (RFC 4559). Started by
//! `loopkdc run`, which talks to it over standard input and output as [`super::negotiate`] says.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext as _};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::error::Error;
use libgssapi::name::Name;
use libgssapi::oid::{
    GSS_MECH_KRB5, GSS_MECH_SPNEGO, GSS_NT_HOSTBASED_SERVICE, GSS_NT_KRB5_PRINCIPAL, Oid, OidSet,
};
use libgssapi::util::Buf;

use crate::relay::failure::{Exit, Failure};

/// Contexts of which the other side may still say something; more than requests can be under way.
const MAX_CONTEXTS: usize = 1024;

/// Answers until standard input ends.
///
/// # Errors
/// The names are none, or standard output is closed.
pub fn serve(service: &str, principal: Option<&str>) -> Result<(), Failure> {
    let bug = |error: Error| Failure::new(Exit::Bug, error.to_string());
    let mut library = Library {
        service: Name::new(service.as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE)).map_err(bug)?,
        principal: principal
            .map(|name| Name::new(name.as_bytes(), Some(GSS_NT_KRB5_PRINCIPAL)))
            .transpose()
            .map_err(bug)?,
        contexts: BTreeMap::new(),
        // No number is that of a context of another process before.
        last: u64::from(std::process::id()) << 32,
        works: false,
    };
    let (asked, mut answers) = (io::stdin().lock(), io::stdout().lock());
    for line in asked.lines() {
        let gone = |error: io::Error| Failure::new(Exit::Bug, error.to_string());
        let answer = library.answer(&line.map_err(gone)?);
        let answer = answer.unwrap_or_else(|why| format!("failed {why}"));
        writeln!(answers, "{answer}")
            .and_then(|()| answers.flush())
            .map_err(gone)?;
    }
    Ok(())
}

/// What a token is bound to.
type Bindings = Option<Vec<u8>>;

struct Library {
    service: Name,
    principal: Option<Name>,
    contexts: BTreeMap<u64, (ClientCtx, Bindings)>,
    last: u64,
    /// The last call made a token.
    works: bool,
}

impl Library {
    fn answer(&mut self, line: &str) -> Result<String, String> {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["begin"] => self.begin(None),
            ["begin", bindings] => {
                let bindings = STANDARD.decode(bindings);
                self.begin(Some(bindings.map_err(|_| "its bindings are no base64")?))
            }
            ["go-on", number, token] => self.go_on(number, token),
            _ => Err("nothing is asked".to_owned()),
        }
    }

    fn begin(&mut self, bindings: Bindings) -> Result<String, String> {
        // SPNEGO does not say what Kerberos has against it: unless all is well, that is asked first, once.
        if !std::mem::take(&mut self.works) {
            self.context(GSS_MECH_KRB5, None).map_err(in_words)?;
        }
        let made = self.context(GSS_MECH_SPNEGO, bindings.as_deref());
        let (context, token) = made.map_err(in_words)?;
        let token = token.ok_or("the GSSAPI library makes no token")?;
        self.works = true;
        if self.contexts.len() >= MAX_CONTEXTS {
            self.contexts.pop_first();
        }
        self.last += 1;
        self.contexts.insert(self.last, (context, bindings));
        Ok(answer(self.last, &token))
    }

    /// A context by this mechanism, with its first token. The credentials are looked for anew: a keytab or a cache may have
    /// been renewed.
    fn context(
        &self,
        mechanism: Oid<'static>,
        bindings: Option<&[u8]>,
    ) -> Result<(ClientCtx, Option<Buf>), Error> {
        let own = Cred::acquire(
            self.principal.as_ref(),
            None,
            CredUsage::Initiate,
            Some(&OidSet::singleton(mechanism)?),
        )?;
        let service = self.service.duplicate()?;
        // Integrity, so that what mechanisms there were to choose from can be protected (RFC 4178 5).
        let flags = CtxFlags::GSS_C_MUTUAL_FLAG | CtxFlags::GSS_C_INTEG_FLAG;
        let mut context = ClientCtx::new(Some(own), service, flags, Some(mechanism));
        let token = context.step(None, bindings)?;
        Ok((context, token))
    }

    fn go_on(&mut self, number: &str, token: &str) -> Result<String, String> {
        let number = number.parse().map_err(|_| "no number")?;
        let token = STANDARD.decode(token);
        let token = token.map_err(|_| "its token is no base64")?;
        let (mut context, bindings) = self
            .contexts
            .remove(&number)
            .ok_or("it is forgotten by now")?;
        let next = context.step(Some(&token), bindings.as_deref());
        if let Some(next) = next.map_err(in_words)? {
            self.contexts.insert(number, (context, bindings));
            return Ok(answer(number, &next));
        }
        let flags = context.flags().map_err(in_words)?;
        if !context.is_complete() || !flags.contains(CtxFlags::GSS_C_MUTUAL_FLAG) {
            return Err("it does not say who it is".to_owned());
        }
        Ok(format!("done {number}"))
    }
}

fn answer(number: u64, token: &[u8]) -> String {
    format!("token {number} {}", STANDARD.encode(token))
}

/// The mechanism's own words where there are some: the library's say that there may be.
fn in_words(error: Error) -> String {
    let text = error.to_string();
    let own = text
        .split_once(" (")
        .and_then(|(_, own)| own.strip_suffix(')'));
    let text = own.filter(|own| !own.is_empty()).unwrap_or(&text);
    text.replace(['\n', '\r'], " ")
}
