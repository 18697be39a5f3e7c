//! Every key of both configurations, once: name, type, bounds, default, documentation, and what is secret about it.
//!
//! Made from this table: which keys a table may hold, the types and bounds of their values and the errors about them, the names
//! suggested for one that is misspelt, what of a line an error shows, what needs care with a proxy that others choose, the
//! example files and the manuals. [`super`] says what else a new key touches.

use std::ops::RangeInclusive;

use Mark::{Masked, OfOneRealm, Proof, SecretFile, SendsSecret, ShowsHosts};
use Preset::{Default, Example};
use ValueKind::{Addresses, Flag, Flags, Integer, List, ListOr, Mode, Ports, Tables, Text, Word};

use crate::relay::text::is_similar;

/// A key of the configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigKey {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: ValueKind,
    /// What holds where the file has no such key, or what the file could say.
    pub preset: Preset,
    /// Documentation.
    pub about: &'static str,
    marks: &'static [Mark],
}

/// What a value is.
#[derive(Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// A string.
    Text,
    /// One of these strings.
    Word(&'static [&'static str]),
    /// Permission bits, as a string of octal digits.
    Mode,
    /// `true` or `false`.
    Flag,
    /// A whole number within these bounds.
    Integer(RangeInclusive<i64>),
    /// Flags in 32 bits: an array of these names, or the number, signed or not.
    Flags(&'static [&'static str]),
    /// An array of ports.
    Ports,
    /// An array of strings.
    List,
    /// An array of strings, or this string.
    ListOr(&'static str),
    /// An array of addresses, with these keys where one is a table.
    Addresses(&'static KeyTable),
    /// A string, or a table of these keys, of which `address` is one.
    Address(&'static KeyTable),
    /// An array of tables that have all of these keys.
    Tables(&'static KeyTable),
}

/// A value in the table of keys, as TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// It holds where the file says nothing.
    Default(&'static str),
    /// An example: where the file says nothing, nothing holds, or what the documentation says.
    Example(&'static str),
}

/// What is special about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It belongs to one realm, and can't stand in `[defaults]`.
    OfOneRealm,
    /// Errors show no more than the hosts of the URLs in it.
    ShowsHosts,
    /// Errors show nothing of it: what is a secret is easily written here by mistake.
    Masked,
    /// It names a file that nobody else should read.
    SecretFile,
    /// With it, requests prove to KDC proxies which machine this is, and give nothing away.
    Proof,
    /// With it, requests show KDC proxies what only they should see.
    SendsSecret,
}

/// A table of the file.
#[derive(Debug, PartialEq, Eq)]
pub struct KeyTable {
    /// Its header: `[listen]`.
    pub header: &'static str,
    /// Documentation.
    pub about: &'static str,
    /// Its keys, in the order in which they are documented.
    pub keys: &'static [&'static ConfigKey],
}

/// The keys of one command's file.
#[derive(Debug)]
pub struct Schema {
    /// The table about the command itself.
    pub service: &'static KeyTable,
    /// A table of a realm. `[defaults]` holds the same keys, but for those of one realm.
    pub realm: &'static KeyTable,
    /// What `[defaults]` is for.
    pub defaults: &'static str,
}

/// `loopkdc run`.
pub static RUN: Schema = Schema {
    service: &LISTEN,
    realm: &RUN_REALM,
    defaults: "What holds for every realm below that doesn't say otherwise. A realm without a table of its own, exact or by \
        wildcard, is never sent anywhere.",
};

/// `loopkdc gateway`.
pub static GATEWAY: Schema = Schema {
    service: &GATEWAY_SERVICE,
    realm: &GATEWAY_REALM,
    defaults: "What holds for every realm below that doesn't say otherwise. A realm without a table is not served.",
};

/// Keys of older versions, in whichever table: they are read, do nothing, and are warned about.
pub(super) const REMOVED: [&str; 1] = ["exit-when-idle-seconds"];

impl ConfigKey {
    /// All of them, of whichever table.
    fn all() -> impl Iterator<Item = &'static Self> {
        let tables = [
            &LISTEN,
            &RUN_REALM,
            &GATEWAY_SERVICE,
            &GATEWAY_REALM,
            &KDC_PARTS,
            &LISTEN_PARTS,
            &CLIENT_PARTS,
        ];
        tables.into_iter().flat_map(|table| table.keys).copied()
    }

    /// The key of this name, or one that may be meant: of those, one whose value is a secret sooner than another.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        let similar = || Self::all().filter(|key| is_similar(name, key.name));
        let secret = || similar().find(|key| key.is(Masked));
        let exact = Self::all().find(|key| key.name == name);
        exact.or_else(secret).or_else(|| similar().next())
    }

    /// This is special about it.
    pub fn is(&self, mark: Mark) -> bool {
        self.marks.contains(&mark)
    }

    const fn marked(mut self, marks: &'static [Mark]) -> Self {
        self.marks = marks;
        self
    }
}

const fn key(name: &'static str, kind: ValueKind, preset: Preset) -> ConfigKey {
    ConfigKey {
        name,
        kind,
        preset,
        about: "",
        marks: &[],
    }
}

/// A KDC in `kdcs` that is written as a table.
pub(super) static KDC_PARTS: KeyTable = KeyTable {
    header: "{ address = \"host:port\", primary = true }",
    about: "",
    keys: &[&ADDRESS, &KDC_PRIMARY],
};
/// Where a gateway listens, where that is written as a table.
pub(super) static LISTEN_PARTS: KeyTable = KeyTable {
    header: "{ address = \"0.0.0.0:8443\", proxy-protocol = true }",
    about: "",
    keys: &[&ADDRESS, &PROXY_PROTOCOL],
};
/// Certificates that a gateway lets in.
pub(super) static CLIENT_PARTS: KeyTable = KeyTable {
    header: "{ san = \"*.laptops.example.com\", realms = [\"EXAMPLE.COM\"] }",
    about: "",
    keys: &[&SAN, &GRANTED_REALMS],
};
static SAN: ConfigKey = key("san", Text, Example(r#""*.laptops.example.com""#));
static GRANTED_REALMS: ConfigKey = key("realms", List, Example(r#"["EXAMPLE.COM"]"#));
pub(super) static ADDRESS: ConfigKey = key("address", Text, Example(r#""dc1.example.com""#));
static KDC_PRIMARY: ConfigKey = key("primary", Flag, Default("false"));
static PROXY_PROTOCOL: ConfigKey = key("proxy-protocol", Flag, Default("false"));

/// Declares a table, and its keys in this order, each below its documentation; after them the table holds `also` those of another.
macro_rules! key_table {
    (
        $(#[doc = $table_about:literal])* $table:ident $header:literal, also [$($other:ident),*];
        $($(#[doc = $about:literal])* $name:ident = $key:expr;)*
    ) => {
        $(pub(super) static $name: ConfigKey = ConfigKey {
            about: concat!($($about),*).trim_ascii_start(),
            ..$key
        };)*
        static $table: KeyTable = KeyTable {
            header: $header,
            about: concat!($($table_about),*).trim_ascii_start(),
            keys: &[$(&$name,)* $(&$other,)*],
        };
    };
}

key_table! {
    LISTEN "[listen]", also [];

    /// Where the KDC service answers, over UDP and TCP: what "kdc =" in krb5.conf names. Both, because "localhost" means ::1
    /// too. A default ::1 is skipped on a machine without IPv6, one written here is not. "unix:/run/loopkdc.sock" is a Unix
    /// socket, for MIT 1.22 and later ("kdc = /run/loopkdc.sock"); not below /run/loopkdc, which systemd removes with the
    /// service. An empty list: the service is not offered. An address that is not loopback may come later (on Linux).
    KDC = key("kdc", List, Default(r#"["127.0.0.1:88", "[::1]:88"]"#));

    /// The same for password changes: what "kpasswd_server =" names.
    KPASSWD = key("kpasswd", List, Default(r#"["127.0.0.1:464", "[::1]:464"]"#));

    /// Without it, addresses other than loopback are refused: whoever reaches them can use the tunnel.
    ALLOW_REMOTE_CLIENTS = key("allow-remote-clients", Flag, Default("false"));

    /// Who may connect to Unix sockets: "0666" is every local user, as with UDP and TCP.
    LISTEN_UNIX_MODE = key("unix-mode", Mode, Default(r#""0666""#));

    /// Longer replies make a client come back over TCP; some clients cut what is longer than 4096.
    UDP_REPLY_MAX_BYTES = key("udp-reply-max-bytes", Integer(512..=65507), Default("4096"));

    /// Stream connections at once: bounds memory and file descriptors.
    LISTEN_MAX_CONNECTIONS = key("max-connections", Integer(1..=65536), Default("1024"));

    /// A stream that is silent for so long is closed: it may have been forgotten.
    IDLE_TIMEOUT_SECONDS = key("idle-timeout-seconds", Integer(1..=3600), Default("30"));

    /// Requests being answered at once: bounds memory and load on the proxy.
    LISTEN_MAX_IN_FLIGHT = key("max-in-flight", Integer(1..=65536), Default("512"));

    /// Where "loopkdc status" reads what this daemon knows of itself: a Unix socket that is only written to. "off": nowhere.
    /// Default: in the folder that systemd made ($RUNTIME_DIRECTORY), else, as root, here, else in $XDG_RUNTIME_DIR/loopkdc.
    STATUS_SOCKET = key("status-socket", Text, Example(r#""/run/loopkdc/status.sock""#));

    /// Who may read it: no principal, no secret and no path of a URL is told there, but realms and hosts are.
    STATUS_MODE = key("status-mode", Mode, Default(r#""0666""#));
}

key_table! {
    /// A realm, spelled as the proxy knows it; letter case makes no difference to clients. Any key of [defaults] may stand
    /// here too. Wildcards: "*.EXAMPLE.COM" is every realm below EXAMPLE.COM, "*" every realm: with that, any local user
    /// chooses the realm that the proxy is asked about. The longest match wins.
    RUN_REALM r#"[realms."EXAMPLE.COM"]"#, also [];

    /// Which proxies serve a realm, in the order to try them. A URL without a path gets /KdcProxy. "discover": those that DNS
    /// names, looked up when a request for the realm comes and kept for the next start: URI records _kerberos and _kpasswd of
    /// the realm as MIT krb5 reads them, else SRV records _kerberos._https.
    PROXIES = key("proxies", ListOr("discover"), Example(r#"["https://kdcproxy.example.com/KdcProxy"]"#))
        .marked(&[ShowsHosts]);

    /// Certificates (PEM) trusted for these proxies besides the system's, of authorities or of a proxy itself, relative to this file.
    CA_FILE = key("ca-file", Text, Example(r#""example-ca.pem""#));

    /// The most a request may take: shorter, and a busy KDC is given up; longer, and logins hang. One-time passwords that a
    /// user confirms elsewhere may need 20.
    RUN_DEADLINE_SECONDS = key("deadline-seconds", Integer(1..=120), Default("9"));

    /// How a failure looks. "unreachable": at once like a KDC that can't be reached, so that programs go offline or ask the
    /// next KDC. "explain": a Kerberos error with a text, for finding out what is wrong.
    ON_FAILURE = key("on-failure", Word(&["unreachable", "explain"]), Default(r#""unreachable""#));

    /// Without it, http:// is refused: only TLS hides who asks for what, and keeps replies from being tampered with.
    ALLOW_PLAINTEXT = key("allow-plaintext", Flag, Default("false"));

    /// Sent as it is, to tell the proxy which kind of domain controller is wanted (MS-KKDCP 2.2.2): "writable" is one that takes
    /// writes, "pdc" the one that has the role of the PDC, "next-closest-site" one of the next site if there is none in the
    /// proxy's own. A number has any of the flags of MS-NRPC 3.5.4.3.1.
    DCLOCATOR_HINT = key("dclocator-hint", Flags(&["writable", "pdc", "next-closest-site"]), Example(r#"["writable"]"#));

    /// Whether the realm's KDCs are asked themselves on networks where they can be reached. "prefer": they go before the
    /// proxies. "fallback": they are for when no proxy can be reached. When one takes no connection within 0.3 s, they all
    /// come last until one of them answers or the network changes. What they are asked is not hidden by TLS.
    DIRECT = key("direct", Word(&["never", "prefer", "fallback"]), Default(r#""never""#));

    /// Look the KDCs up in DNS: SRV records _kerberos._tcp, _kerberos._udp, _kpasswd._tcp and _kpasswd._udp of the realm, and
    /// for the one that takes writes _kerberos-master._tcp and _kerberos-master._udp.
    /// Names that come from clients are never looked up.
    DISCOVER = key("discover", Flag, Default("false"));

    /// What a name found in DNS may stand for besides public and private addresses: networks among those that are refused,
    /// which are loopback, link-local and cloud metadata.
    DISCOVER_NETWORKS = key("discover-networks", List, Example(r#"["127.0.0.0/8"]"#));

    /// The ports that records in DNS may name.
    DISCOVER_PORTS = key("discover-ports", Ports, Default("[88, 464]"));

    /// The HTTP or SOCKS proxy that leads out of this network, with "user:password@" before the host if it wants them (then
    /// keep this file from others), or "environment": what HTTPS_PROXY, ALL_PROXY and NO_PROXY say. It is asked to connect,
    /// and sees TLS alone.
    HTTP_PROXY = key("http-proxy", Text, Default(r#""none""#)).marked(&[ShowsHosts]);

    /// Shown to a KDC proxy that asks for a client certificate (PEM, those that lead to its root after it). "credential:NAME"
    /// here or for any other file below is a credential of systemd's: LoadCredential=NAME:FILE.
    CLIENT_CERTIFICATE = key("client-certificate", Text, Example(r#""laptop.pem""#)).marked(&[Proof]);

    /// Its key (PEM), if that is not in the same file.
    CLIENT_KEY = key("client-key", Text, Example(r#""laptop-key.pem""#)).marked(&[SecretFile]);

    /// What opens the key, if it is encrypted.
    CLIENT_KEY_PASSPHRASE_FILE = key("client-key-passphrase-file", Text, Example(r#""laptop-key.passphrase""#))
        .marked(&[Masked, SecretFile]);

    /// Sent with each request. What is secret belongs into headers-file or bearer-token-file, which others can't read.
    HEADERS = key("headers", List, Example(r#"["X-Site: example"]"#)).marked(&[Masked]);

    /// Also sent with each request: a header on each line. Read again when it changes.
    HEADERS_FILE = key("headers-file", Text, Example(r#""headers.txt""#))
        .marked(&[Masked, SecretFile, SendsSecret]);

    /// Also sent with each request: a bearer token (RFC 6750), alone in the file. Read again when it changes.
    BEARER_TOKEN_FILE = key("bearer-token-file", Text, Example(r#""token.txt""#))
        .marked(&[Masked, SecretFile, SendsSecret]);

    /// "negotiate": each request shows a Kerberos ticket for HTTP/host (RFC 4559), to KDC proxies that want one; the system's
    /// GSSAPI library makes it, which this loopkdc must have been built with. The ticket must come by another way than the
    /// proxy that wants it: another entry of [realms], or a KDC in krb5.conf.
    AUTH = key("auth", Word(&["negotiate", "none"]), Default(r#""none""#)).marked(&[Masked, SendsSecret]);

    /// A file of keys: the ticket is that of negotiate-principal, or of the first principal in the file.
    KEYTAB = key("keytab", Text, Example(r#""laptop.keytab""#)).marked(&[SecretFile]);

    /// A credential cache ("FILE:...", "KCM:", ...): the ticket is the one in it. With a keytab and without a cache, tickets
    /// are kept in memory.
    CCACHE = key("ccache", Text, Example(r#""FILE:/run/loopkdc-tickets""#));

    /// Whose ticket, if the keytab holds keys of several.
    NEGOTIATE_PRINCIPAL = key("negotiate-principal", Text, Example(r#""host/laptop.example.com@EXAMPLE.COM""#));

    /// SHA-256 hashes of keys (SubjectPublicKeyInfo), of which one must be in the chain that vouches for the KDC proxy,
    /// besides what is checked anyway: its own, or its authority's. Have one in reserve.
    PINS = key("pins", List, Example(
        r#"["sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "sha256/AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="]"#
    ));

    /// The oldest version of TLS that will do.
    MIN_TLS = key("min-tls", Word(&["1.2", "1.3"]), Default(r#""1.2""#));

    /// The newest version of HTTP that is spoken to the KDC proxy. "2" is spoken where the proxy offers it; one that wants 1.1 for Kerberos,
    /// as IIS does with auth = "negotiate", says so at the first request, and "1.1" saves that one.
    HTTP_VERSION = key("http-version", Word(&["1.1", "2"]), Default(r#""2""#));

    /// Lets realm "*" be asked about with what is this machine's alone: client certificate, headers-file, bearer token,
    /// tickets. Without it such a configuration is refused, as any local user could use them for a realm of their choice.
    ANY_REALM = key("any-realm", Flag, Default("false"));

    /// Other names of the realm that clients use, such as short domain names; they are replaced by the one above.
    ALIASES = key("aliases", List, Example(r#"["CORP"]"#)).marked(&[OfOneRealm]);

    /// Asked of the proxy instead of the realm's name, for a proxy that knows it by another.
    TARGET_DOMAIN = key("target-domain", Text, Example(r#""AD.EXAMPLE.COM""#)).marked(&[OfOneRealm]);

    /// Those of its KDC proxies that lead to its primary KDC, the one that takes writes: for logins after a password change,
    /// which other KDCs may not know of yet, and for password changes. They serve everything else after those in proxies,
    /// unless they are listed there too.
    PRIMARY_PROXIES = key("primary-proxies", List, Example(r#"["https://primary.example.com/KdcProxy"]"#))
        .marked(&[OfOneRealm, ShowsHosts]);

    /// The KDC proxies for password changes, in the order to try them. Default: the realm's, those that lead to the primary
    /// KDC first.
    KPASSWD_PROXIES = key("kpasswd-proxies", List, Example(r#"["https://kdcproxy2.example.com/KdcProxy"]"#))
        .marked(&[OfOneRealm, ShowsHosts]);

    /// The realm's KDCs in the order to try them, each "host:port" or "host" (port 88), or a table that says that this one
    /// takes writes. Needed where KDCs are asked and discover is false.
    KDCS = key("kdcs", Addresses(&KDC_PARTS), Example(r#"[{ address = "dc1.example.com:88", primary = true }, "dc2.example.com"]"#))
        .marked(&[OfOneRealm]);

    /// The servers that change passwords, each "host:port" or "host" (port 464). Default: the KDCs' hosts, primary ones
    /// first.
    KPASSWD_SERVERS = key("kpasswd-servers", List, Example(r#"["dc1.example.com"]"#)).marked(&[OfOneRealm]);
}

key_table! {
    GATEWAY_SERVICE "[gateway]", also [];

    /// Where HTTPS is served. A default [::] is skipped on a machine without IPv6, one written here is not. For a balancer of
    /// layer 4, { address = "0.0.0.0:8443", proxy-protocol = true }: each connection begins with a PROXY header, version 1 or 2,
    /// which says whose it is. Only trusted-proxies may connect there; what has no client's address is answered at /healthz alone.
    GATEWAY_LISTEN = key("listen", Addresses(&LISTEN_PARTS), Default(r#"["0.0.0.0:443", "[::]:443"]"#));

    /// The certificate, then those that lead to its root, in PEM, relative to this file. Read again within seconds when the
    /// file changes. Needed wherever "listen" is not empty.
    CERTIFICATE = key("certificate", Text, Example(r#""gateway.pem""#));

    /// The certificate's key, in PEM. It must not be encrypted.
    CERTIFICATE_KEY = key("key", Text, Example(r#""gateway-key.pem""#));

    /// Where plain HTTP is served to a reverse proxy on this machine: loopback addresses, or Unix sockets
    /// ("unix:/run/loopkdc-gateway/gateway.sock"). With proxy-protocol as under "listen", for one that ends TLS and no more.
    PLAIN_LISTEN = key("plain-listen", Addresses(&LISTEN_PARTS), Example(r#"["127.0.0.1:8080"]"#));

    /// Who may connect to Unix sockets: "0660" is the daemon's user and group. Under loopkdc-gateway.service that group is
    /// loopkdc: put the reverse proxy's user into it. The same holds for the socket of "loopkdc status --gateway".
    GATEWAY_UNIX_MODE = key("unix-mode", Mode, Default(r#""0660""#));

    /// Whose X-Forwarded-For, Forwarded and PROXY headers are believed: networks, or "unix" for all Unix sockets. Without this every
    /// client behind a reverse proxy counts as one.
    TRUSTED_PROXIES = key("trusted-proxies", List, Example(r#"["127.0.0.0/8", "::1/128"]"#));

    /// The path of the KDC proxy. Letter case and one "/" at the end make no difference.
    PATH = key("path", Text, Default(r#""/KdcProxy""#));

    /// Which messages go to KDCs. "strict": those that are valid as a whole (RFC 4120, RFC 3244). "outline": also those that are
    /// broken anywhere but on the way to their realm, for a client that a KDC is content with all the same. What is refused is
    /// answered 400 with the place where it is not valid.
    VALIDATE = key("validate", Word(&["strict", "outline"]), Default(r#""strict""#));

    /// Clients may show a certificate that one of these (PEM) has signed.
    CLIENT_CA_FILE = key("client-ca-file", Text, Example(r#""clients-ca.pem""#));

    /// They must show one.
    REQUIRE_CLIENT_CERT = key("require-client-cert", Flag, Default("false"));

    /// Which certificates these have revoked: a list (CRL, PEM) of each authority that signed one in the chain of a client. Read again
    /// within seconds when the file changes; then connections that showed a revoked one end. A certificate without a list of its
    /// authority is refused, and so is each once its list is past its time (nextUpdate): keep them renewed.
    CLIENT_CRL_FILE = key("client-crl-file", Text, Example(r#""clients-crl.pem""#));

    /// Which of these certificates are let in, and for which realms: by a DNS name in subjectAltName, in which * stands for anything.
    /// One that fits several entries may ask for the realms of all of them. A client without such a certificate is answered 403, or,
    /// with a tokens-file, must have a token. Default: everybody is let in.
    CLIENTS = key("clients", Tables(&CLIENT_PARTS), Example(r#"[{ san = "*.laptops.example.com", realms = ["EXAMPLE.COM"] }]"#));

    /// Who is let in by a bearer token (RFC 6750). A line for each: a name, the SHA-256 of the token in hex, the last day in UTC or
    /// "never", and the realms, with spaces between. Read again within seconds when the file changes. With it, a client without a
    /// certificate that is let in must have a token, over plain-listen as well; else it is answered 401.
    TOKENS_FILE = key("tokens-file", Text, Example(r#""tokens.txt""#)).marked(&[SecretFile]);

    /// Threads that requests are worked in. Default: one for two processors, as the kernel works as much for a request.
    THREADS = key("threads", Integer(1..=1024), Example("4"));

    /// Connections at once, of all clients: bounds memory and file descriptors.
    GATEWAY_MAX_CONNECTIONS = key("max-connections", Integer(1..=65536), Default("4096"));

    /// A connection without a request is kept for so long, which clients are told: a password that is typed meanwhile needs no
    /// handshake. Where all connections are in use, one that is idle makes room sooner.
    GATEWAY_IDLE_TIMEOUT_SECONDS = key("idle-timeout-seconds", Integer(1..=3600), Default("300"));

    /// Requests being answered at once, of all clients.
    GATEWAY_MAX_IN_FLIGHT = key("max-in-flight", Integer(1..=65536), Default("1024"));

    /// Requests being answered at once by one KDC.
    MAX_IN_FLIGHT_PER_KDC = key("max-in-flight-per-kdc", Integer(1..=65536), Default("128"));

    /// Requests a second that one client may make for long: a name that a certificate or a token proves, or else an address
    /// (IPv6: one /64). More wait for their turn, up
    /// to two seconds, and what would wait for longer is answered 429. A TLS connection pays for its first request, and waits,
    /// before the handshake, and who can't pay is turned away. 0: as many as it likes.
    CLIENT_REQUESTS_PER_SECOND = key("client-requests-per-second", Integer(0..=1_000_000), Default("300"));

    /// And how many at once after a pause.
    CLIENT_BURST = key("client-burst", Integer(1..=1_000_000), Default("600"));

    /// Requests of one client that may be under way at once, but for those that a KDC has been silent on for a second. Sixteen times
    /// as many wait for their turn, up to two seconds; more are answered 429. 0: as many as it likes.
    CLIENT_MAX_IN_FLIGHT = key("client-max-in-flight", Integer(0..=65536), Default("16"));

    /// Logins with a wrong password, and names that nobody has, that one client address may try in one realm in a minute for
    /// long; then its AS-REQs there are answered 429 for a while. The same name of nobody counts once an hour. This and the
    /// bounds above are those of one gateway: who can choose among several has as much at each. 0: as many as it likes.
    FAILED_LOGINS_PER_MINUTE = key("failed-logins-per-minute", Integer(0..=1_000_000), Default("10"));

    /// And how many at once after a pause. No more logins are under way than may fail; the others wait for up to two seconds.
    FAILED_LOGIN_BURST = key("failed-login-burst", Integer(1..=1_000_000), Default("20"));

    /// Wrong passwords of one principal, within ten minutes, from one client address (IPv6: one /48): then its AS-REQs from there
    /// are answered 429 until ten minutes after the first of them, and one more may be tried every ten minutes. A right password
    /// ends that. Fewer than the KDC locks the account after, as nobody should be able to lock it from outside. 0: as many as
    /// they like.
    FAILED_LOGINS_PER_PRINCIPAL = key("failed-logins-per-principal", Integer(0..=1000), Default("4"));

    /// A line for each request, without names of principals: "stderr", "off", or a file, relative to this one. A file is
    /// opened again at SIGHUP, for those who rotate it.
    ACCESS_LOG = key("access-log", Text, Default(r#""stderr""#));

    /// More lines are left out and counted; a second after a pause may have up to twice as many. What is no Kerberos message,
    /// or answered with 429, has a tenth as many of its own.
    ACCESS_LOG_LINES_PER_SECOND = key("access-log-lines-per-second", Integer(1..=1_000_000), Default("100"));

    /// Whether the line of an AS-REQ names the principal, which is personal data.
    LOG_PRINCIPALS = key("log-principals", Flag, Default("false"));

    /// Where Prometheus finds the metrics, at /metrics, over plain HTTP: a loopback address, or one that a firewall or a policy of
    /// the network keeps for it.
    METRICS_LISTEN = key("metrics-listen", Text, Example(r#""127.0.0.1:9464""#));
}

key_table! {
    /// A realm; letter case makes no difference to clients. Any key of [defaults] may stand here too.
    GATEWAY_REALM r#"[realms."EXAMPLE.COM"]"#, also [
        DISCOVER, DISCOVER_NETWORKS, DISCOVER_PORTS, KDCS, KPASSWD_SERVERS, ALIASES
    ];

    /// "kdc" for logins and tickets, "kpasswd" for password changes.
    SERVICES = key("services", List, Default(r#"["kdc", "kpasswd"]"#));

    /// Which preauthentication may come in. "no-timestamp": no encrypted timestamp outside of FAST, as whoever saw it could guess
    /// the password. "armored": none outside of FAST but for anonymous PKINIT, which armor is made with; the ticket of a
    /// machine that armors with its own must come by another way. What is refused is answered KDC_ERR_POLICY, and no KDC is
    /// asked, as by the two keys below.
    PREAUTH = key("preauth", Word(&["any", "armored", "no-timestamp"]), Default(r#""any""#));

    /// Whose AS-REQs are refused: names without a realm, in which * stands for anything. Letter case makes no difference, and of
    /// "user@domain" what stands before the @ counts as well. Under FAST the name outside counts, which a client that wants to can
    /// choose: lock an account in the KDC.
    DENY_PRINCIPALS = key("deny-principals", List, Example(r#"["administrator", "*/admin"]"#));

    /// The only services that tickets are given for, by AS-REQ and TGS-REQ, written likewise. krbtgt/EXAMPLE.COM is needed to log
    /// in, krbtgt of other realms to get there, and kadmin/changepw to change a password. Under FAST a client that wants to can hide
    /// the name. Default: all.
    ALLOW_SERVICES = key("allow-services", List, Example(r#"["krbtgt/*", "kadmin/changepw", "HTTP/*"]"#));

    /// Whether a name that nobody has is answered like somebody's, whose password is then wrong, as far as KDCs have answered others
    /// since the gateway's start: so nobody learns who exists, nor that he has mistyped his name. How long that takes still tells,
    /// and so do SPAKE, PKINIT and FAST.
    HIDE_UNKNOWN_PRINCIPALS = key("hide-unknown-principals", Flag, Default("false"));

    /// "tcp": UDP only where TCP is refused. "udp": TCP only for what is too big for it, or where it is refused. krb5kdc
    /// closes each connection after one reply and is asked faster over UDP; Active Directory keeps connections.
    TRANSPORT = key("transport", Word(&["tcp", "udp"]), Default(r#""tcp""#));

    /// The most a request may take until its answer: less than the clients' own deadline, so that they hear why.
    GATEWAY_DEADLINE_SECONDS = key("deadline-seconds", Integer(1..=120), Default("8"));

    /// Whether requests for other realms are served under the name of this one, as far as its KDCs know those. Otherwise they are
    /// answered 403, unless they are for one of "aliases".
    SERVE_OTHER_REALMS = key("serve-other-realms", Flag, Default("false"));
}
