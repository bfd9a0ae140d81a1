"""Microsoft Entra: its metadata, and tokens for federated credentials and for client secrets."""

import re
import secrets
from dataclasses import dataclass

import jwt

from . import OTHER_WORKSPACE, WORKSPACE, trusted_subjects
from .web import Party, json_answer

HOST = "login.microsoftonline.com"
TENANT = "11111111-2222-3333-4444-555555555555"
AUDIENCE = "api://AzureADTokenExchange"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# It is said to be five minutes.
CLOCK_SKEW = 300

# Federated credentials: a subject each, exact; a pair of them for plan and apply.
CREDENTIALS = {
    "aaaaaaaa-0000-0000-0000-000000000001": [
        trusted_subjects(WORKSPACE, "plan"),
        trusted_subjects(WORKSPACE, "apply"),
    ],
    "aaaaaaaa-0000-0000-0000-000000000002": [trusted_subjects(OTHER_WORKSPACE, "plan")],
}


@dataclass
class Refused(Exception):
    code: int
    message: str
    status: int = 401


class Entra(Party):
    def __init__(self, issuer):
        super().__init__(hosts=(HOST,))
        self.issuer = issuer
        # By client id; Vault's Azure engine makes and deletes them.
        self.client_secrets = {}

    def answer(self, request):
        try:
            match request.method, request.path.strip("/").split("/"):
                case "GET", ["common", "discovery", "instance"]:
                    return instance_metadata()
                case "GET", [tenant, "v2.0", ".well-known", "openid-configuration"]:
                    check_tenant(tenant)
                    return tenant_metadata()
                case "POST", [tenant, "oauth2", "v2.0", "token"]:
                    check_tenant(tenant)
                    return self.token(request.form())
        except Refused as refused:
            error = {
                "error": "invalid_client",
                "error_description": f"AADSTS{refused.code}: {refused.message}",
                "error_codes": [refused.code],
            }
            return json_answer(refused.status, error)
        return json_answer(404, {"error": "not_found"})

    def token(self, form):
        if form.get("grant_type") != "client_credentials" or not form.get("scope", "").endswith("/.default"):
            raise Refused(900144, "The request body must contain grant_type and a scope /.default", 400)
        client_id = form.get("client_id", "")
        if "client_secret" in form:
            if self.client_secrets.get(client_id) != form["client_secret"]:
                raise Refused(7000215, "Invalid client secret provided.")
            self.took("client secret", client_id=client_id)
        elif form.get("client_assertion_type") == ASSERTION_TYPE:
            claims = self.verified(form.get("client_assertion", ""))
            check_credential(client_id, claims)
            self.took("client assertion", client_id=client_id, jti=claims["jti"], sub=claims["sub"])
        else:
            raise Refused(7000218, "The request body must contain client_assertion or client_secret")
        token = {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599}
        return json_answer(200, token | {"access_token": secrets.token_urlsafe(24)})

    def verified(self, assertion):
        try:
            return self.issuer.verify(assertion, leeway=CLOCK_SKEW, algorithms=["RS256"])
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
            raise Refused(700024, "Client assertion is not within its valid time range.") from None
        except jwt.InvalidIssuerError:
            raise Refused(700211, "No matching federated identity record found for the issuer") from None
        except jwt.InvalidSignatureError:
            raise Refused(
                7000274, "Key was found, but use of the key to verify the signature failed."
            ) from None
        except jwt.PyJWKClientError:
            message = "The certificate used to sign the federated credential could not be found"
            raise Refused(7000272, message) from None
        except jwt.PyJWTError:
            raise Refused(50027, "JWT token is invalid or malformed.") from None


def check_credential(client_id, claims):
    if client_id not in CREDENTIALS:
        raise Refused(
            700016, f"Application with identifier '{client_id}' was not found in the directory", 400
        )
    none = "No matching federated identity record found for presented assertion"
    if claims["aud"] != AUDIENCE:
        raise Refused(700212, f"{none} audience '{claims['aud']}'.")
    if claims["sub"] not in CREDENTIALS[client_id]:
        raise Refused(700213, f"{none} subject '{claims['sub']}'.")


def check_tenant(tenant):
    if tenant != TENANT:
        raise Refused(90002, f"Tenant '{re.sub('[^0-9a-z-]', '', tenant)}' not found.", 400)


def instance_metadata():
    return json_answer(
        200,
        {
            "tenant_discovery_endpoint": f"https://{HOST}/{TENANT}/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [
                {"preferred_network": HOST, "preferred_cache": HOST, "aliases": [HOST]},
            ],
        },
    )


def tenant_metadata():
    base = f"https://{HOST}/{TENANT}"
    return json_answer(
        200,
        {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "response_types_supported": ["code", "id_token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
        },
    )
