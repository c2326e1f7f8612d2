"""References that lead nowhere: the request that follows one answers 503 NC, and nothing retries it (ISTIO.md 4.8).

Asked class by class: what one client's namespace has, another's may have lost to a DestinationRule of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from safeapply.checks import catalogue
from safeapply.checks.findings import Finding, Severity
from safeapply.checks.requests import called, listed, named, who
from safeapply.checks.scene import Scene
from safeapply.istio.kinds import SERVICE, Subset
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.registry import is_declared, service_options
from safeapply.istio.revisions import REVISION
from safeapply.istio.routes import Reference
from safeapply.istio.subsets import has_cluster, rules_in_path
from safeapply.resources.objects import FieldPath, ResourceId
from safeapply.xds.names import parse_cluster

__all__ = ["dangling", "doubtful"]


@dataclass(frozen=True, slots=True)
class _Cause:
    """Why a cluster is missing, in the words of a finding."""

    code: str
    field: str
    """The field of the destination that is to blame."""
    what: str
    """What is not there; also tells this from other findings of the field."""
    remedy: str
    sure: bool = True
    """False where it may well be there, outside the files that were looked at."""


def dangling(scene: Scene) -> Iterator[Finding]:
    """Yield one finding for each destination and reason, with all classes of proxies that it fails for."""
    found: dict[tuple[ResourceId, FieldPath, _Cause], dict[ProxyClass, Reference]] = defaultdict(dict)
    for part in scene.localities():
        for one, crowd in part.crowds.items():
            for reference in scene.views.of(one, part.routes).dangling():
                if _is_called(scene, one, reference):
                    cause = _cause(scene, one, reference)
                    key = (reference.chain[-1], reference.path, cause)
                    found[key].update(dict.fromkeys(crowd, reference))
    for (owner, path, cause), classes in found.items():
        yield _finding(scene, owner, path, cause, classes)


def doubtful(scene: Scene) -> Iterator[Finding]:
    """Yield destinations that no file declares, although the files declare other Services of their namespace."""
    index = scene.snapshot.index
    spaces = {one.namespace for one in scene.resources if one.group_kind == SERVICE}
    hosts = {host for host, ids in index.registry.items() if scene.assumed.issuperset(ids)}
    for host in hosts:
        if any(one.group_kind == SERVICE and one.namespace in spaces for one in index.registry[host]):
            for owner in index.referring.get(host, ()):
                yield _doubt(scene, owner, host)


def _doubt(scene: Scene, owner: ResourceId, host: str) -> Finding:
    route = scene.route(owner)
    rules = route.rules if route else ()
    meaning = {host, *(alias for alias, targets in scene.snapshot.index.aliases.items() if host in targets)}
    path = next(d.path for rule in rules for d in (*rule.destinations, *rule.mirrors) if d.host in meaning)
    return Finding(
        code=catalogue.NOT_FOUND,
        severity=Severity.WARNING,
        object=owner,
        field=FieldPath(f"{path}.host"),
        effect=f"Requests that take this route answer 503 NC unless the cluster has {host}: "
        "no file declares it, though others of its namespace are declared.",
        remedy="Declare it, correct the name, or check against the cluster with --live cluster.",
        about=f"host {host}",
    )


def _is_called(scene: Scene, one: ProxyClass, reference: Reference) -> bool:
    """Tell whether a request can follow a reference: nobody calls a host that exists and is hidden from him."""
    if one.role is Role.GATEWAY or reference.domain is None:
        return True
    visible = any(service_options(scene.snapshot, one, reference.domain))
    return visible or not any(scene.services(reference.domain))


def _finding(
    scene: Scene,
    owner: ResourceId,
    path: FieldPath,
    cause: _Cause,
    classes: Mapping[ProxyClass, Reference],
) -> Finding:
    reference = min(classes.values(), key=lambda one: (one.port, str(one)))
    requests = called(scene, reference)
    if not reference.hard:
        effect = f"The copies of {requests} are lost, and no caller notices: {cause.what}."
    elif reference.domain is None:
        effect = f"{_upper(requests)} are reset (NC): {cause.what}."
    else:
        effect = f"{_upper(requests)} answer 503 NC: {cause.what}."
    return Finding(
        code=cause.code,
        severity=Severity.ERROR if reference.hard and cause.sure else Severity.WARNING,
        object=owner,
        field=FieldPath(f"{path}.{cause.field}" if cause.field else path),
        effect=effect,
        remedy=cause.remedy,
        about=f"{cause.what}, named by {reference.host} {reference.subset}",
        proxies=who(classes),
    )


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _cause(scene: Scene, one: ProxyClass, reference: Reference) -> _Cause:
    service = next(iter(service_options(scene.snapshot, one, reference.host)), None)
    if service is None:
        return (
            _hidden_host(scene, one, reference)
            if any(scene.services(reference.host))
            else _no_host(scene, reference)
        )
    cluster = parse_cluster(reference.cluster)
    number = cluster.port if cluster else 0
    if service.port(number) is None:
        ports = ", ".join(str(port.number) for port in service.ports) or "none"
        return _no_port(reference, number, ports, said=_says_port(scene, reference))
    return _no_subset(scene, one, reference)


def _no_host(scene: Scene, reference: Reference) -> _Cause:
    full = scene.meant(reference.host)
    if full:
        return _Cause(
            catalogue.NOT_FOUND,
            "host",
            f"{reference.host} is nothing, because a name with a dot in it is taken to the letter",
            f"Write {full}.",
        )
    return _Cause(
        catalogue.NOT_FOUND,
        "host",
        f"no Service or ServiceEntry declares {reference.host}",
        "Declare the host, or correct the name.",
    )


def _hidden_host(scene: Scene, one: ProxyClass, reference: Reference) -> _Cause:
    owners = listed([named(service.id) for service in scene.services(reference.host)])
    if not is_declared(scene.snapshot.seen_by(one.revision), reference.host):
        return _Cause(
            catalogue.HOST_HIDDEN,
            "host",
            f"{owners} bears the {REVISION} of another revision than these proxies'",
            f"Take the label {REVISION} away there, or declare the host for every revision that gets this route.",
        )
    return _Cause(
        catalogue.HOST_HIDDEN,
        "host",
        f"{owners} is not exported to these proxies, or their Sidecar leaves it out",
        "Export the host to their namespaces, or add it to the egress hosts of their Sidecar.",
    )


def _no_port(reference: Reference, number: int, ports: str, *, said: bool) -> _Cause:
    if said:
        return _Cause(
            catalogue.NOT_FOUND,
            "port",
            f"{reference.host} has no port {number}",
            f"Name one of its ports: {ports}.",
        )
    return _Cause(
        catalogue.PORT_REQUIRED,
        "",
        f"the route names no port, so Envoy takes the {number} that was called, which {reference.host} has not",
        f"Name one of its ports in the destination: {ports}.",
    )


def _no_subset(scene: Scene, one: ProxyClass, reference: Reference) -> _Cause:
    index = scene.snapshot.index
    rules = [rule for rule in index.rules_for(reference.host) if _has(scene, rule, reference.subset)]
    if not rules:
        return _undefined_subset(scene, reference)
    own = scene.snapshot.seen_by(one.revision)
    unread = [rule for rule in rules if own.rule_versions(rule) == (None,)]
    if len(unread) == len(rules):
        return _unread_subset(reference, unread)
    rules = [rule for rule in rules if rule not in unread]
    return _empty_subset(scene, one, reference, rules) or _hidden_subset(scene, one, reference, rules)


def _empty_subset(scene: Scene, one: ProxyClass, reference: Reference, having: list[ResourceId]) -> _Cause | None:
    """Return the cause where DNS has no endpoint for any definition of a subset (ISTIO.md 3.6)."""
    service = next(iter(service_options(scene.snapshot, one, reference.host)), None)
    if service is None or any(has_cluster(service, each) for each in _defined(scene, having, reference.subset)):
        return None
    entry = named(service.id)
    return _Cause(
        catalogue.SUBSET_WITHOUT_PODS,
        "subset",
        f"no endpoint of {entry} has the labels of subset {reference.subset}, and where DNS finds endpoints a "
        "subset without any has no cluster",
        f"Add such an endpoint to {entry} first, or correct the labels.",
    )


def _undefined_subset(scene: Scene, reference: Reference) -> _Cause:
    index = scene.snapshot.index
    first = next(iter(index.rules.get(reference.host, ())), None)
    add = f"Add it to {named(first)}" if first else "Add a DestinationRule with it"
    what = f"no DestinationRule defines subset {reference.subset} of {reference.host}"
    # Files that hold neither the host nor a rule for it are not all there is.
    if first is None and scene.assumed.issuperset(index.registry.get(reference.host, ())):
        return _Cause(
            catalogue.NOT_FOUND,
            "subset",
            f"in these files {what}",
            f"{add}, or check against the cluster with --live cluster.",
            sure=False,
        )
    return _Cause(catalogue.NOT_FOUND, "subset", what, f"{add}, or correct the name.")


def _unread_subset(reference: Reference, rules: list[ResourceId]) -> _Cause:
    """Return the cause where only istiods of other revisions read the rules (istio ``LabelsInRevision``)."""
    return _Cause(
        catalogue.SUBSET_HIDDEN,
        "subset",
        f"{listed([named(rule) for rule in rules])} defines subset {reference.subset}, but bears the {REVISION} of "
        "another revision than these clients'",
        f"Take the label {REVISION} away there, or define the subset for every revision that gets this route.",
    )


def _hidden_subset(scene: Scene, one: ProxyClass, reference: Reference, having: list[ResourceId]) -> _Cause:
    service = next(iter(service_options(scene.snapshot, one, reference.host)), None)
    asked = rules_in_path(scene.snapshot, one, service) if service else ()
    lacking = [rule for rule in asked if rule not in having]
    has = listed([named(rule) for rule in having])
    if lacking:
        lack = listed([named(rule) for rule in lacking])
        what = f"{has} defines subset {reference.subset}, but {lack} decides for these clients and does not"
        return _Cause(
            catalogue.SUBSET_HIDDEN,
            "subset",
            what,
            f"Define subset {reference.subset} in {lack}, too, or remove it.",
        )
    what = f"{has} defines subset {reference.subset}, but is not looked up by these clients"
    return _Cause(
        catalogue.SUBSET_HIDDEN,
        "subset",
        what,
        "Define it in the namespace of the host and export it: only the client's, the host's and the root "
        "namespace are asked.",
    )


def _has(scene: Scene, rule: ResourceId, subset: str) -> bool:
    return any(_defined(scene, (rule,), subset))


def _defined(scene: Scene, rules: Iterable[ResourceId], subset: str) -> Iterator[Subset]:
    versions = (version for rule in rules for version in scene.snapshot.rule_versions(rule) if version)
    return (one for version in versions for one in version.subsets if one.name == subset)


def _says_port(scene: Scene, reference: Reference) -> bool:
    route = scene.route(reference.chain[-1])
    named_ = (d for rule in route.rules for d in (*rule.destinations, *rule.mirrors)) if route else ()
    return any(d.path == reference.path and d.port is not None for d in named_)
