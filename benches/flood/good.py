"""A good caller: asks for tokens one after the other on one connection, and says how long each took.

    good.py URL REQUEST_TOKEN COUNT      a run asks with its request token
"""

import http.client
import json
import sys
import time
from urllib.parse import urlsplit


def main() -> None:
    url, token, count = urlsplit(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
    path = f"{url.path}?{url.query}&audience=aws.workload.identity"
    headers = {"Authorization": f"Bearer {token}"}
    taken = []
    for _ in range(count):
        start = time.perf_counter()
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        body = response.read()
        taken.append((time.perf_counter() - start) * 1000)
        if response.status != 200:
            sys.exit(f"a good caller was answered {response.status}: {body[:200]!r}")
    taken.sort()

    def at(share: float) -> float:
        return taken[min(len(taken) - 1, int(len(taken) * share))]

    print(json.dumps({"count": count, "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": taken[-1]}))


main()
