"""Several istiods in one mesh: each reads its configuration from its own cluster, and serves the proxies there."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from safeapply.errors import UsageError
from safeapply.istio.kinds import POD
from safeapply.istio.replicas import replica_of_pod
from safeapply.resources.objects import Namespace, Resource

__all__ = ["check_primaries"]


def check_primaries(objects: Iterable[Resource], root_namespace: Namespace, exclude: Collection[str]) -> None:
    """Return if no cluster but the first runs istiod, or if the proxies of each that does are said not to count.

    What is written to the first does not reach them, unless that istiod only injects and signs: which it is, the
    operator has to say, for nothing that an Envoy shows does.

    Raises:
        UsageError: another cluster runs istiod, and its proxies count.
    """
    pods = (one for one in objects if one.id.group_kind == POD and one.id.cluster)
    for replica in (replica_of_pod(one, root_namespace) for one in pods):
        if replica is not None and not any(_is_all_of(replica.cluster, pattern) for pattern in exclude):
            raise UsageError(
                f"--context {replica.cluster}: istiod runs there too ({replica.id}), and reads its configuration "
                "from its own cluster. Nothing was written; if it serves the proxies there, say --exclude "
                f"'{replica.cluster}/*/*', and then run the same with --context {replica.cluster} first"
            )


def _is_all_of(cluster: str, pattern: str) -> bool:
    context, _, all_pods = pattern.rpartition("/*/*")
    return not all_pods and bool(context) and fnmatchcase(cluster, context)
