"""google-auth by its default chain: lists the buckets of a project. With `--renewed FILE`, once more with
the renewed token of that file."""

import sys

import google.auth
from google.auth.transport.requests import AuthorizedSession
from party import used_again_after_renewal

credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
session = AuthorizedSession(credentials)


def buckets():
    answer = session.get("https://storage.googleapis.com/storage/v1/b", params={"project": "acme"})
    answer.raise_for_status()
    return answer.json()["items"]


print(*(bucket["name"] for bucket in buckets()))
if "--renewed" in sys.argv:
    # An access token ends when the runner's token does, at the latest.
    used_again_after_renewal(buckets, sys.argv[2], "google", "token exchange")
