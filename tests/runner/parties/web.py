"""What all relying parties share: HTTPS, a record of what they took, and one proxy to all of them."""

import json
import socket
import ssl
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

JSON = "application/json"


@dataclass
class Request:
    """One request, read whole."""

    method: str
    path: str
    query: dict
    headers: object
    body: bytes

    def form(self):
        return dict(urllib.parse.parse_qsl(self.body.decode(), keep_blank_values=True))

    def json(self):
        return json.loads(self.body) if self.body else {}

    def bearer(self):
        """The bearer token; nothing when there is none."""
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return token if scheme == "Bearer" else ""


@dataclass
class Answer:
    status: int
    body: bytes
    content_type: str = JSON


def json_answer(status, value):
    return Answer(status, json.dumps(value).encode())


@dataclass
class Party:
    """One relying party. `hosts` are the names by which the world knows it."""

    hosts: tuple = ()
    record: list = field(default_factory=list)

    def __post_init__(self):
        self.lock = threading.Lock()

    def took(self, what, **facts):
        """Records what was accepted; the tests read it at `/record`."""
        self.record.append({"what": what, "at": time.time(), **facts})

    def answer(self, request):
        """Answers one request. One at a time: nothing here has to think of threads."""
        raise NotImplementedError


def serve(party, tls):
    """Serves `party` on a free port of 127.0.0.1; returns the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def handle_any(self):
            url = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = dict(urllib.parse.parse_qsl(url.query))
            request = Request(self.command, urllib.parse.unquote(url.path), query, self.headers, body)
            with party.lock:
                if request.path == "/record":
                    answer = json_answer(200, party.record)
                else:
                    answer = party.answer(request)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any

        def log_message(self, *arguments):
            print(type(party).__name__, arguments[0] % arguments[1:], flush=True)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # The handshake is for the thread of the connection: a client that stays silent holds up nobody.
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return run(server)


def serve_proxy(ports):
    """An HTTPS proxy that knows the way to some hosts, by a table of ports, and to no others.

    The clouds' libraries have their clouds' names compiled in, and files that `runmint exec` writes name
    them too. With the proxy, both are tried as they are; nothing leaves this machine.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = 60

        def do_CONNECT(self):
            host = self.path.rpartition(":")[0]
            if host not in ports:
                self.send_error(502, f"the test knows no {host}")
                return
            with socket.create_connection(("127.0.0.1", ports[host])) as party:
                self.send_response(200)
                self.end_headers()
                back = threading.Thread(target=pump, args=(party, self.connection), daemon=True)
                back.start()
                pump(self.connection, party)
                back.join()
            self.close_connection = True

        def log_message(self, *arguments):
            print("proxy", arguments[0] % arguments[1:], flush=True)

    return run(ThreadingHTTPServer(("127.0.0.1", 0), Handler))


def pump(source, sink):
    """Passes on what comes until it ends, and then the end."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def run(server):
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def server_tls(certificate, key):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    return tls
