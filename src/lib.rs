//! loopkdc: Kerberos from anywhere, through an HTTPS KDC proxy.
//!
//! `loopkdc run` is a KDC on loopback without principals of its own: it reads the realm out of each request and tunnels the
//! request to the realm's KDC proxy ([MS-KKDCP]). `loopkdc gateway` is such a proxy. Both are the same relay with other ends,
//! and neither changes a Kerberos message.
//!
//! # The rooms
//!
//! A room knows only the rooms that stand below it here; `main` and [`cli`] know all. `tests/rooms.rs` reads the imports of
//! every file and keeps that.
//!
//! | room | what it does |
//! |---|---|
//! | [`operate`] | for people: `doctor`, `status`, `wait`, `check`, `import`, `krb5-conf`, and what a terminal is shown |
//! | [`shim`] | `loopkdc run`: the loopback listeners, look-ups when a request comes, and how a failure is worded to clients of a KDC |
//! | [`gateway`] | `loopkdc gateway`: HTTPS, limits and throttling, policies, access log, metrics |
//! | [`daemon`] | what both commands live by: sockets, accepting, readiness, watchdog, signals, drain, the log |
//! | [`config`] | text to values that are already valid; it knows the relay's types, and `daemon` knows where it says to listen |
//! | [`relay`] | the tunnel itself: exchange, retransmits, routes and their health, faults, findings, counters, the network's state; [`relay::upstream`]: the ways out |
//! | [`wire`] | octets to types and back; it does no I/O and reads no clock |
//!
//! # The walk
//!
//! One request, from the socket and back.
//!
//! | where | what happens there |
//! |---|---|
//! | [`shim`] or [`gateway`] | octets arrive, take a slot and are cut into messages |
//! | [`wire::KerberosMessage::parse`] | the message is recognised and its realm read; nobody reads raw octets for meaning after that |
//! | [`relay::exchange::Exchange::answer`] | looks for earlier copies, and takes what is new through its upstreams, whether or not its client still waits |
//! | [`relay::retransmits`] | a copy of a request under way joins it; one that was answered a moment ago is answered again |
//! | [`relay::routes`] | realm to ordered upstreams, their health, and the one rule of what may be sent again |
//! | [`relay::upstream`] | a POST to a KDC proxy, or TCP and UDP to a KDC; if there is no reply, a [`relay::upstream::Fault`] says what the other side may have seen |
//! | [`relay::answer`] | the reply, or a verdict that says why there is none |
//! | [`shim`] or [`gateway`] | words it for UDP, for a stream, for kpasswd or as a status of HTTP |
//!
//! What is wrong, and what to do about it, is one type: [`relay::finding::Finding`]. [`relay::explain`] makes it of a fault; the
//! doctor, the status, `check`, errors and the log are views of it. Of a certificate that is not trusted `of_certificate` there has the
//! general words and hints; the doctor, which has seen the chain, makes them exact in `operate/doctor/handshake.rs`.
//!
//! # The words
//!
//! The *tunnel* is the relay; the *shim* is `loopkdc run`, the KDC on loopback before it. A *KDC* is only ever a real one. An
//! *upstream* is a way out: a KDC proxy or a KDC. A *copy* is the same request once more from a client that waits. An *attempt*
//! is one sending of a request to one upstream; a *hedge* is one beside another that is late. *Harmless* and *once*
//! ([`wire::Resend`]) say what a second one could do. A *fault* is why an attempt brought no reply; a *verdict* is why the
//! request has none.
//!
//! # The invariants
//!
//! * **A request that must not be sent twice reaches one upstream.** A password tried twice locks accounts, a one-time code
//!   works once, a password change reported as failed may have been done. An AS-REQ is harmless only if every padata type
//!   in it is on a list of those that carry no preauthentication. What may have left is a type:
//!   [`relay::upstream::Fault::NotSent`] is claimed only for a failed connect or handshake, a body that was never asked for,
//!   a stream of HTTP/2 that its server has not processed (RFC 9113 6.8), or datagrams each of which its host or a firewall
//!   returned (ICMP port unreachable); and a request of which the user is told that it was not sent is called back first. To a KDC
//!   that refuses TCP, such a request goes over UDP only once that KDC has answered something.
//! * **After a change of a password, logins reach a KDC that knows it** ([MS-KKDCP] 4.2, steps 20 to 25). For ten minutes AS-REQs of
//!   that realm, at a gateway those of the same client, go to the upstream that takes writes, and proxies are told by the
//!   dclocator-hint that it is wanted. What may have reached it goes to no other, not even if it is harmless: a replica that
//!   has not heard of the change refuses the new password, and says that the old one has expired. If it was silent, others are
//!   asked before it for a second and, silent on, for up to a minute, and what is harmless waits for it no longer than for any
//!   other. Neither a reload nor another network ends those ten minutes; a restart does.
//! * **The same octets are one request**, whatever the transport and the peer: libkrb5 repeats itself over TCP after a second.
//!   For kpasswd the same AP-REQ is: MIT krb5 sends it to each address of the server with another KRB-PRIV. Over UDP the same peer
//!   and ticket are, too: Heimdal rebuilds its copies.
//!   A reply is kept for 40 s and a verdict for 2 s; but the verdict on a request that must not be sent twice, and may have
//!   been, stands for its octets as long as a reply would.
//! * **Each request is answered within its deadline.** libkrb5 waits on an established connection without limit. Name, connect
//!   and TLS get 3 s; the whole deadline is only for an upstream that shows life: one that finished TLS, answers HTTP/2
//!   pings within a second, or acknowledges octets within two (TCP_USER_TIMEOUT). After an exchange that ended in silence an
//!   upstream gets 2 s from who met it, until an octet of an answer arrives from it.
//! * **A harmless request does not wait for a late upstream**, by the measure of its answers before: between half a second and
//!   three, one if none is known (RFC 6298): the next proxy is asked as well; KRB_AP_ERR_REPEAT to such an attempt is no answer. A
//!   gateway, whose many clients would only ask busy KDCs twice, goes to the next KDC after three seconds. The one that is late gets
//!   no second copy while its connection shows life: it has too much to do already.
//! * **An upstream that fails is ranked behind the others** for a second and, failing on, for up to a minute, for the one realm
//!   that it refuses or for all; if all are, the one that failed least is tried. A reply ends that, and so does another
//!   network. What a request could have brought about (silence, a status, an end without an answer) counts for who met it alone, until
//!   another user or client meets a failure too: one odd request moves nobody else.
//! * **A failure looks like a KDC that cannot be reached, at once**: KRB_ERR_RESPONSE_TOO_BIG over UDP, then a reset over TCP.
//!   Only that makes PAM, SSSD and others go offline, and clients try their next `kdc =` line. On port 464 it is always told
//!   in kpasswd's own framing with result code 2, which is the one that no client asks the password again after.
//! * **A mistake in the configuration takes no ticket from anybody**, where a service manager has started `loopkdc run`: what was
//!   at work last by the same file is served, kept in the state folder without any secret's file, or else each client is told at
//!   once that no KDC can be reached; the mended one is taken without a command. A gateway does not start then: what an
//!   administrator has taken away must not come back.
//! * **A kept connection never costs a request.** What may be sent again goes over any kept connection, and over a fresh one if
//!   that turns out to be closed. What may not goes over one that carried something within a second, or is idle for less
//!   than half of what its server grants, or over a fresh one.
//! * **A KDC gets what it can take.** Five connects under way, as krb5kdc's backlog is short, and a bounded number of requests;
//!   what finds no place within a second goes elsewhere, unsent. Places are shared out by who asks ([`relay::shares`]). What waits for
//!   longer than a second goes on to wait, but its place is the next one's who needs it: what a KDC drops holds none. The same of
//!   the places in the relay (`max-in-flight`), which bound all; but there who had the place gets its verdict, and what may have
//!   been sent stays so. Neither that, nor a connection that it closes without a word,
//!   nor a message too long for it marks it as down: any client can cause them. Silence does, if nothing else arrived from
//!   it meanwhile.
//! * **A zone leads requests to Kerberos on other hosts, and nowhere else.** Other ports than its own, and addresses of this
//!   machine, its link and its cloud, are refused for names found in DNS, at each look-up of their addresses anew. A KDC proxy
//!   may have any port, as it must prove its name by TLS. What was found and kept on disk is held to the same rules.
//! * **A request can cause the look-up of its realm's own name and of nothing else**: of a realm that the configuration names
//!   and says to look up, spelled as it is there, once at a time, and again after half a minute at the earliest or on another
//!   network.
//! * **What can be reached is known by what came of requests** ([`relay`]'s `reachability`): a reply says that a realm can be, the first
//!   exchange without one that it can't, or one that takes three seconds, as who goes by it begins again without end; a reply that
//!   SSSD takes for none shuts the realm to SSSD alone, for a minute, and AS-REQs without end shut all. The daemon asks by itself only
//!   where a file was asked for that says so, in nobody's name, ever more seldom, and never while all is up. A gateway does when
//!   its health is asked for before the first reply since its start, as load balancers send it nobody before.
//! * **KDCs that may not be on this network cost a moment once**: they are asked over TCP alone, 300 ms long, before anything has
//!   left; one that does not answer has them all come last until a reply or another network.
//! * **Memory is bounded in octets**: requests and replies by 1 MiB each, of which eight replies of one upstream may be
//!   longer than 16 KiB while they come, kept replies by 8 MiB, what the gateway's clients send by 16 MiB until nobody needs
//!   it any more, a ClientHello by 16 KiB, and by 24 what comes of its handshake after it, without certificates, the answers
//!   that they do not take by as much as their requests, each counted as the stream that it holds, 8 KiB for each connection,
//!   and after a second by 16 of them in one, what is known of those clients by 4 MiB, their changes of passwords by 1 MiB,
//!   what KDCs have told clients of a realm that hides names by 64 KiB; over streams, requests and replies that are longer
//!   than 8 KiB by 16 MiB; connections, datagrams and exchanges by number.
//! * **What all share, nobody holds alone** ([`relay::shares`]): of connections, of those that speak HTTP/2 and of these octets
//!   one client has at most four times what is free. Who can be spared gives way: of the largest holder first, the longest silent, and
//!   those of whom nothing is known before those that have asked. What gives way is an idle connection, a body that has not come,
//!   an answer that is not taken, with its connection; never a request that is under way.
//! * **A gateway relays valid messages alone** ([MS-KKDCP] 5.1): of each the whole is looked at, by RFC 4120's types, where
//!   `loopkdc run` reads the way to the realm. A test asks libkrb5's own decoders whether they read what passes.
//! * **Who is let in is known before a KDC is asked** (`gateway/access.rs`): by a certificate that is on no list of revoked ones, of lists
//!   that are not past their time, or by a token; for the realm that is asked for and the one inside. No TLS session in which a
//!   client could have shown a certificate is resumed, and a connection ends when its certificate is revoked.
//! * **A KDC proxy gets what it can take**: 64 requests under way, and after it has said that it has too much to do (429, or 503 with
//!   Retry-After), no more than it took beside what it refused, for ten seconds. What it refused so has reached no KDC: where nobody
//!   else is there, it waits and goes again, a password too; but a 503 may stand for what was passed on, and is final for one.
//! * **No user of a machine keeps the others from Kerberos** ([`relay::upstream`]'s `user_shares`): what clients of `loopkdc run` hold,
//!   and what it asks of a KDC proxy, which sees one client, is shared out by uid, and less than a gateway grants at its
//!   defaults. Who asks for more waits four seconds, and is refused; that says nothing of the realm. Root logs everybody in, and is not
//!   held back. The kernel tells whose a peer is; who can't be told is one user with all who can't.
//! * **Who behaves waits for a turn, and is not refused**: what a client asks beyond its bounds waits for two seconds, in the order
//!   in which it came, within its deadline, and a second at most for what a KDC is silent on. A login costs nothing if it is right;
//!   until that is known no more are under way than may fail.
//! * **A password that was tried is counted** at the gateway, even if its client hangs up, and so is a name that its client is told
//!   to be nobody's. A copy of it is counted once. For one principal no more are tried from one network than lock an account.
//!   Clients are told apart by the name that they have proved, or else by address, and a reverse proxy, or a balancer by the PROXY
//!   protocol, is believed only if it is trusted.
//! * **What a realm's policy refuses reaches no KDC** (`gateway/policy.rs`). It goes by what stands outside of FAST; what can't be
//!   read for sure is refused. Without a policy nothing of a message is read for it.
//! * **A gateway that is restarted refuses nobody**: the service manager keeps its ports open for the next one, and the one that ends
//!   serves on until what was under way has ended, 5 s long at the most.
//! * **Nothing that a peer can cause is logged above debug**; it is counted. At info, a line per change of state. The access
//!   log is another log, on its own switch: it has so many lines a second, and no request waits for it.
//! * **The status is only written.** A connection to its socket gets one document and the end of it; nothing is read, eight at a
//!   time, five seconds each. It holds no principal, no secret and of a URL the origin alone.
//! * **What others wrote is shown, and gives no order** (`relay::text`): one rule of what a terminal may be shown, and a name in a
//!   command is one word for the shell. An error repeats no secret of the configuration.
//! * **The doctor sees what the daemon sees**: the same configuration, TLS and way of asking; it asks in nobody's name, tries no
//!   password, and is done within the deadline and five seconds.
//! * **krb5.conf is replaced in one step, or stays** ([`operate::krb5_conf`]): written beside, renamed, with a copy from before
//!   and markers that say how to undo it; never through a link, nor where others than its owner may write.
//! * **What SSSD reads, root has written** ([`operate::krb5_conf`]): what the daemon says of its realms chooses among those that root
//!   has named, no change of it is lost, and when the daemon ends, in whatever way, SSSD may try none.
//! * **What clients choose forges nothing**: realms and principals are quoted where they are logged, and of realms only those
//!   of the configuration have numbers of their own.
//!
//! # Where this differs from other KDC proxies' clients
//!
//! Each kept connection is a reqwest client of its own ([`relay::upstream`]): reqwest can tell neither the age of its idle
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
