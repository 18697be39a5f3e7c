"""A KDC proxy that answers whatever it is asked with a reply of 1 MiB: big_proxy.py PORT CERTIFICATE KEY."""

import http.server
import ssl
import sys

from tunnel import kdc_proxy_message, tlv

# Beginning as an AS-REP does, and with the most octets that are taken for one.
REPLY = kdc_proxy_message(tlv(0x6B, bytes((1 << 20) - 64)))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/kerberos")
        self.send_header("Content-Length", str(len(REPLY)))
        self.end_headers()
        self.wfile.write(REPLY)

    def log_message(self, *_):
        pass


def main():
    port, certificate, key = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
