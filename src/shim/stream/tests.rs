use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::{Config, Sources};
use crate::daemon::tasks::Tasks;
use crate::relay::answer::OnFailure;
use crate::relay::exchange::{Exchange, Routing};
use crate::relay::routes::Routes;
use crate::relay::shares::Shares;
use crate::shim::peer_user::PeerUsers;

/// What a listener shares that has no realms, and one place for a connection.
fn context() -> ListenerContext {
    let config = Config::without_realms(&Sources::default()).unwrap();
    let routing = Routing::new(Routes::default(), Vec::new(), OnFailure::Unreachable);
    ListenerContext {
        exchange: Exchange::new(routing, 1),
        peers: Arc::new(PeerUsers::new()),
        listen: Arc::new(config.listen),
        long_messages: Shares::new(LONG_MESSAGES),
        tasks: Tasks::default(),
    }
}

#[tokio::test]
async fn a_connection_that_was_refused_makes_room_at_once() {
    let context = context();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = ConnLimit::new(1, &context.exchange, &context.tasks);
    let serve = serve(
        StreamSocket::Tcp(listener),
        Service::Kdc,
        context.clone(),
        connections,
    );
    context.tasks.tracker.spawn(serve);

    // Refused for its length, and kept for a second so that the refusal arrives.
    let mut refused = TcpStream::connect(address).await.unwrap();
    refused.write_all(&[0xff; 4]).await.unwrap();
    let mut refusal = Vec::new();
    refused.read_to_end(&mut refusal).await.unwrap();
    assert!(refusal.len() > 4);
    assert_eq!(context.tasks.tracker.len(), 2);

    let _other = TcpStream::connect(address).await.unwrap();
    let gone = async {
        while context.exchange.counters().evicted.get() == 0 || context.tasks.tracker.len() > 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(DISCARD_TIME / 2, gone).await.expect("room is made");
    context.tasks.stop.cancel();
}
