"""Google: the Security Token Service, service account impersonation, a service account's own key, and
pages of two services that want to see an access token."""

import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timezone

import jwt

from . import OTHER_WORKSPACE, WORKSPACE
from .web import Party, json_answer

POOL = "//iam.googleapis.com/projects/1234567890/locations/global/workloadIdentityPools/runs/providers"
# The providers' attribute conditions: `assertion.sub.startsWith(…)`.
CONDITIONS = {
    f"{POOL}/runmint": f"{WORKSPACE}:run_phase:",
    f"{POOL}/other": f"{OTHER_WORKSPACE}:run_phase:",
}
SERVICE_ACCOUNT = "net@acme.iam.gserviceaccount.com"
TOKEN_URL = "https://oauth2.googleapis.com/token"

CLOCK_SKEW = 60
MAX_SUBJECT = 127

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"
ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"


@dataclass
class AccessToken:
    """`principal` is a member of the pool (federated) or a service account; `end` in seconds since 1970."""

    principal: str
    federated: bool
    end: float
    jti: str


class Refused(Exception):
    def __init__(self, error, description):
        super().__init__(description)
        self.error, self.description = error, description


class Google(Party):
    def __init__(self, issuer, lifetime):
        super().__init__(
            hosts=(
                "sts.googleapis.com",
                "iamcredentials.googleapis.com",
                "oauth2.googleapis.com",
                "cloudresourcemanager.googleapis.com",
                "storage.googleapis.com",
            )
        )
        self.issuer = issuer
        self.lifetime = lifetime
        self.access_tokens = {}
        # The public keys of the service account, by key id; Vault's GCP engine makes them.
        self.service_account_keys = {}

    def answer(self, request):
        try:
            match request.method, request.path:
                case "POST", "/v1/token":
                    return self.exchange(request.form())
                case "POST", "/token":
                    return self.log_in_with_key(request.form())
                case "POST", path if path.endswith(":generateAccessToken"):
                    return self.impersonate(path, request)
                # google-auth asks, to know the project's id.
                case "GET", "/v1/projects/1234567890" if self.holder(request):
                    return json_answer(200, {"projectId": "acme", "projectNumber": "1234567890"})
                case "GET", "/storage/v1/b":
                    return self.buckets(request)
        except Refused as refused:
            return json_answer(400, {"error": refused.error, "error_description": refused.description})
        return api_error(404, "NOT_FOUND", "Requested entity was not found.")

    def exchange(self, form):
        for name, value in {"grant_type": TOKEN_EXCHANGE, "subject_token_type": JWT_TYPE}.items():
            if form.get(name) != value:
                raise Refused("invalid_request", f"Invalid value for {name}")
        provider = form.get("audience", "")
        if provider not in CONDITIONS:
            raise Refused(
                "invalid_target", 'The target service indicated by the "audience" parameters is invalid.'
            )
        claims = self.verified(form.get("subject_token", ""))
        # No allowed audiences: the provider's name, with or without `https:`.
        if claims["aud"] not in (provider, f"https:{provider}"):
            message = (
                f"The audience in ID Token [{claims['aud']}] does not match the expected audience {provider}."
            )
            raise Refused("invalid_grant", message)
        if not claims["sub"].startswith(CONDITIONS[provider]):
            message = "The given credential is rejected by the attribute condition."
            raise Refused("unauthorized_client", message)
        if len(claims["sub"].encode()) > MAX_SUBJECT:
            message = "The size of mapped attribute google.subject exceeds the 127 bytes limit."
            raise Refused("invalid_request", message)
        seconds = int(min(claims["exp"] - time.time(), 3600))
        self.took("token exchange", jti=claims["jti"], sub=claims["sub"])
        token = self.issue(AccessToken(claims["sub"], True, time.time() + seconds, claims["jti"]))
        return json_answer(
            200,
            {
                "access_token": token,
                "issued_token_type": ACCESS_TOKEN_TYPE,
                "token_type": "Bearer",
                "expires_in": seconds,
            },
        )

    def verified(self, token):
        try:
            return self.issuer.verify(token, leeway=CLOCK_SKEW)
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
            raise Refused("invalid_grant", "ID Token is stale to sign-in.") from None
        except jwt.InvalidIssuerError:
            message = f"The issuer in ID Token does not match the expected ones: {self.issuer.url}"
            raise Refused("invalid_grant", message) from None
        except jwt.InvalidSignatureError:
            raise Refused("invalid_grant", "Unable to verify the ID Token signature.") from None
        except jwt.PyJWKClientError:
            raise Refused("invalid_grant", "Error connecting to the given credential's issuer.") from None
        except jwt.PyJWTError:
            raise Refused("invalid_request", "Invalid JWT.") from None

    def impersonate(self, path, request):
        holder = self.holder(request)
        if holder is None or not holder.federated:
            return unauthenticated()
        # The pool's subjects may act as one account.
        if path != f"/v1/projects/-/serviceAccounts/{SERVICE_ACCOUNT}:generateAccessToken":
            message = (
                "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."
            )
            return api_error(403, "PERMISSION_DENIED", message)
        if not request.json().get("scope"):
            return api_error(400, "INVALID_ARGUMENT", "Request contains an invalid argument.")
        seconds = int(request.json().get("lifetime", "3600s").removesuffix("s"))
        end = time.time() + min(seconds, self.lifetime)
        self.took("generateAccessToken", jti=holder.jti)
        token = self.issue(AccessToken(SERVICE_ACCOUNT, False, end, holder.jti))
        expire_time = datetime.fromtimestamp(end, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return json_answer(200, {"accessToken": token, "expireTime": expire_time})

    def log_in_with_key(self, form):
        """A service account with a key of its own: RFC 7523."""
        assertion = form.get("assertion", "")
        try:
            key = self.service_account_keys.get(jwt.get_unverified_header(assertion).get("kid"))
            if form.get("grant_type") != JWT_BEARER or key is None:
                raise Refused("invalid_grant", "Invalid JWT Signature.")
            claims = jwt.decode(
                assertion, key, algorithms=["RS256"], audience=TOKEN_URL, issuer=SERVICE_ACCOUNT
            )
        except jwt.PyJWTError:
            raise Refused("invalid_grant", "Invalid JWT Signature.") from None
        self.took("service account key", account=claims["iss"])
        token = self.issue(AccessToken(SERVICE_ACCOUNT, False, time.time() + 3600, ""))
        return json_answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600})

    def buckets(self, request):
        holder = self.holder(request)
        if holder is None:
            return unauthenticated()
        self.took("buckets", principal=holder.principal, jti=holder.jti)
        return json_answer(200, {"kind": "storage#buckets", "items": [{"name": "net-state"}]})

    def issue(self, access_token):
        token = "ya29." + secrets.token_urlsafe(24)
        self.access_tokens[token] = access_token
        return token

    def holder(self, request):
        found = self.access_tokens.get(request.bearer())
        return found if found and found.end > time.time() else None


def unauthenticated():
    return api_error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")


def api_error(status, name, message):
    return json_answer(status, {"error": {"code": status, "message": message, "status": name}})
