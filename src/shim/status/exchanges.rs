//! The last exchanges, and what was counted of all.

use super::moment::millis;
use crate::relay::advice;
use crate::relay::exchange::{Ended, Exchange, Outcome};
use crate::relay::status as report;
use crate::relay::status::Text;

pub(super) fn of_exchange(ended: &Ended) -> report::Exchange {
    let krb_error = match ended.outcome {
        Outcome::Replied(code) => code,
        _ => None,
    };
    // What could not be shown to a proxy, the libraries say, and they may name principals.
    let outcome = match &ended.outcome {
        Outcome::Failed(fault) => advice::in_short(fault),
        outcome => outcome.to_string(),
    };
    report::Exchange {
        ended_at: millis(ended.at),
        kind: ended.kind.name().into(),
        realm: ended.realm.as_str().into(),
        transport: ended.transport.into(),
        upstream: ended.upstream.as_deref().map(Text::from),
        outcome: Text::of_origins(&outcome),
        replied: matches!(ended.outcome, Outcome::Replied(_)),
        krb_error,
        took_ms: u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX),
    }
}

pub(super) fn counters(exchange: &Exchange) -> Vec<report::Counter> {
    let counter = |counted: crate::relay::counters::Counted| report::Counter {
        name: counted.name.into(),
        help: counted.help.into(),
        value: counted.value,
    };
    exchange.counters().each().map(counter).collect()
}
