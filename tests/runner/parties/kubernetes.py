"""A Kubernetes API server: who trusts the issuer by `AuthenticationConfiguration`, and has one namespace."""

import jwt

from . import WORKSPACE
from .web import Party, json_answer

AUDIENCE = "kubernetes.workload.identity"


class Kubernetes(Party):
    def __init__(self, issuer):
        super().__init__()
        self.issuer = issuer

    def answer(self, request):
        claims = self.authenticated(request.bearer())
        if claims is None:
            # Always these words: the reason stands in the server's own log.
            return status(401, "Unauthorized", "Unauthorized")
        answers = {
            "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.0"},
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
            "/api/v1": resources(),
            "/api/v1/namespaces": namespaces(),
        }
        if request.method != "GET" or request.path not in answers:
            return status(404, "NotFound", "the server could not find the requested resource")
        if request.path == "/api/v1/namespaces":
            self.took("namespaces", jti=claims["jti"], user=f"runmint:{claims['sub']}")
        return json_answer(200, answers[request.path])

    def authenticated(self, token):
        """The claims of a token that the authenticator takes. No leeway for its end."""
        try:
            claims = self.issuer.verify(token, leeway=0)
        except jwt.PyJWTError as error:
            print(
                f'Unable to authenticate the request err="[invalid bearer token, oidc: {error}]"', flush=True
            )
            return None
        trusted = claims["aud"] == AUDIENCE and claims["sub"].startswith(f"{WORKSPACE}:run_phase:")
        return claims if trusted else None


def resources():
    namespace = {
        "name": "namespaces",
        "singularName": "namespace",
        "namespaced": False,
        "kind": "Namespace",
        "verbs": ["get", "list"],
        "shortNames": ["ns"],
    }
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1", "resources": [namespace]}


def namespaces():
    metadata = {"name": "default", "uid": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    item = {"metadata": metadata, "spec": {}, "status": {"phase": "Active"}}
    return {
        "kind": "NamespaceList",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "1"},
        "items": [item],
    }


def status(code, reason, message):
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return json_answer(code, body | {"message": message, "reason": reason, "code": code})
