"""Writes what a flood is made of: forms with forged tokens, for `flood.lua` to sign badly.

    forge.py FOLDER ISSUER AUDIENCE

Makes an RSA key set (`jwks.json`, and a genuine `token`), and one form each: `known.form` claims to be
the genuine token's holder, `stranger.form` somebody else at the same issuer, `nobody.form` an issuer
that is not trusted.
"""

import base64
import json
import pathlib
import sys
import time
import uuid

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def main() -> None:
    folder, issuer, audience = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    numbers = key.public_key().public_numbers()
    jwk = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1", "e": "AQAB",
           "n": encode(numbers.n.to_bytes(256, "big"))}
    (folder / "jwks.json").write_text(json.dumps({"keys": [jwk]}))
    now = int(time.time())

    def message(claims: dict) -> str:
        header = {"alg": "RS256", "kid": "k1", "typ": "JWT"}
        claims = {"iss": issuer, "aud": audience, "sub": "runner", "jti": str(uuid.uuid4()),
                  "iat": now, "exp": now + 3600, **claims}
        return ".".join(encode(json.dumps(part).encode()) for part in (header, claims))

    genuine = message({})
    signature = key.sign(genuine.encode(), padding.PKCS1v15(), hashes.SHA256())
    (folder / "token").write_text(f"{genuine}.{encode(signature)}")
    for name, claims in [("known", {}), ("stranger", {"sub": "somebody"}),
                         ("nobody", {"iss": "https://evil.example.com"})]:
        form = ("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"
                "&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt"
                "&audience=aws.workload.identity"
                f"&subject_token={message(claims)}.SIGNATURE")
        (folder / f"{name}.form").write_text(form)


main()
