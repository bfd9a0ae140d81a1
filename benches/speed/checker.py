"""A caller that looks closely at what it is given while the server is under load: as a relying
party would, with a library that is not the server's."""

import http.client
import json
import threading
import time
from typing import Any

import jwt
from callers import AUDIENCE
from load import Request
from servers import Server

# A caller of another address than the load's has places of its own; and one beside the load.
ANOTHER, BESIDE = "127.0.0.2", "127.0.0.1"
PAUSE = 0.05


class Checker:
    """Asks for tokens, one after the other, until the load is over."""

    def __init__(self, server: Server, runs: list[Request]) -> None:
        self._server = server
        self._runs = runs
        self._keys = jwt.PyJWKSet.from_json(server.get("/.well-known/jwks")[2].decode())
        self._seen: set[str] = set()
        self._over = threading.Event()
        self._one = threading.Lock()
        self.minted = self.verified = self.refused = 0
        self.wrong: list[str] = []
        self._threads = [threading.Thread(target=self._ask, args=(address,))
                         for address in (ANOTHER, BESIDE)]

    def __enter__(self) -> "Checker":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, address: str) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            run = self._runs[number % len(self._runs)]
            try:
                answer = self._answer(address, run)
                with self._one:
                    self._look(*answer, run)
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(f"no answer: {error!r}")
            time.sleep(PAUSE)

    def _answer(self, address: str, run: Request) -> tuple[int, str | None, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=30,
                                                source_address=(address, 0))
        try:
            connection.request("GET", run.path, headers={"Authorization": f"Bearer {run.token}"})
            response = connection.getresponse()
            return response.status, response.getheader("Retry-After"), response.read()
        finally:
            connection.close()

    def _look(self, status: int, retry_after: str | None, body: bytes, run: Request) -> None:
        if status == 200:
            self.minted += 1
            wrong = self._fault_of(json.loads(body)["value"], run)
            if wrong is None:
                self.verified += 1
            else:
                self.wrong.append(wrong)
        elif status in (429, 503):
            self.refused += 1
            if not (retry_after or "").isdigit():
                self.wrong.append(f"{status} without Retry-After: {body[:200]!r}")
        else:
            self.wrong.append(f"{status}: {body[:200]!r}")

    def _fault_of(self, token: str, run: Request) -> str | None:
        try:
            kid = jwt.get_unverified_header(token)["kid"]
            claims: dict[str, Any] = jwt.decode(
                token, self._keys[kid], algorithms=["RS256", "ES256"], audience=AUDIENCE,
                issuer=self._server.issuer, options={"require": ["sub", "jti", "exp", "iat"]})
        except (jwt.PyJWTError, KeyError) as error:
            return f"a token does not verify: {error!r}"
        if claims["sub"] != run.subject:
            return f"a token of another subject: {claims['sub']!r}"
        if claims["jti"] in self._seen:
            return "a jti came twice"
        self._seen.add(claims["jti"])
        return None
