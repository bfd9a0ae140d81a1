"""Verifies tokens as a relying party does, with nothing of runmint's own: PyJWT and the published keys.

    verify.py --issuer URL --audience AUDIENCE [--expect CASE.json] [--show] TOKENFILE...

Prints one line per token, with its key and its subject; exit status 1 when any of them fails.
"""

import argparse
import base64
import hashlib
import json
import sys
import urllib.request
import uuid
from pathlib import Path

import jwt

TERRAFORM_CLAIMS = {
    "terraform_full_workspace",
    "terraform_organization_id",
    "terraform_organization_name",
    "terraform_project_id",
    "terraform_project_name",
    "terraform_run_id",
    "terraform_run_phase",
    "terraform_workspace_id",
    "terraform_workspace_name",
}
CLAIMS = TERRAFORM_CLAIMS | {"jti", "iss", "aud", "iat", "nbf", "exp", "sub"}

# Per key type: all members of a published key, and those that its RFC 7638 thumbprint is made of.
KEY_MEMBERS = {
    "RSA": ({"kty", "use", "alg", "kid", "n", "e"}, ("e", "kty", "n")),
    "EC": ({"kty", "use", "alg", "kid", "crv", "x", "y"}, ("crv", "kty", "x", "y")),
}


class Failed(Exception):
    """The token, or what is published, is not as it should be."""


def check(condition, message):
    if not condition:
        raise Failed(message)


class RelyingParty:
    """Knows an issuer by its URL alone, as a cloud does."""

    def __init__(self, issuer, audience):
        self.issuer = issuer
        self.audience = audience
        with urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration", timeout=10) as answer:
            discovery = json.load(answer)
        check(
            discovery["issuer"] == issuer,
            f"discovery says the issuer is {discovery['issuer']!r}, not {issuer!r}",
        )
        self.algorithms = discovery["id_token_signing_alg_values_supported"]
        check("none" not in self.algorithms, "discovery allows unsigned tokens")
        # No cache: after a rotation the new key must be found at once.
        self.keys = jwt.PyJWKClient(discovery["jwks_uri"], cache_jwk_set=False)

    def verify(self, token):
        """Returns header and claims of a token that is right in every respect."""
        try:
            key = self.keys.get_signing_key_from_jwt(token)
            decoded = jwt.decode_complete(
                token,
                key,
                algorithms=self.algorithms,
                audience=self.audience,
                issuer=self.issuer,
                options={"require": sorted(CLAIMS), "strict_aud": True},
            )
        except jwt.PyJWTError as error:
            raise Failed(f"PyJWT refuses it: {type(error).__name__}: {error}") from error
        header, claims = decoded["header"], decoded["payload"]
        check_header(header)
        check_claims(claims)
        check_key(header["kid"], self.keys.fetch_data()["keys"])
        return header, claims


def check_header(header):
    check(set(header) == {"typ", "alg", "kid"}, f"the header has other members: {sorted(header)}")
    check(header["typ"] == "JWT", f"typ is {header['typ']!r}")


def check_claims(claims):
    # The claim for AWS session tags is there on request only, and nobody here requests it.
    check(set(claims) == CLAIMS, f"other claims than expected: {sorted(set(claims) ^ CLAIMS)}")
    check(isinstance(claims["aud"], str), "aud is not a plain string")
    for name in ("iat", "nbf", "exp"):
        check(type(claims[name]) is int, f"{name} is not an integer")
    check(claims["nbf"] == claims["iat"] - 5, "nbf is not five seconds before iat")
    check(0 < claims["exp"] - claims["iat"] <= 24 * 60 * 60, "lives longer than a day, or not at all")
    check(str(uuid.UUID(claims["jti"])) == claims["jti"], "jti is not a UUID")
    full = ":".join(
        f"{kind}:{claims[f'terraform_{kind}_name']}" for kind in ("organization", "project", "workspace")
    )
    check(claims["terraform_full_workspace"] == full, "terraform_full_workspace is not made of the names")
    subject = f"{full}:run_phase:{claims['terraform_run_phase']}"
    check(claims["sub"] == subject, f"sub is {claims['sub']!r}, not {subject!r}")


def check_key(kid, published):
    """The key's `kid` is its RFC 7638 thumbprint, and no member is there that need not be."""
    key = next((key for key in published if key["kid"] == kid), None)
    check(key is not None, f"the key {kid} is not published")
    members, thumbprint_members = KEY_MEMBERS[key["kty"]]
    check(set(key) == members, f"the published key has other members: {sorted(key)}")
    text = json.dumps({name: key[name] for name in thumbprint_members}, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).digest()
    thumbprint = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    check(kid == thumbprint, f"kid is {kid}, the key's thumbprint {thumbprint}")


def check_expected(header, claims, case):
    """Holds a token against what a test case (see `run`) expects of it."""
    check(header["alg"] == case["algorithm"], f"alg is {header['alg']}, not {case['algorithm']}")
    for name, value in case["claims"].items():
        check(claims[name] == value, f"{name} is {claims[name]!r}, not {value!r}")


def main():
    parser = argparse.ArgumentParser(description="Verify tokens of an issuer.")
    parser.add_argument("--issuer", required=True, help="the issuer's URL, byte for byte")
    parser.add_argument("--audience", required=True, help="whom the tokens must be for")
    parser.add_argument("--expect", type=Path, metavar="FILE", help="a case: exact values of claims")
    parser.add_argument("--show", action="store_true", help="print the decoded tokens too")
    parser.add_argument("files", type=Path, nargs="+", metavar="TOKENFILE")
    arguments = parser.parse_args()

    case = json.loads(arguments.expect.read_text()) if arguments.expect else None
    failures = 0
    try:
        relying_party = RelyingParty(arguments.issuer, arguments.audience)
    except (Failed, OSError, ValueError, KeyError) as error:
        print(f"FAILED  {arguments.issuer}: {error!r}")
        return 1
    for file in arguments.files:
        try:
            header, claims = relying_party.verify(file.read_text().strip())
            if case:
                check_expected(header, claims, case)
        except (Failed, OSError, ValueError) as error:
            print(f"FAILED  {file.name}: {error}")
            failures += 1
            continue
        if arguments.show:
            print(json.dumps(header, indent=2))
            print(json.dumps(claims, indent=2))
        print(f"ok  kid {header['kid']}  sub {claims['sub']}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
