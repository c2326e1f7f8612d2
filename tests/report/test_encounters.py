"""What clients send and servers accept, as ``safeapply check --tls`` shows it."""

from __future__ import annotations

import json

from safeapply.checks.mutual_tls import encounters
from safeapply.checks.scene import Sight, scene_of
from safeapply.report.encounters import encounters_json, encounters_text
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Namespace

MESH = """
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: web, namespace: prod}
  spec: {selector: {app: web}, ports: [{port: 80}]}
- apiVersion: v1
  kind: Service
  metadata: {name: db, namespace: prod}
  spec: {selector: {app: db}, ports: [{port: 5432}]}
- apiVersion: v1
  kind: Service
  metadata: {name: old, namespace: prod}
  spec: {selector: {app: old}, ports: [{port: 80}]}
- apiVersion: v1
  kind: Service
  metadata: {name: shop, namespace: shop}
  spec: {ports: [{port: 80}]}
- apiVersion: security.istio.io/v1
  kind: PeerAuthentication
  metadata: {name: default, namespace: prod}
  spec: {mtls: {mode: STRICT}}
- apiVersion: security.istio.io/v1
  kind: PeerAuthentication
  metadata: {name: old, namespace: prod}
  spec: {selector: {matchLabels: {app: old}}, mtls: {mode: DISABLE}}
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {name: web, namespace: shop}
  spec: {host: web.prod.svc.cluster.local, trafficPolicy: {tls: {mode: DISABLE}}}
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {name: db, namespace: prod}
  spec: {host: db, trafficPolicy: {tls: {mode: DISABLE}}}
"""
TABLE = """\
HOST:PORT                        STATUS    SERVER   CLIENT          AUTHN POLICY  DESTINATION RULE
db.prod.svc.cluster.local:5432   CONFLICT  STRICT   plaintext       prod/default  prod/db
old.prod.svc.cluster.local:80    OK        DISABLE  plaintext       prod/old      -
web.prod.svc.cluster.local:80    MIXED     STRICT   mTLS,plaintext  prod/default  shop/web"""


def test_the_table_tells_who_refuses_whom() -> None:
    """All clients of one host, none of another, some of a third; a host that selects no pods is left out."""
    source = SourceText("mesh.yaml", MESH)
    mesh = {one.id: one for one in read_manifests((source,), default_namespace=Namespace("default"))}
    found = tuple(encounters(scene_of(mesh, Sight())))
    assert [line.split() for line in encounters_text(found).splitlines()] == [
        line.split() for line in TABLE.splitlines()
    ]
    told = json.loads(encounters_json(found))["ports"]
    assert [one["status"] for one in told] == ["CONFLICT", "OK", "MIXED"]
    assert told[2]["destinationRules"] == ["destinationrule.networking.istio.io/shop/web"]
    assert encounters_text(()) == ""
