"""A foreign issuer: its key, its tokens, and the request protocol that hands them out."""

import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec


class Issuer:
    """Signs tokens with one key, as whoever `issuer` is."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.key = ec.generate_private_key(ec.SECP256R1())

    def jwks(self) -> str:
        jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        return json.dumps({"keys": [jwk | {"kid": "k1", "use": "sig", "alg": "ES256"}]})

    def token(self, audience: str, claims: dict) -> str:
        now = int(time.time())
        times = {"iat": now, "nbf": now, "exp": now + 300, "jti": str(uuid.uuid4())}
        claims = {"iss": self.issuer, "sub": "job", "aud": audience} | times | claims
        return jwt.encode(claims, self.key, algorithm="ES256", headers={"kid": "k1"})


class RequestUrl:
    """Answers as GitHub's and Forgejo's servers do; the query's other members become claims."""

    def __init__(self, issuer: Issuer, claims: dict) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = dict(parse_qsl(urlsplit(self.path).query))
                audience = query.pop("audience")
                body = json.dumps({"value": issuer.token(audience, claims | query)}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/token"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
