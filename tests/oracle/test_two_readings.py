"""The product's evaluator and the embedded control plane read Istio apart from one another: do they agree?

The second judges the first on real Envoys, so where both read a world alike, and where they do not one is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from hypothesis import given

from safeapply.istio.proxies import Labels, ProxyClass, Role
from safeapply.resources.objects import Namespace, Resource
from safeapply.sandbox.controlplane.snapshots import Snapshot
from safeapply.sandbox.controlplane.translation.configuration import Translation
from tests.oracle.defaults import mesh_configs
from tests.oracle.documents import resources
from tests.oracle.model import ROOT
from tests.oracle.profiles import chosen
from tests.oracle.readings import by_translation, by_view
from tests.oracle.references import Transition
from tests.oracle.scoped import CHOSEN, sidecars
from tests.oracle.worlds import CLIENTS, transitions


@chosen()
@given(transitions(), sidecars(), mesh_configs())
def test_view_says_what_the_control_plane_sends(
    transition: Transition, scopes: tuple[Resource, ...], config: tuple[Resource, ...]
) -> None:
    """Of any small world and MeshConfig, with Sidecars and without, to pods of every namespace."""
    for world in (transition.live, transition.desired):
        _check((*resources(world).values(), *scopes, *config))


def _check(objects: Iterable[Resource]) -> None:
    known = tuple(objects)
    mesh = Translation(Snapshot({one.id: one.document for one in known}))
    for space, labels in product((*CLIENTS, ROOT), ({}, CHOSEN)):
        proxy_class = ProxyClass(Role.SIDECAR, Namespace(space), Labels.of(labels))
        sent = by_translation(mesh.configuration("sidecar", space, labels))
        assert not by_view(known, proxy_class).unlike(sent), str(proxy_class)
