//! A KDC over TCP that does the same to each request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use loopkdc::wire::{KerberosMessage, Service};

use crate::messages::{as_rep, changed, framed, krb_error, krb_error_of, referral, tgs_rep};

/// What it does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The reply that fits.
    Reply,
    /// Never a word.
    Silence,
    /// KRB-ERROR 29.
    NotServing,
    /// KRB-ERROR 60 with so much e-data that nine of them make a mebibyte.
    Long,
    /// Something else.
    Babble,
    /// KRB-ERROR with this code.
    Refuse(i32),
    /// KRB-ERROR 6 with another realm as the client's, as Active Directory refers to that.
    Refer,
    /// KRB-ERROR 24, as soon as [`Kdc::release`] says so.
    RefuseLater,
}

pub struct Kdc {
    pub address: String,
    pub asked: Arc<AtomicUsize>,
    /// What it was asked last.
    pub last: Arc<Mutex<Vec<u8>>>,
    pub release: Arc<Semaphore>,
    _serving: AbortOnDropHandle<()>,
}

impl Kdc {
    pub async fn start(act: Act) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(AtomicUsize::new(0));
        let release = Arc::new(Semaphore::new(0));
        let last = Arc::new(Mutex::new(Vec::new()));
        let (counter, released, kept) =
            (Arc::clone(&asked), Arc::clone(&release), Arc::clone(&last));
        let serving = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (counter, released) = (Arc::clone(&counter), Arc::clone(&released));
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    while let Ok(length) = stream.read_u32().await {
                        let mut request = vec![0; length as usize];
                        stream.read_exact(&mut request).await.unwrap();
                        counter.fetch_add(1, Ordering::Relaxed);
                        kept.lock().unwrap().clone_from(&request);
                        let reply = match act {
                            Act::Silence => std::future::pending().await,
                            Act::NotServing => krb_error(29, None),
                            Act::Long => krb_error(60, Some(&vec![0; 120_000])),
                            Act::Babble => b"220 ready".to_vec(),
                            Act::Refuse(code) => krb_error_of(&realm(&request), code),
                            Act::Refer => referral(6, "CHILD.EXAMPLE"),
                            Act::RefuseLater => {
                                released.acquire().await.unwrap().forget();
                                krb_error(24, None)
                            }
                            Act::Reply => fitting(&request),
                        };
                        stream.write_all(&framed(&reply)).await.unwrap();
                    }
                });
            }
        });
        Self {
            address,
            asked,
            last,
            release,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    /// How many requests it has had.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// The realm that `request` asks for.
fn realm(request: &[u8]) -> String {
    let parse = |service| KerberosMessage::parse(service, request.to_vec().into());
    let request = parse(Service::Kdc).or_else(|_| parse(Service::Kpasswd));
    request.unwrap().realm().as_str().to_owned()
}

fn fitting(request: &[u8]) -> Vec<u8> {
    match request[0] {
        0x6a => as_rep(),
        0x6c => tgs_rep(),
        _ => changed(),
    }
}
