"""Vault: JWT logins, tokens with a life and a maximum, and three secrets engines whose credentials the
other parties take for as long as their lease is live. Nothing is stored; what is revoked is gone."""

import base64
import fnmatch
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from . import OTHER_WORKSPACE, WORKSPACE, trusted_subjects
from .google import SERVICE_ACCOUNT, TOKEN_URL, AccessToken
from .sts import ACCOUNT
from .web import Answer, Party, json_answer

NAMESPACE = "acme"
AUDIENCE = "vault.workload.identity"
# What the roles bind `sub` to: `bound_claims` with `bound_claims_type=glob`.
ROLES = {"net": trusted_subjects(WORKSPACE), "other": trusted_subjects(OTHER_WORKSPACE)}
CLOCK_SKEW = 60
LEASE_SECONDS = 600


@dataclass
class Token:
    """Times in seconds since 1970; nothing renews past `last`."""

    jti: str
    start: float
    end: float
    last: float
    accessor: str = field(default_factory=lambda: secrets.token_hex(8))


@dataclass
class Lease:
    """A credential of `token`'s; `undo` takes it back."""

    token: str
    end: float
    undo: Callable


@dataclass
class Refused(Exception):
    status: int
    error: str


class Vault(Party):
    def __init__(self, issuer, token_seconds, token_max_seconds, sts, google, entra):
        super().__init__()
        self.issuer = issuer
        self.token_seconds = token_seconds
        self.token_max_seconds = token_max_seconds
        self.sts, self.google, self.entra = sts, google, entra
        self.tokens = {}
        self.leases = {}

    def answer(self, request):
        if request.path == "/state":
            return json_answer(200, {"tokens": self.live_tokens(), "leases": list(self.leases)})
        try:
            if request.headers.get("X-Vault-Namespace", "").strip("/") != NAMESPACE:
                raise Refused(404, "no handler for route: unknown namespace")
            path = request.path.removeprefix("/v1/")
            if path == "auth/jwt/login":
                return self.log_in(request.json())
            token = request.headers.get("X-Vault-Token") or request.bearer()
            if token not in self.live_tokens():
                raise Refused(403, "permission denied")
            return self.answer_to(token, request.method, path.split("/"), request.json())
        except Refused as refused:
            return json_answer(refused.status, {"errors": [refused.error]})

    def answer_to(self, token, method, path, body):
        writes = method in ("POST", "PUT")
        match path:
            case ["auth", "token", "lookup-self"] if method == "GET":
                self.took("lookup-self", jti=self.tokens[token].jti)
                return self.token_page(token)
            case ["auth", "token", "renew-self"] if writes:
                self.renew(self.tokens[token])
                self.took("renew-self", jti=self.tokens[token].jti)
                return answer_with(auth=self.auth(token))
            case ["auth", "token", "revoke-self"] if writes:
                self.took("revoke-self", jti=self.tokens[token].jti)
                self.revoke_token(token)
                return Answer(204, b"")
            case ["sys", "leases", "renew"] if writes:
                lease = self.lease(body)
                lease.end = time.time() + LEASE_SECONDS
                self.took("lease renewed", lease=body["lease_id"])
                return answer_with(lease_id=body["lease_id"], lease_duration=LEASE_SECONDS, renewable=True)
            case ["sys", "leases", "revoke"] if writes:
                self.lease(body)
                self.revoke_lease(body["lease_id"])
                return Answer(204, b"")
            case ["aws", "creds" | "sts" as kind, "net"]:
                return self.aws(token, kind)
            case ["azure", "creds", "net"] if method == "GET":
                return self.azure(token)
            case ["gcp", "roleset" | "static-account", "net", "token"] if method == "GET":
                return self.gcp_token()
            case ["gcp", "roleset" | "static-account", "net", "key"]:
                return self.gcp_key(token)
        raise Refused(404, "no handler for route")

    # --- Tokens ------------------------------------------------------------------------------------

    def log_in(self, body):
        role = body.get("role")
        if role not in ROLES:
            raise Refused(400, f'role "{role}" could not be found')
        try:
            claims = self.issuer.verify(body.get("jwt", ""), leeway=CLOCK_SKEW)
        except jwt.ExpiredSignatureError:
            reason = "invalid expiration time (exp) claim: token is expired"
            raise Refused(400, f"error validating token: {reason}") from None
        except jwt.InvalidIssuerError:
            raise Refused(400, "error validating token: invalid issuer (iss) claim") from None
        except jwt.PyJWTError:
            reason = "error verifying token signature: failed to verify id token signature"
            raise Refused(400, f"error validating token: {reason}") from None
        if claims["aud"] != AUDIENCE:
            reason = "invalid audience (aud) claim: audience claim does not match any expected audience"
            raise Refused(400, f"error validating token: {reason}")
        if not fnmatch.fnmatchcase(claims["sub"], ROLES[role]):
            reason = 'claim "sub" does not match any associated bound claim values'
            raise Refused(400, f"error validating claims: {reason}")

        now = time.time()
        token = "hvs." + secrets.token_urlsafe(24)
        self.tokens[token] = Token(claims["jti"], now, now + self.token_seconds, now + self.token_max_seconds)
        self.took("login", jti=claims["jti"], sub=claims["sub"])
        return answer_with(auth=self.auth(token))

    def auth(self, token):
        return {
            "client_token": token,
            "accessor": self.tokens[token].accessor,
            "policies": ["default", "net"],
            "token_policies": ["default", "net"],
            "metadata": {"role": "net"},
            "lease_duration": self.seconds_left(token),
            "renewable": True,
            "token_type": "service",
            "orphan": True,
        }

    def token_page(self, token):
        data = {
            "id": token,
            "ttl": self.seconds_left(token),
            "renewable": True,
            "policies": ["default", "net"],
        }
        return answer_with(data=data | {"accessor": self.tokens[token].accessor})

    def renew(self, token):
        token.end = min(time.time() + self.token_seconds, token.last)

    def seconds_left(self, token):
        return round(self.tokens[token].end - time.time())

    def live_tokens(self):
        now = time.time()
        for token in [token for token, entry in self.tokens.items() if entry.end < now]:
            self.revoke_token(token)
        return list(self.tokens)

    def revoke_token(self, token):
        """And with it all that it has asked for."""
        del self.tokens[token]
        for lease_id in [lease_id for lease_id, lease in self.leases.items() if lease.token == token]:
            self.revoke_lease(lease_id)

    # --- Secrets engines ---------------------------------------------------------------------------

    def aws(self, token, kind):
        """An IAM user with a lease, or a role's session, whose lease cannot be renewed."""
        is_user = kind == "creds"
        arn = f"arn:aws:iam::{ACCOUNT}:user/vault-net"
        if not is_user:
            arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/vault-net/vault"
        prefix = "AKIA" if is_user else "ASIA"
        key_id, key = self.sts.issue(arn, LEASE_SECONDS, prefix, session=not is_user)
        data = {"access_key": key_id, "secret_key": key.secret, "arn": arn}
        data |= {"security_token": key.session_token or None, "session_token": key.session_token or None}
        return self.leased(token, f"aws/{kind}/net", data, lambda: self.sts.access_keys.pop(key_id), is_user)

    def azure(self, token):
        client_id, secret = "aaaaaaaa-0000-0000-0000-000000000003", secrets.token_urlsafe(16)
        self.entra.client_secrets[client_id] = secret
        data = {"client_id": client_id, "client_secret": secret}
        return self.leased(
            token, "azure/creds/net", data, lambda: self.entra.client_secrets.pop(client_id, None)
        )

    def gcp_token(self):
        end = time.time() + LEASE_SECONDS
        token = self.google.issue(AccessToken(SERVICE_ACCOUNT, False, end, ""))
        self.took("gcp token")
        data = {"token": token, "token_ttl": LEASE_SECONDS, "expires_at_seconds": int(end)}
        return answer_with(data=data)

    def gcp_key(self, token):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        key_id = secrets.token_hex(20)
        self.google.service_account_keys[key_id] = key.public_key()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        credentials = {
            "type": "service_account",
            "project_id": "acme",
            "private_key_id": key_id,
            "private_key": pem.decode(),
            "client_email": SERVICE_ACCOUNT,
            "client_id": "1",
            "token_uri": TOKEN_URL,
        }
        data = {
            "private_key_data": base64.b64encode(json.dumps(credentials).encode()).decode(),
            "key_algorithm": "KEY_ALG_RSA_2048",
            "key_type": "TYPE_GOOGLE_CREDENTIALS_FILE",
        }
        return self.leased(
            token, "gcp/roleset/net/key", data, lambda: self.google.service_account_keys.pop(key_id)
        )

    def leased(self, token, path, data, undo, renewable=True):
        lease_id = f"{path}/{secrets.token_hex(12)}"
        self.leases[lease_id] = Lease(token, time.time() + LEASE_SECONDS, undo)
        self.took("lease", lease=lease_id)
        return answer_with(data=data, lease_id=lease_id, lease_duration=LEASE_SECONDS, renewable=renewable)

    def lease(self, body):
        lease = self.leases.get(body.get("lease_id"))
        if lease is None:
            raise Refused(400, "lease not found")
        return lease

    def revoke_lease(self, lease_id):
        self.leases.pop(lease_id).undo()
        self.took("lease revoked", lease=lease_id)


def answer_with(*, auth=None, data=None, lease_id="", lease_duration=0, renewable=False):
    return json_answer(
        200,
        {
            "request_id": secrets.token_hex(16),
            "lease_id": lease_id,
            "renewable": renewable,
            "lease_duration": lease_duration,
            "data": data,
            "warnings": None,
            "auth": auth,
        },
    )
