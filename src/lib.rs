//! loopkdc: Kerberos from anywhere, through an HTTPS KDC proxy.
//!
//! `loopkdc run` is a KDC on loopback that has no principals of its own: it reads the realm out of each request and tunnels
//! the request to the realm's KDC proxy ([MS-KKDCP]). It never changes a Kerberos message. `loopkdc gateway` is such a proxy:
//! the same relay with other ends.
//!
//! # The walk
//!
//! One request, from the socket and back. Arrows point down this list only; [`wire`] knows nobody.
//!
//! | room | what happens there |
//! |---|---|
//! | [`listen`] | octets arrive over UDP, TCP or a Unix socket and are cut into messages; or, at the gateway, over HTTPS ([`listen::https`]), where [`throttle`] charges their client |
//! | [`wire`] | [`wire::KerberosMessage::parse`] recognises the message and reads its realm; nobody reads raw octets after that |
//! | [`exchange`] | [`exchange::Exchange::answer`] asks the lookaside, and leads what is new through its upstreams in a task of its own |
//! | [`lookaside`] | a copy of a request under way joins it; one answered a moment ago is answered again |
//! | [`route`] | realm to ordered upstreams, their health, and [`route::after`]: the one rule of what may be sent again |
//! | [`upstream`] | a POST to a KDC proxy ([`upstream::kkdcp`]), or TCP and UDP to a KDC ([`upstream::kdc`]) |
//! | [`upstream`] | and if there is no reply, the [`upstream::Fault`] that says what the other side may have seen |
//! | [`answer`] | what goes back up: the reply, or a verdict that says why there is none |
//! | [`listen`] | the verdict is worded for UDP, for a stream, for kpasswd and as a status of HTTP |
//!
//! Beside the walk, [`upstream::dns`] finds the KDCs and the KDC proxies of realms that the configuration declares and says
//! to look up. A gateway looks up again and again; no request comes by there. A tunnel looks up when a request has come
//! ([`exchange::RealmResolver`]), for an idle laptop must not wake, and then the realm's own name as the configuration has it: no
//! other name can be asked for, whatever a client says.
//!
//! Where a laptop is, [`network`] says: the kernel tells of links, addresses and routes that come and go, and two of its
//! clocks, compared at each request, of sleep. Either has the exchange begin anew: kept connections are dropped, marks and
//! measures of upstreams forgotten, and requests under way that may go again do.
//!
//! Those who watch a gateway hear of each HTTP request once, when it has ended; nothing comes back from them.
//!
//! | room | what happens there |
//! |---|---|
//! | [`listen`] | the request becomes a [`record::Record`], if anybody listens |
//! | [`access_log`] | the record becomes a line, and a thread writes it; what is too much is left out and counted |
//! | [`metrics`] | the record becomes numbers, which [`listen::metrics`] shows with those of [`counters`] and of [`route`] |
//!
//! A tunnel tells of itself in one place, which nothing goes back from either: [`daemon`] puts what the exchange, the route and the
//! upstreams know into a document ([`status`]) whenever somebody connects to its status socket. `loopkdc doctor` ([`doctor`]) asks
//! nobody but the network, with the daemon's own parts; [`advice`] has the words for a fault and what to do about it, for both.
//!
//! Around it stand [`cli`] and [`config`] (text to values that are already valid), [`daemon`] (sockets, ready, signals,
//! drain), [`check`], [`import`], [`krb5_conf`] (the reader of that file, and what it has to say), [`logging`], [`counters`],
//! [`throttle`] (how much one client of the gateway may ask for), `text` (what of others' text people and programs are shown), `user`
//! (whose process this is) and [`failure`] (what ends a command). The rooms `wire`, `lookaside`, `route`, `answer` and `record` are
//! pure: they do no I/O and take the time as an argument.
//!
//! # The words
//!
//! A *KDC* is only ever a real one. An *upstream* is a way out. A *listener* is a socket of ours. A *copy* is the same
//! request once more, sent by a client that waits or by us to another upstream. *Harmless* and *once* ([`wire::Resend`])
//! say what a second copy could do. A *fault* is why one copy brought no reply; a *verdict* is why the request has none.
//!
//! # The invariants
//!
//! * **A request that must not be sent twice reaches one upstream.** A password tried twice locks accounts, a one-time code
//!   works once, a password change reported as failed may have been done. An AS-REQ is harmless only if every padata type
//!   in it is on a list of those that carry no preauthentication. Whether octets may have left is a type:
//!   [`upstream::Fault::NotSent`] is claimed only for a failed connect or handshake, a body that nobody asked for
//!   ([`upstream::Sent`]), or datagrams each of which its host or a firewall returned (ICMP port unreachable); and a request
//!   of which the user is told that it was not sent is called back first. To a KDC that refuses TCP, such a request goes
//!   over UDP only once that has answered something.
//! * **The same octets are one request**, whatever the transport and the peer: libkrb5 repeats itself over TCP after a second.
//!   For kpasswd over UDP, the same peer and ticket are, too: Heimdal rebuilds its copies.
//!   A reply is kept for 40 s and a verdict for 2 s; but the verdict on a request that must not be sent twice, and may have
//!   been, stands for its octets as long as a reply would.
//! * **Each request is answered within its deadline.** libkrb5 waits on an established connection without limit. Name, connect
//!   and TLS get 3 s; the whole deadline is only for an upstream that shows life: one that finished TLS, answers HTTP/2
//!   pings within a second, or acknowledges octets within two (TCP_USER_TIMEOUT). After an exchange that ended in silence an
//!   upstream gets 2 s, until an octet of an answer is heard from it; the exchange listens on after such a verdict, so that it
//!   can be heard.
//! * **A harmless request waits for nobody who is late**, by the measure of that upstream's answers before: between half a
//!   second and three, one if none is known. It goes over a fresh connection beside a kept one, and then to the next proxy;
//!   KRB_AP_ERR_REPEAT to such a copy is no answer. At a gateway, whose many clients would only ask twice of a busy KDC, it
//!   goes to the next KDC after three seconds.
//! * **Who fails is put behind the others** for a second and, failing on, for up to a minute, for the one realm that it refuses
//!   or for all; if all are, the one that failed least is tried. A reply ends that, and so does another network.
//! * **A failure looks like a KDC that cannot be reached, at once**: KRB_ERR_RESPONSE_TOO_BIG over UDP, then a reset over TCP.
//!   Only that makes PAM, SSSD and others go offline, and clients try their next `kdc =` line. On port 464 it is always told
//!   in kpasswd's own framing with result code 2, which is the one that no client asks the password again after.
//! * **A kept connection never costs a request.** What may be sent again goes over any kept connection, and over a fresh one if
//!   that turns out to be closed. What may not goes over one heard from within a second, or idle for less than half of what
//!   its server grants, or over a fresh one.
//! * **A KDC gets what it can take.** Five connects under way, as krb5kdc's backlog is short, and a bounded number of requests;
//!   what finds no place within a second goes elsewhere, unsent. Neither that, nor a connection that it closes without a word,
//!   nor a message too long for it says that it is ill: any client can cause them. Silence does, if nothing else was heard
//!   from it meanwhile.
//! * **A zone leads requests to Kerberos on other hosts, and nowhere else.** Other ports than its own, and addresses of this
//!   machine, its link and its cloud, are refused for names found in DNS, at each look-up of their addresses anew. A KDC proxy
//!   may have any port, as it must prove its name by TLS. What was found and kept on disk is held to the same rules.
//! * **A request can cause the look-up of its realm's own name and of nothing else**: of a realm that the configuration names
//!   and says to look up, spelled as it is there, once at a time, and again after half a minute at the earliest or on another
//!   network.
//! * **KDCs that may not be on this network cost a moment once**: they are asked over TCP alone, 300 ms long, before anything has
//!   left; one that does not answer has them all come last until a reply or another network.
//! * **Memory is bounded in octets**: requests by 128 KiB, replies by 1 MiB, the lookaside by 8 MiB, what the gateway's clients
//!   send and wait for by 16 MiB, the answers that they do not take by as much and 8 KiB for each connection, what is known of those clients by 1.25 MiB; connections, datagrams and exchanges by number.
//! * **A password that was tried is counted**, whoever waits for the answer: a client that hangs up has tried it all the same.
//!   A copy of it is counted once. The gateway's clients are who they are by address, and a reverse proxy is believed only if
//!   it is trusted and only as far as trusted proxies speak.
//! * **Nothing that a peer can cause is logged above debug**; it is counted. At info, a line per change of state. The access
//!   log is another log, on its own switch: it has so many lines a second, and no request waits for it.
//! * **The status is only written.** Who connects to its socket gets one document and the end of it; nothing is read, eight at a time,
//!   five seconds each. It holds no principal, no secret and of a URL the origin alone.
//! * **What others wrote is shown, and obeyed by nobody** (`text`): errors, the doctor and the status have one rule of what a
//!   terminal may be shown, and a name in a command is one word for the shell. An error repeats no secret of the configuration.
//! * **The doctor sees what the daemon sees**: the same configuration, TLS and way of asking; it asks in nobody's name, tries no
//!   password, and is done within the deadline and five seconds.
//! * **A file of others is changed as a whole or not at all** ([`krb5_conf`]), only if nobody else can lead its name elsewhere and it
//!   is as it was read, with all the others or none, between markers that say how to undo it. Undone is only what still is as it was
//!   left.
//! * **What clients choose forges nothing**: realms and principals are quoted where they are logged, and of realms only those
//!   of the configuration have numbers of their own.
//!
//! # Where this differs from other KDC proxies' clients
//!
//! Each kept connection is a reqwest client of its own ([`upstream`]): reqwest can tell neither the age of its idle
//! connections nor which of them a request will take, and the rules above need both.
//!
//! [MS-KKDCP]: https://learn.microsoft.com/openspecs/windows_protocols/ms-kkdcp/

pub mod cli;
pub mod config;
pub mod daemon;
pub mod gateway;
pub mod operate;
pub mod relay;
pub mod shim;
pub mod wire;
