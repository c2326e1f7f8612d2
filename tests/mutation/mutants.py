"""One wrong line for each rule of the evaluator: the tests have to notice every one of them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CAUGHT", "MUTANTS", "Mutant"]

CAUGHT: dict[str, bool] = {}
"""By the rule that a mutant breaks: what this run has found."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A line of a module, and what it is replaced by."""

    rule: str
    """What Istio does, and where it is written."""
    module: str
    line: str
    """Stands in the module exactly once."""
    wrong: str


MUTANTS = (
    Mutant("2.1 a dotted name is taken to the letter", "hosts", 'if "." in name or', 'if "/" in name or'),
    Mutant(
        "2.4 a wildcard does not cover its own suffix",
        "hosts",
        "host.endswith(pattern[1:])",
        "host.endswith(pattern[2:])",
    ),
    Mutant("2.4 exact goes before wildcards", "hosts", "(is_wild(pattern), -len(pattern)", "(0, len(pattern)"),
    Mutant("2.4 the longest wildcard wins", "hosts", "(is_wild(pattern), -len(pattern)", "(is_wild(pattern), 0"),
    Mutant("4.7 no exportTo is everywhere", "visibility", 'named is None or "*"', 'named is not None and "*"'),
    Mutant("3.5 the mesh's default hides a rule", "declarations", "hidden=named is None and self", "hidden=self"),
    Mutant(
        "3.5 an ignored namespace is not read", "declarations", "namespace in mesh.ignored", "name in mesh.ignored"
    ),
    Mutant("3.5 any selector chooses", "mesh_settings", "or any(selects(", "or all(selects("),
    Mutant("3.5 a rule's default knows a dot alone", "mesh_settings", 'private_rules="." in', "private_rules=bool"),
    Mutant(
        "4.7 the mesh's default stands for no exportTo",
        "visibility",
        'spec.get("exportTo") or unsaid',
        'spec.get("exportTo") or ()',
    ),
    Mutant("5.16 a dot is the own namespace", "visibility", "and viewer == owner", "and viewer != owner"),
    Mutant(
        "3.1 the client's namespace is asked first",
        "subsets",
        "yield _nearest(own, service.host)",
        "yield []",
    ),
    Mutant(
        "3.1 the service's namespace before the root",
        "subsets",
        "for owner in (service.namespace, mesh.root_namespace):",
        "for owner in (mesh.root_namespace, service.namespace):",
    ),
    Mutant(
        "3.1 only three namespaces are asked",
        "subsets",
        "if rule.id.namespace == owner and not rule.private]",
        "if not rule.private]",
    ),
    Mutant(
        "3.2 visibility comes after merging",
        "subsets",
        "for one in _nearest(exported, service.host) if _is_seen(one, client)]",
        "for one in _nearest([r for r in exported if client in (r.export_to or {client})], service.host)]",
    ),
    Mutant(
        "3.3 the older rule's subset stays", "subsets", "if s.name not in self.names", "if s.name in self.names"
    ),
    Mutant(
        "3.3 the oldest is merged first", "subsets", "(rule.selector is None, rule.age)", "(rule.selector is None,)"
    ),
    Mutant("3.3 merging wants a superset of exportTo", "subsets", "return newer >= older", "return newer <= older"),
    Mutant(
        "3.3 the last that is compared decides", "subsets", "apart = not joins or", "apart = apart and not joins or"
    ),
    Mutant("3.3 absent is not a star", "subsets", "return newer == older", "return True"),
    Mutant("3.3 the newest that was not merged wins", "subsets", "in reversed(merged)", "in iter(merged)"),
    Mutant("3.6 DNS clusters need an endpoint", "subsets", "return any(wanted <=", "return True or any(wanted <="),
    Mutant("3.6 istiod labels endpoints, too", "subsets", "return key.startswith(_AUGMENTED)", "return False"),
    Mutant("3.6 without endpoints the host is one", "declarations", "or ({},)", "or ()"),
    Mutant("3.6 only DNS asks for endpoints itself", "declarations", "not in _DNS or", "in _DNS or"),
    Mutant("3.4 a selector has to match", "subsets", "if rule.selector is not None and proxy", "if True or proxy"),
    Mutant(
        "3.4 a place whose selectors leave a pod out has answered",
        "subsets",
        "        if merged:\n",
        "        if merged and _choose(merged, proxy_class):\n",
    ),
    Mutant("1.1 every port has every subset", "view", 'for subset in ("", *(', "for subset in (*("),
    Mutant(
        "1.2 a port that is given counts",
        "routes",
        "if destination.port is None and by_called_port",
        "if by_called_port",
    ),
    Mutant(
        "1.2 a sidecar takes the called port",
        "routes",
        "is Traffic.HTTP and proxy_class.role is not Role.GATEWAY",
        "is Traffic.HTTP and proxy_class.role is Role.GATEWAY",
    ),
    Mutant(
        "1.3 weight 0 among several is dropped", "virtual_services", "        if weight:\n", "        if True:\n"
    ),
    Mutant("1.3 a lone one counts at any weight", "virtual_services", "if len(routes) > 1 else", "if True else"),
    Mutant("1.3 a mirror is soft", "routes", "(d, False) for d in rule.mirrors", "(d, True) for d in rule.mirrors"),
    Mutant("2.5 an unknown host is on port 80 alone", "listeners", "ports.add(PLAIN_PORT)", "ports.add(9080)"),
    Mutant(
        "2.5 without a service on port 80 nobody listens there",
        "listeners",
        "return bool(snapshot.index.plain)",
        "return True",
    ),
    Mutant("4 nothing follows what lets all through", "routes", "if entry.rule.traffic not in ended:", "if True:"),
    Mutant(
        "2.6 the client's namespace wins a host", "registry", "(s.namespace != space,", "(s.namespace == space,"
    ),
    Mutant(
        "2.6 a Service wins over an entry", "registry", "s.id.group_kind != SERVICE", "s.id.group_kind == SERVICE"
    ),
    Mutant(
        "4.1 gateways merge, so each route shows", "places", "if gateway.name in version.gateways:", "if False:"
    ),
    Mutant(
        "4.2 the oldest wins on sidecars",
        "listeners",
        "_rank(rival, space) < _rank(route, space)",
        "_rank(rival, space) > _rank(route, space)",
    ),
    Mutant(
        "2.5 an unknown host goes with the hosts beside it",
        "listeners",
        "if one.port.http and _is_owner(",
        "if False and _is_owner(",
    ),
    Mutant(
        "2.4 the nearest wildcard wins, however young",
        "listeners",
        "return most_specific([own, other], listener.host) == other",
        "return _rank(rival, space) < _rank(route, space)",
    ),
    Mutant(
        "2.4 a wildcard has one owner, whether its rules apply or not",
        "listeners",
        "taken = is_wild(own) or any(",
        "taken = any(",
    ),
    Mutant("4.2 private goes before public", "visibility", "return 0 if not named", "return 3 if not named"),
    Mutant("4.2 private is what its own namespace sees", "visibility", "and owner == viewer else 1", "else 1"),
    Mutant("4.3 a host outside the server's is not served", "places", "if common is not None:", "if True:"),
    Mutant(
        "4.4 a rule for other gateways is not ours", "listeners", "bool(match.gateways & listener", "bool(listener"
    ),
    Mutant(
        "4.5 sourceLabels are the pod's", "listeners", "labels.match(dict(match.source_labels))", "labels.match({})"
    ),
    Mutant(
        "4.5 sourceNamespace is the pod's",
        "listeners",
        "match.source_namespace != proxy",
        "match.source_namespace == proxy",
    ),
    Mutant("4.6 a delegate fits in its root", "delegation", "if not _conflict(root, leaf)]", "]"),
    Mutant("4.6 each match has to fit", "delegation", "if all(fitting) else", "if any(fitting) else"),
    Mutant("4.6 a path inside the root's", "delegation", "not leaf.value.startswith(root.value)", "False"),
    Mutant("4.6 a root's namespace is repeated", "delegation", "bool(root.source_namespace) and", "False and"),
    Mutant("4.6 case counts alike", "delegation", "root.any_case is not leaf.any_case", "False"),
    Mutant("4.6 a delegate has no hosts", "routes", "        and not version.hosts\n", ""),
    Mutant(
        "4.6 a delegate has to be visible to its root",
        "routes",
        "viewer=route.id.namespace",
        "viewer=delegate.namespace",
    ),
    Mutant("9.1 a scope lets in what it names", "scopes", "covers(pattern, service.host) for", "True for"),
    Mutant("9.1 a dot is the viewer's namespace", "scopes", 'space == "." and owner == viewer', 'space == "."'),
    Mutant(
        "9.1 a selecting Sidecar comes first",
        "scopes",
        "for selecting in (True, False) if",
        "for selecting in (False, True) if",
    ),
    Mutant(
        "9.1 routes import their destinations",
        "scopes",
        "return max(found, default=Certainty.NEVER)",
        "return Certainty.NEVER",
    ),
    Mutant(
        "9.1 a gateway's routes import nothing",
        "scopes",
        "return MESH in route.gateways and visible",
        "return visible",
    ),
    Mutant(
        "9.1 what only a route names is not called",
        "listeners",
        "called_options(snapshot, proxy_class, name))",
        "service_options(snapshot, proxy_class, name))",
    ),
    Mutant(
        "9.1 routes for other namespaces import nothing", "scopes", "if not sources or space in sources", "if True"
    ),
    Mutant(
        "9.1 a host can be left out",
        "scopes",
        "and not _excludes(scope, service.namespace",
        "and not (False and _excludes)(scope, service.namespace",
    ),
    Mutant(
        "9.1 a route can be left out",
        "scopes",
        "is not None and not _excludes(scope, owner",
        "is not None or (scope, owner",
    ),
    Mutant("9.1 an import is trimmed to the port", "scopes", "d.port in {None, port}", "d.port in {None, d.port}"),
    Mutant("9.3 weight 0 imports", "scopes", "yield from rule.named", "yield from rule.destinations"),
    Mutant("9.1 a gateway has no scope", "scopes", "is not Role.SIDECAR or", "is Role.SIDECAR or"),
    Mutant("6.1 the oldest of a level", "authentication", "return min(policies, key", "return max(policies, key"),
    Mutant(
        "6.1 the namespace after the mesh",
        "authentication",
        "fromkeys((root, namespace))",
        "fromkeys((namespace, root))",
    ),
    Mutant("6.1 UNSET inherits", "authentication", "return wider if mode is Mode.UNSET else", "return"),
    Mutant(
        "6.1 ports by the workload's port",
        "handshakes",
        "return int(port.target) if is_port(port.target)",
        "return 0 if is_port(port.target)",
    ),
    Mutant("6.1 a selector has to match", "authentication", "and server.labels.match(", "or server.labels.match("),
    Mutant("6.1 no selector in the root", "authentication", "== server.namespace != root", "== server.namespace"),
    Mutant("6.2 a pod without the injector's mark", "calling", "elif not to.server.marked:", "elif False:"),
    Mutant("6.2 a namespace of DISABLE", "calling", "if whole.mode is Mode.DISABLE:", "if False:"),
    Mutant(
        "6.2 a workload of DISABLE",
        "calling",
        "Sent.PLAINTEXT if accepted.mode is",
        "Sent.MTLS if accepted.mode is",
    ),
    Mutant("6.2 headless: all pods or none", "calling", "all(one.marked for one", "any(not one.marked for one"),
    Mutant(
        "6.3 the port's settings hide the rule's",
        "tls",
        "return own if own is not None or",
        "return own if False or",
    ),
    Mutant("6.3 not from the endpoints", "tls", "number == port and m is not None", "number == port"),
    Mutant("6.4 plaintext to STRICT", "tls", "Mode.STRICT: {Sent.PLAINTEXT, ", "Mode.STRICT: {"),
    Mutant("1.2 an alias has no clusters", "view", "or service.alias is not None", "or service.alias == host"),
    Mutant("1.2 an alias is its target", "routes", "return service.alias or host, only", "return host, only"),
    Mutant(
        "1.2 an alias is known by its ports",
        "routes",
        "(not by_called_port or s.port(listener.port.number))",
        "True",
    ),
    Mutant("6.7 waypoints", "handshakes", "if one.role is Role.WAYPOINT:", "if False:"),
    Mutant(
        "1.3 of a split only a share fails",
        "virtual_services",
        "yield replace(destination, share=(passed / total, (passed + weight) / total))",
        "yield destination",
    ),
    Mutant(
        "what will fail is not promised",
        "fates",
        "failing = (*before.failing, *after.failing)",
        "failing = before.failing",
    ),
    Mutant("4.4 there is a default route", "fates", "if _by_default(views", "if not _by_default(views"),
    Mutant(
        "4 the first rule for a match takes it",
        "fates",
        "entry.takes_all or text in entry.texts",
        "entry.takes_all",
    ),
    Mutant("4.1 one route of a gateway is no 404", "fates", "and one.role is not Role.GATEWAY and", "and"),
    Mutant("matches may overlap", "fates", "return not begins and not begun", "return True"),
)
