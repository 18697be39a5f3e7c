use std::net::{SocketAddr, TcpListener as Held, UdpSocket as HeldUdp};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_util::task::TaskTracker;

use super::*;
use crate::daemon::bind::Kind;
use crate::daemon::bind::Listener;
use crate::relay::answer::OnFailure;
use crate::relay::exchange::{Exchange, Routing};
use crate::relay::retransmits::REPLY_KEPT;
use crate::relay::routes::Routes;
use crate::shim::listeners::Limits;
use crate::shim::listeners::Served;
use crate::shim::listeners::serve;
use crate::wire::Service;
use crate::wire::handmade::kdc_req;

const LONG: Duration = Duration::from_secs(5);

fn activity() -> Activity {
    Activity::until(&CancellationToken::new())
}

fn nothing() -> Option<std::time::Instant> {
    None
}

async fn time<F: Future<Output = ()>>(what: F) -> Duration {
    let begun = Instant::now();
    what.await;
    begun.elapsed()
}

/// As timers count: in milliseconds, rounded up.
fn assert_near(measured: Duration, expected: Duration) {
    let slack = Duration::from_millis(9);
    assert!(
        measured >= expected && measured < expected + slack,
        "{measured:?}, not {expected:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn idle_counts_from_the_end_of_the_last_who_was_served() {
    let activity = activity();
    assert_near(time(activity.idle(LONG, nothing)).await, LONG);
    let (one, two) = (activity.begin(), activity.begin());
    let served = async {
        tokio::time::sleep(LONG * 2).await;
        drop(one);
        tokio::time::sleep(LONG * 3).await;
        drop(two);
    };
    let (_, after) = tokio::join!(served, time(activity.idle(LONG, nothing)));
    assert_near(after, LONG * 6);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_kept_for_those_who_may_ask_again() {
    let activity = activity();
    let until = Instant::now() + REPLY_KEPT;
    let kept = || Some(until.into_std());
    assert_near(time(activity.end(LONG, kept)).await, REPLY_KEPT);
    // What is over holds up nobody.
    assert_near(time(activity.end(LONG, kept)).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_comes_at_the_last_moment_is_served_and_counts() {
    let activity = activity();
    let listener = async {
        let mut taking = activity.taking.subscribe();
        let listens = Listens::new(&activity);
        becomes(&mut taking, false).await;
        // At that very moment.
        let busy = activity.begin();
        drop(listens);
        becomes(&mut taking, true).await;
        let _listens = Listens::new(&activity);
        tokio::time::sleep(LONG * 3).await;
        drop(busy);
        becomes(&mut taking, false).await;
    };
    let both = async { tokio::join!(listener, time(activity.end(LONG, nothing))) };
    let both = tokio::time::timeout(LONG * 10, both).await;
    assert_near(both.expect("an end").1, LONG * 5);
}

#[tokio::test(start_paused = true)]
async fn who_came_and_went_at_the_last_moment_counts() {
    let activity = activity();
    activity.idle(LONG, nothing).await;
    drop(activity.begin());
    assert!(!activity.close(LONG, nothing).await);
    assert_near(time(activity.end(LONG, nothing)).await, LONG);
}

#[tokio::test(start_paused = true)]
async fn an_answer_given_at_the_last_moment_is_kept() {
    let activity = activity();
    activity.idle(LONG, nothing).await;
    let until = Instant::now() + REPLY_KEPT;
    let kept = || Some(until.into_std());
    assert!(!activity.close(Duration::ZERO, kept).await);
}

/// UDP and TCP of the KDC service, held by the test as a service manager holds them, and served.
struct Sockets {
    held: (Held, HeldUdp),
    activity: Activity,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Sockets {
    fn serve() -> Self {
        let held = (
            Held::bind("127.0.0.1:0").unwrap(),
            HeldUdp::bind("127.0.0.1:0").unwrap(),
        );
        held.0.set_nonblocking(true).unwrap();
        held.1.set_nonblocking(true).unwrap();
        let tcp = TcpListener::from_std(held.0.try_clone().unwrap()).unwrap();
        let udp = UdpSocket::from_std(held.1.try_clone().unwrap()).unwrap();
        let listeners = [Kind::Tcp(tcp), Kind::Udp(udp)].map(|kind| Listener {
            service: Service::Kdc,
            kind,
            inherited: true,
        });
        let routing = Routing::new(Routes::default(), Vec::new(), OnFailure::Explain);
        let exchange: Arc<Exchange> = Exchange::new(routing, 1);
        let limits = Limits {
            udp_reply_max: 4096,
            max_connections: 8,
            max_in_flight: 8,
            idle_timeout: Duration::from_secs(30),
        };
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let Served { activity, .. } = serve(listeners.into(), &exchange, limits, &stop, &tasks);
        Self {
            held,
            activity,
            stop,
            tasks,
        }
    }

    fn tcp(&self) -> SocketAddr {
        self.held.0.local_addr().unwrap()
    }

    /// Sends a datagram.
    async fn send(&self) -> UdpSocket {
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = self.held.1.local_addr().unwrap();
        client.send_to(&request(), address).await.unwrap();
        client
    }
}

fn request() -> Vec<u8> {
    kdc_req(10, &[], "EXAMPLE.COM")
}

fn framed() -> Vec<u8> {
    let request = request();
    let length = u32::try_from(request.len()).unwrap().to_be_bytes();
    [&length[..], &request].concat()
}

async fn asks(client: &mut TcpStream) {
    client.write_all(&framed()).await.unwrap();
    let length = client.read_u32().await.unwrap();
    let mut reply = vec![0; length as usize];
    client.read_exact(&mut reply).await.unwrap();
}

#[tokio::test]
async fn who_comes_between_the_look_and_the_closing_is_served_and_who_comes_later_waits() {
    let sockets = Sockets::serve();
    let (at_once, activity) = (Duration::ZERO, &sockets.activity);
    activity.idle(at_once, nothing).await;
    let mut client = TcpStream::connect(sockets.tcp()).await.unwrap();
    asks(&mut client).await;
    assert!(!activity.close(at_once, nothing).await, "somebody is there");
    asks(&mut client).await;
    let datagram = sockets.send().await;
    datagram.recv(&mut [0; 4096]).await.unwrap();
    let mut other = TcpStream::connect(sockets.tcp()).await.unwrap();
    asks(&mut other).await;

    drop((client, other));
    activity.idle(at_once, nothing).await;
    assert!(activity.close(at_once, nothing).await, "nobody is there");
    let _datagram = sockets.send().await;
    let mut late = TcpStream::connect(sockets.tcp()).await.unwrap();
    late.write_all(&framed()).await.unwrap();
    sockets.stop.cancel();
    sockets.tasks.close();
    sockets.tasks.wait().await;
    // For the next daemon.
    let waiting = HeldUdp::recv(&sockets.held.1, &mut [0; 4096]).unwrap();
    assert_eq!(waiting, request().len());
    let (accepted, _) = sockets.held.0.accept().unwrap();
    accepted.set_nonblocking(true).unwrap();
    let mut accepted = TcpStream::from_std(accepted).unwrap();
    let mut waiting = vec![0; framed().len()];
    accepted.read_exact(&mut waiting).await.unwrap();
    assert_eq!(waiting, framed());
}
