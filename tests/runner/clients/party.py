"""What the clients' scripts share: what a relying party has taken, and waiting for a renewed token."""

import base64
import json
import os
import ssl
import sys
import time
import urllib.request
from pathlib import Path

with open(os.environ["TEST_PARTIES"], encoding="utf-8") as file:
    URLS = json.load(file)

# Longer than the tests' tokens live, on a machine with other things to do.
PATIENCE = 90


def taken(party, what):
    """What `party` has accepted so far, oldest first."""
    trust = ssl.create_default_context(cafile=os.environ["TEST_CA"])
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
    )
    with opener.open(f"{URLS[party]}/record", timeout=10) as answer:
        return [entry for entry in json.load(answer) if entry["what"] == what]


def jti(token):
    """The id of a token, which here need not be verified."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"]


def used_again_after_renewal(use, token_file, party, what):
    """Uses the token, waits for another one in its file, uses that: the party must have seen both."""
    token_file = Path(token_file)
    use()
    first = taken(party, what)[-1]["jti"]
    wait_until(lambda: jti(token_file.read_text()) != first, f"no other token appeared in {token_file}")
    use()
    second = taken(party, what)[-1]["jti"]
    check(second != first, f"{party} was shown the first token again")


def wait_until(condition, otherwise):
    end = time.monotonic() + PATIENCE
    while not condition():
        check(time.monotonic() < end, otherwise)
        time.sleep(0.2)


def check(condition, message):
    if not condition:
        sys.exit(f"FAILED: {message}")
