"""A throw-away MIT realm and a KDC proxy before it, from Debian's packages."""

import os

from programs import run

NAME = "EXAMPLE.TEST"
USER, PASSWORD = "alice", "correct horse"
SERVICE = "host/service.example.test"
PROXY_HOST = "kdcproxy.example.test"
PROXY_URL = f"https://{PROXY_HOST}/KdcProxy"
KDC = "127.0.0.1"

# What keeps libkrb5 from asking a name server, as a laptop's krb5.conf has to as well.
LIBDEFAULTS = f"""\
[libdefaults]
    default_realm = {NAME}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
"""

KDC_CONF = """\
[kdcdefaults]
    kdc_listen = 88
    kdc_tcp_listen = 88
[realms]
    {name} = {{
        database_name = {work}/principal
        key_stash_file = {work}/stash
        acl_file = {work}/kadm5.acl
        max_life = 10h
        supported_enctypes = aes256-cts-hmac-sha1-96:normal
    }}
[logging]
    kdc = FILE:{work}/kdc.log
    kdc = STDERR
    admin_server = FILE:{work}/kadmind.log
    admin_server = STDERR
"""

PROXY_CONF = """\
[global]
use_dns = false
[{name}]
kerberos = kerberos+{transport}://127.0.0.1:{port}
kpasswd = kpasswd+tcp://127.0.0.1:464
"""

GATEWAY_CONF = """\
[gateway]
listen = ["{address}:{port}"]
certificate = "{certificate}"
key = "{key}"
client-requests-per-second = 0
client-max-in-flight = 0
failed-logins-per-minute = 0
failed-logins-per-principal = 0
access-log = "{access_log}"
{threads}
[realms."{name}"]
kdcs = ["127.0.0.1:{kdc_port}"]
transport = "{transport}"
"""


class Realm:
    """One realm in a directory; its daemons take the usual ports of the namespace they run in."""

    def __init__(self, work):
        self.work = work
        self.ca = self.path("ca.pem")
        self.certificate, self.key = self.path("proxy.pem"), self.path("proxy.key")
        self._write("kdc.conf", KDC_CONF.format(name=NAME, work=work))
        self._write("kadm5.acl", "")
        self.direct = self.client_config("direct", KDC)
        self._make_database()
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=Test CA", "-keyout", self.path("ca.key"), "-out", self.ca])
        self.certify()

    def path(self, name):
        return os.path.join(self.work, name)

    def _write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    def environment(self, *configs):
        """Nothing of the caller's: a KRB5_CONFIG or a proxy variable of the host would mislead."""
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": self.work,
            "LC_ALL": "C",
            "KRB5_CONFIG": ":".join(configs or (self.direct,)),
            "KRB5_KDC_PROFILE": self.path("kdc.conf"),
            "KRB5CCNAME": f"FILE:{self.path('ccache')}",
            "TMPDIR": self.work,
        }

    def client_config(self, name, kdc, more=""):
        """A krb5.conf whose realm is asked at this address or URL."""
        lines = [f"        {key} = {kdc}" for key in ("kdc", "primary_kdc", "master_kdc", "kpasswd_server")]
        stanza = "\n".join(["[realms]", f"    {NAME} = {{", *lines, more, "    }"])
        # The KDC reads this one as well: without groups of its own it would not offer SPAKE.
        spake = "    spake_preauth_groups = edwards25519\n"
        return self._write(f"{name}.conf", LIBDEFAULTS + spake + stanza + "\n")

    def client_preference(self, name, text):
        """A krb5.conf to be read after another."""
        return self._write(f"{name}.conf", f"[libdefaults]\n    {text}\n")

    def _make_database(self):
        env = self.environment()
        run(["kdb5_util", "-r", NAME, "create", "-s", "-P", "throw-away"], env=env)
        requests = (
            f'addprinc +requires_preauth -pw "{PASSWORD}" {USER}',
            f'addprinc -requires_preauth -pw "{PASSWORD}" nopreauth',
            f"addprinc -randkey {SERVICE}",
        )
        for request in requests:
            run(["kadmin.local", "-r", NAME, "-q", request], env=env)

    def certify(self):
        """Another certificate of the proxy and of the stub."""
        run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={PROXY_HOST}",
             "-keyout", self.key, "-out", self.path("proxy.csr")])
        names = self._write("names", f"subjectAltName=DNS:{PROXY_HOST}\n")
        run(["openssl", "x509", "-req", "-in", self.path("proxy.csr"), "-CA", self.ca, "-CAkey", self.path("ca.key"),
             "-CAcreateserial", "-days", "2", "-extfile", names, "-out", self.certificate])

    def start_kdc(self, programs, namespace=None):
        return programs.start(["krb5kdc", "-r", NAME, "-n"], ready=rb"commencing operation", env=self.environment(), namespace=namespace)

    def start_kadmind(self, programs, namespace=None):
        return programs.start(["kadmind", "-r", NAME, "-nofork"], ready=rb"starting", env=self.environment(), namespace=namespace)

    def start_proxy(self, programs, address, namespace=None, port=443, workers=1, threads=8, transport="tcp", kdc_port=88):
        """Debian's kdcproxy, with TLS and with connections kept."""
        config = self._write(f"kdcproxy-{port}.conf", PROXY_CONF.format(name=NAME, transport=transport, port=kdc_port))
        return programs.start(
            ["gunicorn", "--bind", f"{address}:{port}", "--worker-class", "gthread", "--workers", str(workers),
             "--threads", str(threads), "--keep-alive", "75", "--certfile", self.certificate, "--keyfile", self.key,
             "--worker-tmp-dir", self.work, "--chdir", self.work, "kdcproxy:application"],
            ready=rb"Booting worker", env=self.environment() | {"KDCPROXY_CONFIG": config}, namespace=namespace)

    def start_gateway(self, programs, loopkdc, port, transport="tcp", kdc_port=88, access_log=True, threads=None, address="127.0.0.1", namespace=None,
                      held=None):
        """`loopkdc gateway`, for clients that may ask as often as they like; on a socket that is `held` for it."""
        config = self._write(f"gateway-{port}.toml", GATEWAY_CONF.format(
            name=NAME, certificate=self.certificate, key=self.key, address=address, port=port, transport=transport, kdc_port=kdc_port,
            access_log=self.path(f"access-{port}.log") if access_log else "off", threads=f"threads = {threads}" if threads else ""))
        argv, env = [loopkdc, "gateway", "--config", config], {"PATH": "/usr/bin:/bin", "HOME": self.work}
        if held is None:
            return programs.start(argv, ready=rb"\bready\b", env=env, namespace=namespace)
        # sd_listen_fds(3)
        take = f'exec 3<&{held.fileno()}; LISTEN_PID=$$ exec "$@"'
        return programs.start(["bash", "-c", take, "loopkdc", *argv], ready=rb"\bready\b",
                              env=env | {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "https"}, pass_fds=[held.fileno()])


def name_the_proxy(work, address):
    """The proxy's name, in a mount namespace of the caller's own."""
    hosts = os.path.join(work, "hosts")
    with open(hosts, "w") as file:
        file.write(f"127.0.0.1 localhost\n{address} {PROXY_HOST}\n")
    run(["mount", "--bind", hosts, "/etc/hosts"])
