//! A way out that does what a test says, by the runtime's clock.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::relay::upstream::{ConnReuse, Fault, Outgoing, Unsent};
use crate::wire::{KerberosMessage, Reply, Service};

/// Name, connect and TLS together.
const CONNECT: Duration = Duration::from_secs(3);

/// What one copy meets.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    /// A kept connection is there for what may go over any.
    pub(crate) kept: bool,
    /// How long name, TCP and TLS take, unless the connection was kept.
    pub(crate) connect: Duration,
    /// How long it takes from there to the end.
    pub(crate) then: Duration,
    /// How it ends.
    pub(crate) end: End,
}

/// How a copy ends.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// It never leaves.
    Unsent(Unsent),
    /// It leaves, and nothing is ever heard.
    Silence,
    /// It leaves, and this comes of it.
    Fault(Fault),
    /// It leaves, and is answered by an error with this code.
    Error(i32),
    /// It leaves, and is answered as its client wishes.
    Success,
}

/// A copy that left.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) message: KerberosMessage,
    /// When it left.
    pub(crate) at: Instant,
    /// A KDC may have seen it.
    pub(crate) seen: bool,
    /// Which of the upstreams it went to.
    pub(crate) place: usize,
    pub(crate) dclocator_hint: Option<u32>,
}

/// What left, wherever to.
pub(crate) type Journal = Arc<Mutex<Vec<Post>>>;
/// The error with this code to a message, or the reply that its client wishes.
pub(crate) type Answers = fn(&KerberosMessage, Option<i32>) -> Reply;

/// An upstream with a script. What is asked of it goes on when nobody waits for it any more, as connections do.
#[derive(Clone, Debug)]
pub struct Scripted {
    pub(crate) place: usize,
    pub(crate) acts: Arc<Mutex<VecDeque<Act>>>,
    pub(crate) journal: Journal,
    pub(crate) answers: Answers,
}

impl Scripted {
    pub(in crate::relay::upstream) fn name(&self) -> &str {
        "scripted"
    }

    pub(in crate::relay::upstream) async fn send(
        &self,
        outgoing: Outgoing,
    ) -> Result<Reply, Fault> {
        tokio::spawn(self.clone().play(outgoing)).await.unwrap()
    }

    async fn play(self, outgoing: Outgoing) -> Result<Reply, Fault> {
        let Outgoing {
            message,
            reuse,
            sent,
            dclocator_hint,
            ..
        } = outgoing;
        let Some(act) = self.acts.lock().unwrap().pop_front() else {
            return Err(Fault::NotSent(Unsent::ConnectTimeout));
        };
        if act.kept && reuse != ConnReuse::Never {
            sent.set_kept_connection();
        } else {
            sleep(act.connect.min(CONNECT)).await;
            if act.connect >= CONNECT {
                return Err(Fault::NotSent(Unsent::ConnectTimeout));
            }
        }
        if let End::Unsent(why) = act.end {
            return Err(Fault::NotSent(why));
        }
        if sent.mark_sent().is_err() {
            return Err(Fault::NotSent(Unsent::HandedBack));
        }
        self.journal.lock().unwrap().push(Post {
            at: Instant::now(),
            seen: act.end.is_seen(message.service()),
            message: message.clone(),
            place: self.place,
            dclocator_hint,
        });
        sleep(act.then).await;
        match act.end {
            End::Fault(fault) => Err(fault),
            End::Error(code) => Ok((self.answers)(&message, Some(code))),
            End::Success => Ok((self.answers)(&message, None)),
            End::Silence | End::Unsent(_) => std::future::pending().await,
        }
    }
}

impl End {
    fn is_seen(&self, service: Service) -> bool {
        match self {
            Self::Fault(fault) => !fault.surely_not_served(),
            // KDC_ERR_SVC_UNAVAILABLE: by its own word it has not served it.
            Self::Error(code) => *code != 29 || service == Service::Kpasswd,
            Self::Silence | Self::Success => true,
            Self::Unsent(_) => false,
        }
    }
}
