"""The issuer as a relying party knows it: by its URL and what it publishes. PyJWT verifies."""

import json
import urllib.request

import jwt

REQUIRED_CLAIMS = ["iss", "sub", "aud", "iat", "nbf", "exp", "jti"]


class Issuer:
    def __init__(self, url):
        self.url = url
        self.keys = None

    def verify(self, token, *, leeway, algorithms=("RS256", "ES256")):
        """The claims of a token that is right in all that parties agree about; else a `jwt.PyJWTError`.

        Each party compares `aud` and `sub` itself, and says in its own words what is wrong with them.
        `leeway` is in seconds.
        """
        # What the unstripped bytes of a token file may end in; base64 decoders are more forgiving.
        if token != token.strip():
            raise jwt.DecodeError("blanks around the token")
        header = jwt.get_unverified_header(token)
        if header.get("typ") != "JWT" or not header.get("kid"):
            raise jwt.DecodeError("typ is not JWT, or there is no kid")
        claims = jwt.decode(
            token,
            self.published_keys().get_signing_key_from_jwt(token),
            algorithms=list(algorithms),
            issuer=self.url,
            leeway=leeway,
            options={"require": REQUIRED_CLAIMS, "verify_aud": False},
        )
        if not isinstance(claims["aud"], str):
            raise jwt.InvalidAudienceError("aud is not one string")
        if "azp" in claims:
            raise jwt.InvalidAudienceError("azp is there: AWS would compare it in place of aud")
        return claims

    def published_keys(self):
        """By discovery, once: a token under a key that is new makes the client ask again."""
        if self.keys is None:
            with urllib.request.urlopen(f"{self.url}/.well-known/openid-configuration", timeout=5) as answer:
                discovery = json.load(answer)
            if discovery["issuer"] != self.url:
                raise jwt.InvalidIssuerError(f"discovery names {discovery['issuer']}")
            self.keys = jwt.PyJWKClient(discovery["jwks_uri"], timeout=5)
        return self.keys
