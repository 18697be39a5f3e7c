//! Any order of what can happen, against the rules written down a second time.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Ask(usize, Option<u16>),
    Reply(usize),
    Verdict(usize, bool),
    Abandon(usize),
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let lead = 0..20_usize;
    prop_oneof![
        6 => (0..7_usize, prop::option::of(1..3_u16)).prop_map(|(message, peer)| Step::Ask(message, peer)),
        1 => lead.clone().prop_map(Step::Reply),
        3 => (lead.clone(), any::<bool>()).prop_map(|(lead, sent)| Step::Verdict(lead, sent)),
        1 => lead.prop_map(Step::Abandon),
        3 => (0..3000_u16).prop_map(Step::Wait),
    ]
}

/// What a lead has come to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Open,
    GivenUp,
    Over,
}

struct Led {
    ticket: ExchangeTicket,
    message: usize,
    peer: Option<u16>,
    state: State,
}

/// The rules again, over the whole history and without a thought for cost.
struct Oracle {
    messages: Vec<KerberosMessage>,
    led: Vec<Led>,
    /// Message and answer, and when.
    answers: Vec<(usize, Answer, Instant)>,
}

impl Oracle {
    fn new() -> Self {
        let messages = vec![
            as_req("A"),
            as_req("B"),
            as_req_with_timestamp("A"),
            change("changepw", 1),
            change("changepw", 2),
            change("other", 1),
            change("other", 2),
        ];
        Self {
            messages,
            led: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// What an ask must bring: an answer again, a lead to join, or nothing.
    fn expected(
        &self,
        message: usize,
        peer: Option<u16>,
        now: Instant,
    ) -> Result<String, Option<Wait>> {
        let asked = &self.messages[message];
        let same_ticket = |other: usize| {
            asked.ticket().is_some() && self.messages[other].ticket() == asked.ticket()
        };
        let last = |fits: &dyn Fn(usize, &Answer) -> Option<Duration>| {
            let newest_first = self.answers.iter().rev();
            let mut standing = newest_first.filter_map(|(of, answer, at)| {
                let keep = fits(*of, answer)?;
                Some((answer, *at + keep))
            });
            let (answer, until) = standing.next()?;
            (now < until).then(|| short(answer))
        };
        let may_be_done = |of: usize, answer: &Answer| {
            matches!(answer, Answer::Verdict(verdict) if verdict.may_have_been_sent)
                && self.messages[of].resend() == Resend::Once
        };
        let is_reply = |answer: &Answer| matches!(answer, Answer::Reply(_));
        let open = |fits: &dyn Fn(&Led) -> bool| {
            let mut led = self.led.iter();
            let place = led.position(|led| led.state == State::Open && fits(led))?;
            Some(place + 1)
        };

        if let Some(reply) =
            last(&|of, answer| (of == message && is_reply(answer)).then_some(REPLY_KEPT))
        {
            return Ok(reply);
        }
        if let Some(wait) = open(&|led| led.message == message) {
            return Err(Some(wait));
        }
        let spent =
            last(&|of, answer| (of == message && may_be_done(of, answer)).then_some(REPLY_KEPT));
        let recent = last(&|of, answer| {
            (of == message && !is_reply(answer) && !may_be_done(of, answer)).then_some(VERDICT_KEPT)
        });
        let by_ticket = last(&|of, answer| {
            (same_ticket(of) && may_be_done(of, answer)).then_some(VERDICT_KEPT)
        });
        if let Some(verdict) = spent.or(recent).or(by_ticket) {
            return Ok(verdict);
        }
        Err(open(&|led| {
            peer.is_some() && led.peer == peer && same_ticket(led.message)
        }))
    }
}

proptest! {
    #[test]
    fn every_history_follows_the_rules(steps in vec(step(), 1..120)) {
        let mut desk = Desk::new();
        let mut oracle = Oracle::new();
        for (number, step) in steps.into_iter().enumerate() {
            let answer = match step {
                Step::Ask(at, port) => {
                    let expected = oracle.expected(at, port, desk.now);
                    let message = oracle.messages[at].clone();
                    let asked = desk.lookup(&message, port.and_then(peer));
                    let got = match asked {
                        Lookup::Replay(answer) => Ok(short(&answer)),
                        Lookup::Join(wait) => Err(Some(wait)),
                        Lookup::New(ticket) => {
                            oracle.led.push(Led { ticket, message: at, peer: port, state: State::Open });
                            prop_assert_eq!(desk.waits, oracle.led.len());
                            Err(None)
                        }
                    };
                    prop_assert_eq!(got, expected, "{} {:?}", at, port);
                    continue;
                }
                Step::Wait(milliseconds) => {
                    desk.after(Duration::from_millis(milliseconds.into()));
                    continue;
                }
                Step::Abandon(at) => {
                    if let Some(led) = oracle.led.get_mut(at).filter(|led| led.state == State::Open) {
                        desk.abandon(&led.ticket);
                        led.state = State::Over;
                    }
                    continue;
                }
                Step::Reply(at) => (at, reply(i32::try_from(number).unwrap()), State::Over),
                Step::Verdict(at, sent) => (at, verdict(&number.to_string(), sent), State::GivenUp),
            };
            let (at, answer, state) = answer;
            let Some(led) = oracle.led.get_mut(at) else { continue };
            // A verdict may be followed by a late reply, and nothing by anything else.
            if led.state == State::Over || (led.state == State::GivenUp && state == State::GivenUp) {
                continue;
            }
            desk.settle(&led.ticket, &answer);
            led.state = state;
            oracle.answers.push((led.message, answer, desk.now));
            let (bytes, entries) = held(&desk.cache);
            prop_assert!(entries <= 2 * oracle.answers.len());
            prop_assert!(bytes <= 8 * 1024 * 1024);
        }
        let open = oracle.led.iter().filter(|led| led.state == State::Open).count();
        prop_assert_eq!(desk.under_way(), open);
        for led in &oracle.led {
            if led.state == State::Open {
                desk.settle(&led.ticket, &reply(0));
            }
        }
        prop_assert_eq!(desk.under_way(), 0);
    }
}
