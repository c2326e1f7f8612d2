"""Numbers that YAML knows and nobody means, in every place of a manifest: planned with, or refused in sentences."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.fuzz.edits import _places as places
from tests.fuzz.test_manifests import seeds, survives

HOLE = "HOLE-IN-THE-MANIFEST"
NUMBERS = {
    "400 digits": "1" * 400,
    "5,000 digits": "-" + "9" * 5000,
    "hexadecimal": "0x1F90",
    "hexadecimal text": '"0x1F90"',
    "300 hexadecimal digits": "0x" + "f" * 300,
    "octal": "0o17",
    "octal text": '"0o17"',
    "beyond 64 bits": "0xFFFFFFFFFFFFFFFFF",
    "superscript": '"²"',
    "digits of another script": '"٨٠٨٠"',
}
MORE = b"""\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: ports}
spec: {selector: {matchLabels: {app: reviews}}, portLevelMtls: {"9080": {mode: DISABLE}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ports}
spec: {host: reviews, trafficPolicy: {portLevelSettings: [{port: {number: 9080}, tls: {mode: DISABLE}}]}}
---
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080, targetPort: 9080}]}
"""


def holed(document: Any) -> Iterator[str]:
    """Yield the document as often as it has values and keys, each time with a hole in place of another one."""
    for index in range(len(list(places(document)))):
        for keys in (False, True):
            edited = copy.deepcopy(document)
            holder, key = list(places(edited))[index]
            if keys and isinstance(holder, dict):
                holder[HOLE] = holder.pop(key)
            elif not keys:
                holder[key] = HOLE
            yield yaml.safe_dump(edited)


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
def test_a_number_in_any_place_is_no_traceback(number: str) -> None:
    """Also as a key, and as a text that a number is read from later."""
    for text in (*seeds()[:1], seeds()[-1], MORE):
        for document in yaml.safe_load_all(text):
            for edited in holed(document):
                survives(edited.replace(HOLE, number).encode())
