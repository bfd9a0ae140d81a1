"""AWS STS: AssumeRoleWithWebIdentity and GetCallerIdentity, in the query protocol.

As strict as the API's description and what has been measured against the real one; signatures of
requests (SigV4) are not checked, the access key and its session token are.
"""

import fnmatch
import re
import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from xml.sax.saxutils import escape

import jwt

from . import OTHER_WORKSPACE, WORKSPACE, trusted_subjects
from .web import Answer, Party

ACCOUNT = "123456789012"
CLIENT_IDS = ["aws.workload.identity"]
ROLES = {
    f"arn:aws:iam::{ACCOUNT}:role/net": trusted_subjects(WORKSPACE),
    f"arn:aws:iam::{ACCOUNT}:role/net-plan": trusted_subjects(WORKSPACE, "plan"),
    f"arn:aws:iam::{ACCOUNT}:role/net-apply": trusted_subjects(WORKSPACE, "apply"),
    f"arn:aws:iam::{ACCOUNT}:role/other": trusted_subjects(OTHER_WORKSPACE),
}

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
CLOCK_SKEW = 300


class Refused(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass
class AccessKey:
    """What was handed out; `end` is in seconds since 1970. Vault's AWS engine hands out such ones too."""

    secret: str
    session_token: str
    arn: str
    end: float


class Sts(Party):
    def __init__(self, issuer, lifetime):
        super().__init__(hosts=("sts.amazonaws.com", "sts.eu-central-1.amazonaws.com"))
        self.issuer = issuer
        self.lifetime = lifetime
        self.access_keys = {}

    def answer(self, request):
        form = request.form()
        try:
            match form.get("Action"):
                case "AssumeRoleWithWebIdentity":
                    return self.assume_role(form)
                case "GetCallerIdentity":
                    return self.caller_identity(request)
                case action:
                    raise Refused(400, "InvalidAction", f"Could not find operation {action}")
        except Refused as refused:
            return xml_answer(
                refused.status,
                "ErrorResponse",
                f"<Error><Type>Sender</Type><Code>{refused.code}</Code>"
                f"<Message>{escape(refused.message)}</Message></Error>",
            )

    def assume_role(self, form):
        check_parameters(form)
        claims = self.verified(form["WebIdentityToken"])
        role, session = form["RoleArn"], form["RoleSessionName"]
        # `StringLike`: both kinds of wildcards, and `*` passes over `:`.
        if not fnmatch.fnmatchcase(claims["sub"], ROLES.get(role, "")):
            raise Refused(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")

        seconds = min(int(form.get("DurationSeconds", 3600)), self.lifetime)
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role.rpartition('/')[2]}/{session}"
        key_id, key = self.issue(arn, seconds, prefix="ASIA")
        self.took("AssumeRoleWithWebIdentity", jti=claims["jti"], sub=claims["sub"], arn=arn)
        end = datetime.fromtimestamp(key.end, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        provider = self.issuer.url.partition("://")[2]
        return xml_result(
            "AssumeRoleWithWebIdentity",
            f"<SubjectFromWebIdentityToken>{escape(claims['sub'])}</SubjectFromWebIdentityToken>"
            f"<Audience>{escape(claims['aud'])}</Audience>"
            f"<AssumedRoleUser><Arn>{arn}</Arn><AssumedRoleId>AROATEST:{session}</AssumedRoleId></AssumedRoleUser>"
            f"<Credentials><AccessKeyId>{key_id}</AccessKeyId><SecretAccessKey>{key.secret}</SecretAccessKey>"
            f"<SessionToken>{key.session_token}</SessionToken><Expiration>{end}</Expiration></Credentials>"
            f"<Provider>arn:aws:iam::{ACCOUNT}:oidc-provider/{provider}</Provider>",
        )

    def verified(self, token):
        try:
            claims = self.issuer.verify(token, leeway=CLOCK_SKEW)
        except jwt.ExpiredSignatureError:
            message = (
                f"Token expired: current date/time {int(time.time())} must be before the expiration date/time"
            )
            raise Refused(400, "ExpiredTokenException", message) from None
        except jwt.InvalidIssuerError:
            message = "No OpenIDConnect provider found in your account for this issuer"
            raise Refused(400, "InvalidIdentityToken", message) from None
        except jwt.InvalidSignatureError:
            raise Refused(400, "InvalidIdentityToken", "Token signature invalid") from None
        except jwt.PyJWKClientError:
            message = "Couldn't retrieve verification key from your identity provider"
            raise Refused(400, "InvalidIdentityToken", message) from None
        except jwt.PyJWTError:
            message = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
            raise Refused(400, "InvalidIdentityToken", message) from None
        # The provider's list comes before any trust policy.
        if claims["aud"] not in CLIENT_IDS:
            raise Refused(400, "InvalidIdentityToken", "Incorrect token audience")
        return claims

    def issue(self, arn, seconds, prefix, session=True):
        key_id = prefix + secrets.token_hex(8).upper()
        session_token = secrets.token_urlsafe(24) if session else ""
        key = AccessKey(secrets.token_hex(20), session_token, arn, time.time() + seconds)
        self.access_keys[key_id] = key
        return key_id, key

    def caller_identity(self, request):
        signed = re.match(r"AWS4-HMAC-SHA256 Credential=(\w+)/", request.headers.get("Authorization", ""))
        key = self.access_keys.get(signed[1]) if signed else None
        if key is None or request.headers.get("X-Amz-Security-Token", "") != key.session_token:
            message = "The security token included in the request is invalid."
            raise Refused(403, "InvalidClientTokenId", message)
        if key.end < time.time():
            raise Refused(403, "ExpiredToken", "The security token included in the request is expired")
        self.took("GetCallerIdentity", arn=key.arn)
        return xml_result(
            "GetCallerIdentity",
            f"<Arn>{key.arn}</Arn><UserId>AROATEST</UserId><Account>{ACCOUNT}</Account>",
        )


def check_parameters(form):
    """The constraints of the API's model."""
    for name, pattern in {
        "RoleArn": r"arn:aws:iam::\d{12}:role/[\w+=,.@/-]+",
        "RoleSessionName": r"[\w+=,.@-]{2,64}",
        "WebIdentityToken": r".{4,20000}",
    }.items():
        if not re.fullmatch(pattern, form.get(name, ""), re.ASCII | re.DOTALL):
            message = (
                f"1 validation error detected: Value at '{name}' failed to satisfy constraint: {pattern}"
            )
            raise Refused(400, "ValidationError", message)
    if not 900 <= int(form.get("DurationSeconds", 3600)) <= 43200:
        raise Refused(400, "ValidationError", "DurationSeconds must be between 900 and 43200")
    if "ProviderId" in form:
        raise Refused(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")


def xml_result(action, content):
    return xml_answer(200, f"{action}Response", f"<{action}Result>{content}</{action}Result>")


def xml_answer(status, root, content):
    request_id = (
        "<ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ResponseMetadata>"
    )
    text = f'<{root} xmlns="{NAMESPACE}">{content}{request_id}</{root}>'
    return Answer(status, text.encode(), "text/xml")
