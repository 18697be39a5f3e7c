"""Stands in front of a KDC proxy, and takes no ticket but one that is bound to its certificate (RFC 5929 4), as IIS does where
extended protection is required.

bound.py ADDRESS CERTIFICATE KEY PORT: the proxy is at PORT of 127.0.0.1.
"""

import base64
import hashlib
import http.client
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import gssapi
from gssapi.raw import ChannelBindings

ADDRESS, CERTIFICATE, KEY, PORT = sys.argv[1:]
# GSS_C_CHANNEL_BOUND_FLAG
BOUND = 2048


def bindings():
    with open(CERTIFICATE, encoding="ascii") as file:
        certificate = ssl.PEM_cert_to_DER_cert(file.read())
    digest = hashlib.sha256(certificate).digest()
    return ChannelBindings(application_data=b"tls-server-end-point:" + digest)


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        context = gssapi.SecurityContext(usage="accept", channel_bindings=bindings())
        token = self.headers["Authorization"].removeprefix("Negotiate ")
        token = context.step(base64.b64decode(token))
        if int(context.actual_flags) & BOUND:
            proxy = http.client.HTTPConnection("127.0.0.1", int(PORT))
            kind = {"Content-Type": self.headers["Content-Type"]}
            proxy.request("POST", self.path, body, kind)
            answer = proxy.getresponse()
            token = " " + base64.b64encode(token).decode()
            self.answer(answer.status, token, answer.read())
        else:
            self.answer(401, "", b"")

    def answer(self, status, token, body):
        self.send_response(status)
        self.send_header("WWW-Authenticate", "Negotiate" + token)
        self.send_header("Content-Type", "application/kerberos")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code="-", size="-"):
        print(f"status={code}", flush=True)


server = ThreadingHTTPServer((ADDRESS, 443), Front)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
