"""The table of proxies."""

from __future__ import annotations

import json

from safeapply.istio.proxies import Labels, Proxy, ProxyId, Role
from safeapply.istio.replicas import Census, Connected, Hearing, Replica
from safeapply.report.roll import roll_json, roll_notes, roll_text
from safeapply.resources.objects import Namespace

ROOT = Namespace("istio-system")


def sidecar(name: str, *, ready: bool = True) -> Proxy:
    """Return a sidecar in namespace default."""
    return Proxy(
        Namespace("default"), name, name, Role.SIDECAR, Labels(), ready=ready, version="1.24.1", node="node-1"
    )


def hearing(name: str, *proxies: Connected, silence: str = "") -> Hearing:
    """Return what a replica said."""
    return Hearing(Replica(ROOT, name, name, "default"), proxies, silence)


def said(name: str, *unconfirmed: str, **rejected: str) -> Connected:
    """Return what istiod says of a proxy."""
    return Connected(ProxyId(f"{name}.default"), "1.24.0", unconfirmed, rejected)


CENSUS = Census(
    (sidecar("a"), sidecar("b"), sidecar("c", ready=False)),
    (hearing("istiod-0", said("a"), said("b", "CDS", "RDS", RDS="duplicate domain")), hearing("istiod-1")),
)


def test_each_proxy_has_a_line() -> None:
    """What the proxy told istiod of its version counts more than the tag of an image."""
    assert (
        roll_text(CENSUS)
        == """\
NAME       ROLE     STATE     VERSION  REVISION  NODE    ISTIOD                 XDS
a.default  sidecar  ready     1.24.0   -         node-1  istiod-0.istio-system  confirmed
b.default  sidecar  ready     1.24.0   -         node-1  istiod-0.istio-system  RDS rejected, CDS unconfirmed
c.default  sidecar  starting  1.24.1   -         node-1  -                      not connected"""
    )


def test_a_refusal_is_told_in_envoys_words() -> None:
    """They are too long for the table."""
    assert roll_notes(CENSUS, None, ROOT) == ("b.default rejected RDS: duplicate domain",)


def test_a_silent_replica_makes_connections_unknown() -> None:
    """Who is not seen may be connected to the one that could not be asked."""
    census = Census((sidecar("a"),), (hearing("istiod-0"), hearing("istiod-1", silence="no answer within 10 s")))
    assert roll_text(census).endswith("unknown")
    (note,) = roll_notes(census, None, ROOT)
    assert note.startswith("istiod-1.istio-system could not be asked (no answer within 10 s), so what it says")
    assert json.loads(roll_json(census))["proxies"][0]["connected"] is None


def test_a_mesh_without_istiod_is_said() -> None:
    """The table is there all the same."""
    census = Census((sidecar("a"),), ())
    assert "a.default" in roll_text(census)
    assert "no pod labelled app=istiod runs in istio-system" in roll_notes(census, None, ROOT)[0]


def test_one_namespace_can_be_asked_for() -> None:
    """Where nothing runs, a sentence says so and no headings stand alone."""
    assert roll_text(CENSUS, Namespace("shop")) == ""
    assert roll_notes(CENSUS, Namespace("shop"), ROOT) == ("no proxy runs in shop",)


def test_json_has_the_same_facts() -> None:
    """For scripts: what is not known is null."""
    document = json.loads(roll_json(CENSUS))
    assert [one["connected"] for one in document["proxies"]] == [True, True, False]
    assert document["proxies"][1]["rejected"] == {"RDS": "duplicate domain"}
    assert document["istiods"][0] == {
        "name": "istiod-0.istio-system", "revision": "default", "reached": True, "proxies": 2,
    }  # fmt: skip
