"""``safeapply check``, and what ``plan`` and ``apply`` make of it: exit codes, forms, silence where all is well."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from safeapply.istio.kinds import DESTINATION_RULE, VIRTUAL_SERVICE
from tests.cli.clusters import Said, names, ran, safeapply
from tests.sandbox.apiserver.cluster import Cluster

MESH = """\
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example]}]
"""
GOOD = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop.example]
  gateways: [shop]
  http:
  - route:
    - destination: {host: reviews, subset: v1, port: {number: 9080}}
"""
MISBOUND = GOOD.replace("gateways: [shop]", "gateways: [store]")
"""No request fails that worked before, so the planner has nothing against it; and yet nobody gets an answer."""
OUTSIDE = GOOD.replace("shop.example", "store.example")
STRICT = """\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: all, namespace: default}
spec: {mtls: {mode: STRICT}}
"""
PLAIN = "host: reviews, trafficPolicy: {tls: {mode: DISABLE}}, subsets"
DANGLING = GOOD.replace("v1, port", "v2, port")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Hand over a server that holds the mesh."""
    with Cluster(tmp_path) as cluster:
        written(tmp_path / "mesh.yaml", MESH)
        done = safeapply(cluster, "apply", "-f", str(tmp_path / "mesh.yaml"), "--yes", "--soak", "0")
        assert done.code == 0, done.err
        yield cluster


def written(path: Path, *texts: str) -> str:
    """Write documents to a file and return its path."""
    path.write_text("---\n".join(map(dedent, texts)))
    return str(path)


def offline(tmp_path: Path, *words: str) -> Said:
    """Run the command where there is no cluster."""
    return ran(sys.executable, "-m", "safeapply", *words, kubeconfig=tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "options", "code"),
    [
        (GOOD, (), 0),
        (DANGLING, (), 4),
        (OUTSIDE, (), 0),
        (OUTSIDE, ("--fail-on", "warning"), 4),
        (GOOD, ("--fail-on", "warning"), 0),
        (DANGLING, ("--fail-on", "info"), 2),
    ],
)
def test_the_exit_code_says_what_was_found(tmp_path: Path, text: str, options: tuple[str, ...], code: int) -> None:
    """0 nothing, 4 an error, or what --fail-on names; 2 as elsewhere for what is no option."""
    path = written(tmp_path / "all.yaml", MESH, text)
    assert offline(tmp_path, "check", "-f", path, *options).code == code


def test_a_clean_directory_is_two_words(tmp_path: Path) -> None:
    """Nothing on standard error either."""
    path = written(tmp_path / "all.yaml", MESH, GOOD)
    assert offline(tmp_path, "check", "-f", path) == Said(0, "Nothing found.\n", "")


def test_broken_files_are_the_usual_error(tmp_path: Path) -> None:
    """Exit 1 with file and line, and nothing on standard output."""
    said = offline(tmp_path, "check", "-f", written(tmp_path / "all.yaml", "kind: {"))
    assert (said.code, said.out) == (1, "")
    assert "all.yaml:1: not YAML" in said.err


def test_files_are_checked_over_a_directory(tmp_path: Path) -> None:
    """What is wrong with the directory alone is left out, unless the files are to blame or about it."""
    live = tmp_path / "live"
    live.mkdir()
    broken = DANGLING.replace("name: shop,", "name: old,").replace("shop.example", "old.example")
    written(live / "mesh.yaml", MESH, broken, GOOD.replace("name: shop,", "name: kept,"))
    path = written(tmp_path / "new.yaml", GOOD)
    assert offline(tmp_path, "check", "-f", path, "--live", str(live)).code == 0
    assert "virtualservice default/old" in offline(tmp_path, "check", "--live", str(live)).out
    gone = written(tmp_path / "gone.yaml", MESH.replace("name: v1,", "name: v3,"))
    said = offline(tmp_path, "check", "-f", gone, "--live", str(live))
    assert "virtualservice default/old" not in said.out
    assert "virtualservice default/kept" in said.out


@pytest.mark.parametrize("form", ["json", "sarif", "junit"])
def test_every_form_names_file_and_line(tmp_path: Path, form: str) -> None:
    """And leaves standard error alone."""
    path = written(tmp_path / "all.yaml", MESH, DANGLING)
    said = offline(tmp_path, "check", "-f", path, "-o", form)
    line = (
        Path(path)
        .read_text()
        .splitlines()
        .index("    - destination: {host: reviews, subset: v2, port: {number: 9080}}")
    )
    assert said.code == 4
    assert said.err == ""
    assert "all.yaml" in said.out
    assert str(line + 1) in said.out


def test_a_cluster_is_checked_where_no_files_are_named(cluster: Cluster, tmp_path: Path) -> None:
    """The mesh is clean; a route that is written past the checks is found, in its namespace and no other."""
    assert safeapply(cluster, "check").out == "Nothing found.\n"
    path = written(tmp_path / "route.yaml", MISBOUND)
    done = safeapply(cluster, "apply", "-f", path, "--yes", "--skip-checks")
    assert done.code == 0, done.err
    said = safeapply(cluster, "check")
    assert said.code == 4
    assert said.out.startswith("error IST0101 virtualservice default/shop spec.gateways[0]\n")
    assert safeapply(cluster, "check", "-n", "other").code == 0


def test_files_are_checked_over_the_cluster(cluster: Cluster, tmp_path: Path) -> None:
    """Nothing is taken for granted there: a host that no file and no object declares is an error."""
    path = written(tmp_path / "route.yaml", GOOD)
    assert safeapply(cluster, "check", "-f", path, "--live", "cluster") == Said(0, "Nothing found.\n", "")
    path = written(tmp_path / "route.yaml", GOOD.replace("host: reviews, subset: v1", "host: revues"))
    assert "IST0101" in safeapply(cluster, "check", "-f", path, "--live", "cluster").out
    assert safeapply(cluster, "check", "-f", path).code == 0


def test_apply_refuses_what_would_be_broken_at_rest(cluster: Cluster, tmp_path: Path) -> None:
    """Exit 4, the finding with file and line, nothing written; so does plan, and --skip-checks goes ahead."""
    path = written(tmp_path / "route.yaml", MISBOUND)
    said = safeapply(cluster, "apply", "-f", path, "--yes")
    assert said.code == 4
    assert "Refused: requests would fail at rest" in said.err
    assert f"{path}:6: virtualservice.networking.istio.io/default/shop" in " ".join(said.err.split())
    assert routes(cluster) == []
    told = json.loads(safeapply(cluster, "plan", "-f", path, "-o", "json").out)
    assert ([one["code"] for one in told["refusals"]], told["steps"]) == (["IST0101"], [])
    assert safeapply(cluster, "apply", "-f", path, "--yes", "--skip-checks").code == 0
    assert routes(cluster) == ["shop"]


def test_apply_refuses_a_rule_that_servers_would_refuse(cluster: Cluster, tmp_path: Path) -> None:
    """Plaintext to a STRICT server: exit 4 with the request, and the rule is not written."""
    strict = written(tmp_path / "strict.yaml", STRICT)
    assert safeapply(cluster, "apply", "-f", strict, "--yes", "--soak", "0").code == 0
    before = cluster.do(lambda: cluster.store.list(DESTINATION_RULE))
    plain = written(tmp_path / "plain.yaml", MESH.replace("host: reviews, subsets", PLAIN))
    said = safeapply(cluster, "apply", "-f", plain, "--yes")
    assert said.code == 4, said.err
    assert "tls-conflict" in said.err
    assert "default/reviews" in said.err
    assert cluster.do(lambda: cluster.store.list(DESTINATION_RULE)) == before


@pytest.mark.parametrize(("text", "code"), [(MISBOUND, 4), (OUTSIDE, 4), (GOOD, 0)])
def test_warnings_count_on_a_cluster_where_that_is_asked_for(
    cluster: Cluster, tmp_path: Path, text: str, code: int
) -> None:
    """Files over the cluster, and the cluster alone."""
    path, strictly = written(tmp_path / "route.yaml", text), ("--fail-on", "warning")
    assert safeapply(cluster, "check", "-f", path, "--live", "cluster", *strictly).code == code
    assert safeapply(cluster, "apply", "-f", path, "--yes", "--skip-checks").code == 0
    assert safeapply(cluster, "check", *strictly).code == code


def test_a_mesh_that_is_broken_already_can_be_changed(cluster: Cluster, tmp_path: Path) -> None:
    """Only what a change adds is held against it: another route, and the broken one itself."""
    path = written(tmp_path / "route.yaml", MISBOUND)
    assert safeapply(cluster, "apply", "-f", path, "--yes", "--skip-checks").code == 0
    other = written(tmp_path / "other.yaml", GOOD.replace("name: shop,", "name: other,"))
    assert safeapply(cluster, "apply", "-f", other, "--yes").code == 0
    longer = written(tmp_path / "route.yaml", MISBOUND.replace("  - route:", "  - timeout: 5s\n    route:"))
    assert safeapply(cluster, "apply", "-f", longer, "--yes").code == 0


def test_warnings_are_shown_and_do_not_stop(cluster: Cluster, tmp_path: Path) -> None:
    """Five of them, and how many more; a clean change shows none."""
    several = [OUTSIDE.replace("name: shop,", f"name: shop-{one},") for one in range(7)]
    said = safeapply(cluster, "plan", "-f", written(tmp_path / "route.yaml", *several))
    assert said.code == 0
    assert said.out.count("[IST0132]") == 5
    assert "2 more warnings; `safeapply check` with the same files shows them [checks]" in said.out
    assert "Warnings" not in safeapply(cluster, "plan", "-f", written(tmp_path / "route.yaml", GOOD)).out


def test_a_saved_plan_keeps_what_was_said_about_it(cluster: Cluster, tmp_path: Path) -> None:
    """Its warnings are the same when it is made again without the files; leave to skip the checks is given anew."""
    plan = str(tmp_path / "plan.json")
    for text, options in ((OUTSIDE, ()), (MISBOUND, ("--skip-checks",))):
        path = written(tmp_path / "route.yaml", text)
        assert safeapply(cluster, "plan", "-f", path, "--out", plan, *options).code == 0
        done = safeapply(cluster, "apply", plan, "--yes", *options)
        assert done.code == 0, done.err


def routes(cluster: Cluster) -> list[str]:
    """Return the names of the VirtualServices."""
    return names(cluster.do(lambda: cluster.store.list(VIRTUAL_SERVICE)))


def test_the_table_of_tls_fails_where_some_are_refused(tmp_path: Path) -> None:
    """Exit 4 for a conflict, 0 where all get in; it is no list of findings."""
    head = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n"
    strict = head + "metadata: {name: all}\nspec: {mtls: {mode: STRICT}}\n"
    plain = MESH.replace("host: reviews, subsets", "host: reviews, trafficPolicy: {tls: {mode: DISABLE}}, subsets")
    refused = offline(tmp_path, "check", "--tls", "-f", written(tmp_path / "all.yaml", plain, strict))
    assert (refused.code, "CONFLICT" in refused.out) == (4, True), refused.all
    let_in = offline(tmp_path, "check", "--tls", "-f", written(tmp_path / "all.yaml", MESH, strict))
    assert (let_in.code, " OK " in let_in.out) == (0, True), let_in.all
    assert offline(tmp_path, "check", "--tls", "-o", "sarif", "-f", str(tmp_path / "all.yaml")).code == 2
