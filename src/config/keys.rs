//! Every key of both configurations, once: name, type, bounds, default, documentation, and what an error may show of its value.
//!
//! Made from this table: which keys a table may hold, the types and bounds of their values and the errors about them, the names
//! suggested for one that is misspelt, what of a line an error shows, the example files and the manuals.

use std::ops::RangeInclusive;

/// A key of the configuration.
#[derive(Debug)]
pub struct ConfigKey {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: ValueKind,
    /// What holds where the file has no such key, or what the file could say.
    pub preset: Preset,
    /// Documentation.
    pub about: &'static str,
    /// It belongs to one realm, and can't stand in `[defaults]`.
    pub of_one_realm: bool,
    pub(super) shown: Disclosure,
}

/// What a value is.
#[derive(Debug)]
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
    /// An array of ports.
    Ports,
    /// An array of strings.
    List,
    /// An array of strings, or this string.
    ListOr(&'static str),
    /// An array of strings, or of tables with `address` and `primary`.
    Addresses,
}

/// A value in the table of keys, as TOML.
#[derive(Clone, Copy, Debug)]
pub enum Preset {
    /// It holds where the file says nothing.
    Default(&'static str),
    /// An example: where the file says nothing, nothing holds, or what the documentation says.
    Example(&'static str),
}

/// What an error may show of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disclosure {
    /// All of it.
    All,
    /// Of URLs no more than the host.
    Hosts,
    /// Nothing, but a word that is plainly no secret: what is a secret is easily written here by mistake.
    Nothing,
}

/// A table of the file.
#[derive(Debug)]
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
    /// The key of this name, in whichever table.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        let tables = [&LISTEN, &RUN_REALM, &GATEWAY_SERVICE, &GATEWAY_REALM];
        let mut keys = tables.into_iter().flat_map(|table| table.keys);
        keys.find(|key| key.name == name).copied()
    }

    const fn new(name: &'static str, kind: ValueKind, preset: Preset) -> Self {
        Self {
            name,
            kind,
            preset,
            about: "",
            of_one_realm: false,
            shown: Disclosure::All,
        }
    }

    const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    const fn of_one_realm(mut self) -> Self {
        self.of_one_realm = true;
        self
    }

    const fn shown(mut self, shown: Disclosure) -> Self {
        self.shown = shown;
        self
    }
}

const fn text(name: &'static str, example: &'static str) -> ConfigKey {
    ConfigKey::new(name, ValueKind::Text, Preset::Example(example))
}

const fn word(
    name: &'static str,
    words: &'static [&'static str],
    default: &'static str,
) -> ConfigKey {
    ConfigKey::new(name, ValueKind::Word(words), Preset::Default(default))
}

const fn flag(name: &'static str) -> ConfigKey {
    ConfigKey::new(name, ValueKind::Flag, Preset::Default("false"))
}

const fn integer(
    name: &'static str,
    bounds: RangeInclusive<i64>,
    default: &'static str,
) -> ConfigKey {
    ConfigKey::new(name, ValueKind::Integer(bounds), Preset::Default(default))
}

const fn mode(name: &'static str, default: &'static str) -> ConfigKey {
    ConfigKey::new(name, ValueKind::Mode, Preset::Default(default))
}

const fn list(name: &'static str, preset: Preset) -> ConfigKey {
    ConfigKey::new(name, ValueKind::List, preset)
}

/// Declares the keys of a table, and the table: it holds them in this order, and after them `also` those of another table.
macro_rules! key_table {
    ($table:ident, $header:literal, $about:literal, also [$($other:ident),*]; $($name:ident = $key:expr;)*) => {
        $(pub(super) static $name: ConfigKey = $key;)*
        static $table: KeyTable = KeyTable {
            header: $header,
            about: $about,
            keys: &[$(&$name,)* $(&$other,)*],
        };
    };
}

key_table! {
    LISTEN, "[listen]",
    "",
    also [];
    KDC = list(
        "kdc",
        Preset::Default(r#"["127.0.0.1:88", "[::1]:88"]"#),
    )
    .about(
        "Where the KDC service answers, over UDP and TCP: what \"kdc =\" in krb5.conf names. Both, because \"localhost\" means ::1 \
         too. A default ::1 is skipped on a machine without IPv6, one written here is not. \"unix:/run/loopkdc.sock\" is a Unix socket, for \
         MIT 1.22 and later (\"kdc = /run/loopkdc.sock\"); not below /run/loopkdc, which systemd removes with the service. An \
         empty list: the service is not offered.",
    );
    KPASSWD = list(
        "kpasswd",
        Preset::Default(r#"["127.0.0.1:464", "[::1]:464"]"#),
    )
    .about("The same for password changes: what \"kpasswd_server =\" names.");
    ALLOW_REMOTE_CLIENTS = flag("allow-remote-clients").about(
        "Without it, addresses other than loopback are refused: whoever reaches them can use the tunnel.",
    );
    LISTEN_UNIX_MODE = mode("unix-mode", "\"0666\"")
        .about("Who may connect to Unix sockets: \"0666\" is every local user, as with UDP and TCP.");
    UDP_REPLY_MAX_BYTES = integer(
        "udp-reply-max-bytes",
        512..=65507,
        "4096",
    )
    .about(
        "Longer replies make a client come back over TCP; some clients cut what is longer than 4096.",
    );
    LISTEN_MAX_CONNECTIONS = integer("max-connections", 1..=65536, "1024")
        .about("Stream connections at once: bounds memory and file descriptors.");
    IDLE_TIMEOUT_SECONDS = integer("idle-timeout-seconds", 1..=3600, "30")
        .about("A stream that is silent for so long is closed: it may have been forgotten.");
    LISTEN_MAX_IN_FLIGHT = integer("max-in-flight", 1..=65536, "512")
        .about("Requests being answered at once: bounds memory and load on the proxy.");
    STATUS_SOCKET = text("status-socket", "\"/run/loopkdc/status.sock\"").about(
        "Where \"loopkdc status\" reads what this daemon knows of itself: a Unix socket that is only written to. \"off\": nowhere. \
         Default: in the folder that systemd made ($RUNTIME_DIRECTORY), else, as root, here, else in $XDG_RUNTIME_DIR/loopkdc.",
    );
    STATUS_MODE = mode("status-mode", "\"0666\"").about(
        "Who may read it: no principal, no secret and no path of a URL is told there, but realms and hosts are.",
    );
}

key_table! {
    RUN_REALM, "[realms.\"EXAMPLE.COM\"]",
    "A realm, spelled as the proxy knows it; letter case makes no difference to clients. Any key of [defaults] may stand \
        here too. Wildcards: \"*.EXAMPLE.COM\" is every realm below EXAMPLE.COM, \"*\" every realm: with that, any local user \
        chooses the realm that the proxy is asked about. The longest match wins.",
    also [];
    PROXIES = ConfigKey::new(
        "proxies",
        ValueKind::ListOr("discover"),
        Preset::Example(r#"["https://kdcproxy.example.com/KdcProxy"]"#),
    )
    .shown(Disclosure::Hosts)
    .about(
        "Which proxies serve a realm, in the order to try them. A URL without a path gets /KdcProxy. \"discover\": those that DNS \
         names, looked up when a request for the realm comes and kept for the next start: URI records _kerberos and _kpasswd of the \
         realm as MIT krb5 reads them, else SRV records _kerberos._https.",
    );
    CA_FILE = text("ca-file", "\"example-ca.pem\"").about(
        "Certificates (PEM) trusted for these proxies besides the system's, relative to this file.",
    );
    RUN_DEADLINE_SECONDS = integer("deadline-seconds", 1..=120, "9").about(
        "The most a request may take: shorter, and a busy KDC is given up; longer, and logins hang. One-time passwords that a user \
         confirms elsewhere may need 20.",
    );
    ON_FAILURE = word("on-failure", &["unreachable", "explain"], "\"unreachable\"").about(
        "How a failure looks. \"unreachable\": at once like a KDC that can't be reached, so that programs go offline or ask the next \
         KDC. \"explain\": a Kerberos error with a text, for finding out what is wrong.",
    );
    ALLOW_PLAINTEXT = flag("allow-plaintext").about(
        "Without it, http:// is refused: only TLS hides who asks for what, and keeps replies from being tampered with.",
    );
    DCLOCATOR_HINT = ConfigKey::new(
        "dclocator-hint",
        ValueKind::Integer(0..=4_294_967_295),
        Preset::Example("0"),
    )
    .about("Sent as it is, to tell the proxy which kind of KDC is wanted (MS-KKDCP 2.2.2).");
    DIRECT = word("direct", &["never", "prefer", "fallback"], "\"never\"").about(
        "Whether the realm's KDCs are asked themselves on networks where they can be reached. \"prefer\": they go before the \
         proxies. \"fallback\": they are for when no proxy can be reached. When one takes no connection within 0.3 s, they all come \
         last until one of them answers or the network changes. What they are asked is not hidden by TLS.",
    );
    DISCOVER = flag("discover").about(
        "Look the KDCs up in DNS: SRV records _kerberos._tcp, _kerberos._udp, _kpasswd._tcp and _kpasswd._udp of the realm. Names \
         that come from clients are never looked up.",
    );
    DISCOVER_NETWORKS = list(
        "discover-networks",
        Preset::Example(r#"["127.0.0.0/8"]"#),
    )
    .about(
        "What a name found in DNS may stand for besides public and private addresses: networks among those that are refused, which \
         are loopback, link-local and cloud metadata.",
    );
    DISCOVER_PORTS = ConfigKey::new(
        "discover-ports",
        ValueKind::Ports,
        Preset::Default("[88, 464]"),
    )
    .about("The ports that records in DNS may name.");
    HTTP_PROXY = ConfigKey::new("http-proxy", ValueKind::Text, Preset::Default("\"none\""))
        .shown(Disclosure::Hosts)
        .about(
            "The HTTP or SOCKS proxy that leads out of this network, with \"user:password@\" before the host if it wants them (then \
             keep this file from others), or \"environment\": what HTTPS_PROXY, ALL_PROXY and NO_PROXY say. It is asked to connect, \
             and sees TLS alone.",
        );
    CLIENT_CERTIFICATE = text("client-certificate", "\"laptop.pem\"").about(
        "Shown to a KDC proxy that asks for a client certificate (PEM, those that lead to its root after it). \"credential:NAME\" \
         here or for any other file below is a credential of systemd's: LoadCredential=NAME:FILE.",
    );
    CLIENT_KEY = text("client-key", "\"laptop-key.pem\"")
        .about("Its key (PEM), if that is not in the same file.");
    CLIENT_KEY_PASSPHRASE_FILE = text("client-key-passphrase-file", "\"laptop-key.passphrase\"")
            .shown(Disclosure::Nothing)
            .about("What opens the key, if it is encrypted.");
    HEADERS = list("headers", Preset::Example(r#"["X-Site: example"]"#))
        .shown(Disclosure::Nothing)
        .about(
            "Sent with each request. What is secret belongs into headers-file or bearer-token-file, which others can't read.",
        );
    HEADERS_FILE = text("headers-file", "\"headers.txt\"")
        .shown(Disclosure::Nothing)
        .about("Also sent with each request: a header on each line. Read again when it changes.");
    BEARER_TOKEN_FILE = text("bearer-token-file", "\"token.txt\"")
        .shown(Disclosure::Nothing)
        .about("Also sent with each request: a bearer token (RFC 6750), alone in the file. Read again when it changes.");
    AUTH = word("auth", &["negotiate", "none"], "\"none\"")
        .shown(Disclosure::Nothing)
        .about(
            "\"negotiate\": each request shows a Kerberos ticket for HTTP/host (RFC 4559), to KDC proxies that want one; the system's \
             GSSAPI library makes it, which this loopkdc must have been built with. The ticket must come by another way than the \
             proxy that wants it: another entry of [realms], or a KDC in krb5.conf.",
        );
    KEYTAB = text("keytab", "\"laptop.keytab\"")
        .about("A file of keys: the ticket is that of negotiate-principal, or of the first principal in the file.");
    CCACHE = text("ccache", "\"FILE:/run/loopkdc-tickets\"").about(
        "A credential cache (\"FILE:...\", \"KCM:\", ...): the ticket is the one in it. With a keytab and without a cache, tickets \
         are kept in memory.",
    );
    NEGOTIATE_PRINCIPAL = text(
        "negotiate-principal",
        "\"host/laptop.example.com@EXAMPLE.COM\"",
    )
    .about("Whose ticket, if the keytab holds keys of several.");
    PINS = list(
        "pins",
        Preset::Example(
            "[\"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\", \"sha256/AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\"]",
        ),
    )
    .about(
        "SHA-256 hashes of keys (SubjectPublicKeyInfo), of which one must be in the chain that vouches for the KDC proxy, besides \
         what is checked anyway: its own, or its authority's. Have one in reserve.",
    );
    MIN_TLS = word("min-tls", &["1.2", "1.3"], "\"1.2\"").about("The oldest version of TLS that will do.");
    ANY_REALM = flag("any-realm").about(
        "Lets realm \"*\" be asked about with what is this machine's alone: client certificate, headers-file, bearer token, tickets. \
         Without it such a configuration is refused, as any local user could use them for a realm of their choice.",
    );
    ALIASES = list("aliases", Preset::Example(r#"["CORP"]"#))
        .of_one_realm()
        .about("Other names of the realm that clients use, such as short domain names; they are replaced by the one above.");
    TARGET_DOMAIN = text("target-domain", "\"AD.EXAMPLE.COM\"")
        .of_one_realm()
        .about("Asked of the proxy instead of the realm's name, for a proxy that knows it by another.");
    KDCS = ConfigKey::new(
        "kdcs",
        ValueKind::Addresses,
        Preset::Example(r#"[{ address = "dc1.example.com:88", primary = true }, "dc2.example.com"]"#),
    )
    .of_one_realm()
    .about(
        "The realm's KDCs in the order to try them, each \"host:port\" or \"host\" (port 88), or a table that says that this one \
         takes writes. Needed where KDCs are asked and discover is false.",
    );
    KPASSWD_SERVERS = list(
        "kpasswd-servers",
        Preset::Example(r#"["dc1.example.com"]"#),
    )
    .of_one_realm()
    .about(
        "The servers that change passwords, each \"host:port\" or \"host\" (port 464). Default: the KDCs' hosts, primary ones first.",
    );
}

key_table! {
    GATEWAY_SERVICE, "[gateway]",
    "",
    also [];
    GATEWAY_LISTEN = list(
        "listen",
        Preset::Default(r#"["0.0.0.0:443", "[::]:443"]"#),
    )
    .about("Where HTTPS is served. A default [::] is skipped on a machine without IPv6, one written here is not.");
    CERTIFICATE = text("certificate", "\"gateway.pem\"").about(
        "The certificate, then those that lead to its root, in PEM, relative to this file. Read again within seconds when the file \
         changes. Needed wherever \"listen\" is not empty.",
    );
    CERTIFICATE_KEY = text("key", "\"gateway-key.pem\"")
        .about("The certificate's key, in PEM. It must not be encrypted.");
    PLAIN_LISTEN = list(
        "plain-listen",
        Preset::Example(r#"["127.0.0.1:8080"]"#),
    )
    .about(
        "Where plain HTTP is served to a reverse proxy on this machine: loopback addresses, or Unix sockets \
         (\"unix:/run/loopkdc-gateway/gateway.sock\").",
    );
    GATEWAY_UNIX_MODE = mode("unix-mode", "\"0660\"").about(
        "Who may connect to Unix sockets: \"0660\" is the daemon's user and group. Under loopkdc-gateway.service that group is \
         loopkdc: put the reverse proxy's user into it.",
    );
    TRUSTED_PROXIES = list(
        "trusted-proxies",
        Preset::Example(r#"["127.0.0.0/8", "::1/128"]"#),
    )
    .about(
        "Whose X-Forwarded-For and Forwarded headers are believed: networks, or \"unix\" for all Unix sockets. Without this every \
         client behind a reverse proxy counts as one.",
    );
    PATH = ConfigKey::new("path", ValueKind::Text, Preset::Default("\"/KdcProxy\"")).about(
            "The path of the KDC proxy. Letter case and one \"/\" at the end make no difference.",
        );
    CLIENT_CA_FILE = text("client-ca-file", "\"clients-ca.pem\"")
        .about("Clients may show a certificate that one of these (PEM) has signed.");
    REQUIRE_CLIENT_CERT = flag("require-client-cert").about("They must show one.");
    GATEWAY_MAX_CONNECTIONS = integer("max-connections", 1..=65536, "4096")
            .about("Connections at once, of all clients: bounds memory and file descriptors.");
    GATEWAY_MAX_IN_FLIGHT = integer("max-in-flight", 1..=65536, "1024")
        .about("Requests being answered at once, of all clients.");
    MAX_IN_FLIGHT_PER_KDC = integer("max-in-flight-per-kdc", 1..=65536, "128")
            .about("Requests being answered at once by one KDC.");
    CLIENT_REQUESTS_PER_SECOND = integer("client-requests-per-second", 0..=1_000_000, "50").about(
            "Requests a second that one client address (IPv6: one /64) or certificate may make for long; more are answered 429. A TLS \
             connection pays for its first request before the handshake, and who can't is turned away. 0: as many as it likes.",
        );
    CLIENT_BURST = integer("client-burst", 1..=1_000_000, "200").about("And how many at once after a pause.");
    CLIENT_MAX_IN_FLIGHT = integer("client-max-in-flight", 0..=65536, "16").about(
        "Requests of one client address or certificate that may be under way at once; more are answered 429. What a KDC drops \
         without a word takes one of max-in-flight-per-kdc until its deadline: nobody may have more than an eighth of them. A \
         gateway that sees many clients behind one address may need more. 0: as many as it likes.",
    );
    FAILED_LOGINS_PER_MINUTE = integer("failed-logins-per-minute", 0..=1_000_000, "10").about(
            "Logins with a wrong password that one client address may try in one realm in a minute for long; then its logins there \
             are answered 429 for a while. 0: as many as it likes.",
        );
    FAILED_LOGIN_BURST = integer("failed-login-burst", 1..=1_000_000, "20")
            .about("And how many at once after a pause, logins under way among them.");
    ACCESS_LOG = ConfigKey::new("access-log", ValueKind::Text, Preset::Default("\"stderr\"")).about(
        "A line for each request, without names of principals: \"stderr\", \"off\", or a file, relative to this one. A file is \
         opened again at SIGHUP, for those who rotate it.",
    );
    ACCESS_LOG_LINES_PER_SECOND = integer("access-log-lines-per-second", 1..=1_000_000, "100").about(
            "More lines in a second are left out and counted. What is no Kerberos message, or answered with 429, has a tenth as many \
             of its own.",
        );
    LOG_PRINCIPALS = flag("log-principals")
        .about("Whether the line of an AS-REQ names the principal, which is personal data.");
    METRICS_LISTEN = text("metrics-listen", "\"127.0.0.1:9464\"")
        .about("Where Prometheus finds the metrics, at /metrics, over plain HTTP: a loopback address.");
}

key_table! {
    GATEWAY_REALM, "[realms.\"EXAMPLE.COM\"]",
    "A realm; letter case makes no difference to clients. Any key of [defaults] may stand here too.",
    also [DISCOVER, DISCOVER_NETWORKS, DISCOVER_PORTS, KDCS, KPASSWD_SERVERS, ALIASES];
    SERVICES = list("services", Preset::Default(r#"["kdc", "kpasswd"]"#))
        .about("\"kdc\" for logins and tickets, \"kpasswd\" for password changes.");
    TRANSPORT = word("transport", &["tcp", "udp"], "\"tcp\"").about(
        "\"tcp\": UDP only where TCP is refused. \"udp\": TCP only for what is too big for it, or where it is refused. krb5kdc closes \
         each connection after one reply and is asked faster over UDP; Active Directory keeps connections.",
    );
    GATEWAY_DEADLINE_SECONDS = integer("deadline-seconds", 1..=120, "8").about(
        "The most a request may take until its answer: less than the clients' own deadline, so that they hear why.",
    );
}
