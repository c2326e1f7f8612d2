"""How a scenario is played against a server, whichever it is, and what of its answers is compared.

What no two servers can have in common (uids, versions, times, drawn addresses and names) is replaced by words that
keep what clients read out of it: whether two of them are the same.
"""

from __future__ import annotations

import http.client
import json
import re
import secrets
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from string import Template
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from tests.conformance.scenario import Scenario, Step

__all__ = ["Answer", "Server", "play"]

PATIENCE: Final = 30.0
PAUSE: Final = 0.05
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
ADDRESS: Final = re.compile(r"\b10\.96\.\d+\.\d+\b")
AGE: Final = re.compile(r"\d+m?s")
UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
VERSION: Final = re.compile(r"((?:[Rr]esource ?[Vv]ersion(?: in (?:object meta|precondition))?|current): )\d+")
DOCUMENT: Final = re.compile(
    r'(Invalid value: ")\{.*\}(": )(?=json: |strict |no kind|converting|parsing)', re.DOTALL
)
"""A document in a message, which has versions and times in it."""
RECORD: Final = re.compile(
    r"(the ResourceVersion in the precondition \(\d+\) does not match .*? in record )\(\d+\)"
)
TOO_OLD: Final = re.compile(r"(too old resource version: )\d+ \(\d+\)")
DRAWN: Final = 5
"""Letters that the server adds to a ``generateName``."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where requests go, and as whom."""

    url: str
    token: str = "admin"
    tls: ssl.SSLContext | None = None
    compact: Callable[[], None] = lambda: None
    """Forgets the past; one that does so by itself needs only to be waited for."""

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection of its own."""
        netloc = urlsplit(self.url).netloc
        if self.tls is None:
            return http.client.HTTPConnection(netloc, timeout=PATIENCE)
        return http.client.HTTPSConnection(netloc, timeout=PATIENCE, context=self.tls)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said to one step, without what no two servers have in common."""

    line: str
    code: int
    body: Any

    @property
    def as_data(self) -> Mapping[str, Any]:
        """Return what is recorded."""
        return {"request": self.line, "code": self.code, "body": self.body}


def play(scenario: Scenario, server: Server) -> tuple[Answer, ...]:
    """Send the requests of a scenario, and return the answers."""
    game = _Game(scenario, server)
    game.prepare()
    return tuple(game.take(step) for step in scenario.steps)


@dataclass
class _Game:
    scenario: Scenario
    server: Server
    kept: dict[str, str] = field(default_factory=dict)
    namespace: str = field(default_factory=lambda: f"conformance-{secrets.token_hex(4)}")
    drawn: set[str] = field(default_factory=set)
    """What names are drawn for, as the requests say it."""
    words: dict[str, dict[str, str]] = field(default_factory=lambda: {"uid": {}, "version": {}})

    def prepare(self) -> None:
        """Create the namespace, with what has to be in it for any Pod to be let in."""
        self.kept["ns"] = self.namespace
        line = "POST namespaces"
        code, _ = self._sent(Step(line, {"metadata": {"name": self.namespace}}))
        assert code == 201, (code, self.scenario.title)

    def take(self, step: Step) -> Answer:
        """Send one request, again and again if it waits for something."""
        if step.method == "COMPACT":
            self.server.compact()
            return Answer(step.line, 0, None)
        deadline = time.monotonic() + PATIENCE
        while True:
            code, body = self._watched(step) if step.method == "WATCH" else self._sent(step)
            if all(_at(body, path) == value for path, value in step.until.items()):
                break
            assert time.monotonic() < deadline, (self.scenario.title, step.line, code, body)
            time.sleep(PAUSE)
        for name, path in step.keep.items():
            self.kept[name] = str(_at(body, path))
        if not step.only:
            return Answer(step.line, code, self._plain(body, None))
        parts = {path: _at(body, path) for path in step.only}
        return Answer(step.line, code, {path: self._plain(part, _name_at(path)) for path, part in parts.items()})

    def _sent(self, step: Step) -> tuple[int, Any]:
        connection = self.server.connect()
        try:
            self._request(connection, step, step.method)
            answer = connection.getresponse()
            return answer.status, _read(answer.read())
        finally:
            connection.close()

    def _watched(self, step: Step) -> tuple[int, Any]:
        connection = self.server.connect()
        try:
            self._request(connection, step, "GET")
            answer = connection.getresponse()
            if answer.status != 200:
                return answer.status, _read(answer.read())
            return answer.status, list(_lines(answer, step.events))
        finally:
            connection.close()

    def _request(self, connection: http.client.HTTPConnection, step: Step, method: str) -> None:
        path = self._filled(step.path)
        headers = {"Authorization": f"Bearer {self.server.token}", "User-Agent": "conformance/1"}
        document = self._filled_in(step.document)
        if isinstance(document, dict) and (drawn := (document.get("metadata") or {}).get("generateName")):
            self.drawn.add(drawn)
        body = None
        if document is not None:
            headers["Content-Type"] = step.content_type
            body = _written(document, step.form)
        said = {name: self._filled(value) for name, value in step.headers.items()}
        connection.request(method, path, body, headers | said)

    def _filled(self, text: str) -> str:
        return Template(text).safe_substitute(self.kept)

    def _filled_in(self, value: Any) -> Any:
        match value:
            case str():
                return self._filled(value)
            case dict():
                return {self._filled(name): self._filled_in(child) for name, child in value.items()}
            case list():
                return [self._filled_in(child) for child in value]
            case _:
                return value

    def _plain(self, value: Any, name: str | None) -> Any:
        """Return a value without what no two servers have in common."""
        match value:
            case dict():
                return {
                    self._plain_text(key, None): self._plain(child, key) for key, child in _tidied(value).items()
                }
            case list() if name == "groups" and all(isinstance(one, str) for one in value):
                return sorted(self._plain(child, None) for child in value)
            case list() if name == "managedFields":
                return sorted((self._plain(child, None) for child in value), key=_written_by)
            case list():
                return [self._plain(child, name) for child in value]
            case str():
                return self._plain_text(value, name)
            case _:
                return value

    def _plain_text(self, text: str, name: str | None) -> str:
        match name:
            case "resourceVersion" if text:
                return self._word("version", text)
            case "continue" if text:
                return "<continue>"
            case "cells" if AGE.fullmatch(text):
                return "<age>"
            case _:
                text = UUID.sub(lambda found: self._word("uid", found[0]), text)
        for drawn in self.drawn:
            text = re.sub(re.escape(drawn) + f"[a-z0-9]{{{DRAWN}}}", drawn + "<drawn>", text)
        text = RECORD.sub(r"\1(<version>)", DOCUMENT.sub(r"\1<document>\2", text))
        text = ADDRESS.sub("<address>", TIME.sub("<time>", text))
        text = VERSION.sub(r"\1<version>", TOO_OLD.sub(r"\1<version> (<version>)", text))
        return text.replace(self.namespace, "${ns}")

    def _word(self, of: str, text: str) -> str:
        known = self.words[of]
        return known.setdefault(text, f"<{of} {len(known) + 1}>")


def _tidied(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a document less the versions of whole collections, which other writes move on, and with an order."""
    tidy = dict(document)
    if isinstance(causes := (document.get("details") or {}).get("causes"), list):
        tidy |= _in_order(tidy, causes)
    if document.get("type") == "BOOKMARK":
        marked = document["object"]
        tidy["object"] = {**marked, "metadata": {**marked["metadata"], "resourceVersion": ""}}
    if document.get("continue") == "":
        del tidy["continue"]  # lists of custom objects end in an empty one, others in none
    if isinstance(resources := document.get("resources"), list) and "groupVersion" in document:
        # The real server lists them in no order.
        tidy["resources"] = sorted(resources, key=lambda one: one["name"])
    if isinstance(tidy.get("metadata"), dict) and ("items" in tidy or "rows" in tidy):
        tidy["metadata"] = {**tidy["metadata"], "resourceVersion": ""}
    return tidy


def _in_order(status: Mapping[str, Any], causes: list[dict[str, str]]) -> Mapping[str, Any]:
    """Return a refusal with each cause once and in order.

    The real server looks at metadata several times and says each fault as often, and at maps in no order.
    """
    once = [one for at, one in enumerate(causes) if one not in causes[:at]]
    once.sort(key=lambda cause: (cause["field"], cause["message"]))
    head, sign, _ = status["message"].partition(" is invalid: [")
    said = ", ".join(f"{cause['field']}: {cause['message']}" for cause in once)
    message = f"{head}{sign}{said}]" if sign else status["message"]
    return {"message": message, "details": {**status["details"], "causes": once}}


def _name_at(path: str) -> str | None:
    """Return the name of the field that a path leads to."""
    return next((part for part in reversed(path.split(".")) if part != "*" and not part.isdecimal()), None)


def _written_by(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(entry.get(key, "")) for key in ("operation", "manager", "apiVersion", "subresource"))


def _written(document: Any, form: str) -> bytes:
    if isinstance(document, str):
        return document.encode()
    return (yaml.safe_dump(document) if form == "yaml" else json.dumps(document)).encode()


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def _lines(answer: http.client.HTTPResponse, count: int) -> Iterator[Any]:
    while count > 0 and (line := answer.readline()):
        yield json.loads(line)
        count -= 1


def _at(value: Any, path: str) -> Any:
    """Return what is at a path: names and places in lists, with dots between; ``*`` for every item."""
    for at, part in enumerate(parts := path.split(".")):
        if part == "*" and isinstance(value, list):
            rest = ".".join(parts[at + 1 :])
            return [_at(item, rest) if rest else item for item in value]
        if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict):
            value = value.get(part)
        else:
            return None
    return value
