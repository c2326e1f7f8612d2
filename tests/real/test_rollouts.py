"""The promise on a real control plane: no request is lost, and the mesh is as desired in the end."""

from __future__ import annotations

import itertools
import signal
import statistics
from pathlib import Path

import pytest
import yaml

from tests.real.changes import CHANGES, Change, laid_out, parsed, route, rule, servers, written
from tests.real.controlplane import until
from tests.real.mesh import SYSTEM, ended
from tests.real.places import EXAMPLES, Place, deployment, documents, service
from tests.real.record import LINES

NUMBERED = sorted(path.parent for path in EXAMPLES.glob("0*/desired"))
RENAME = CHANGES["rename a subset"]


def arguments(change: Change, directory: Path) -> tuple[str, ...]:
    """Return what safeapply is told to carry a change out."""
    files = ("-f", str(directory), "--yes")
    if not change.prune:
        return ("apply", *files)
    return ("apply", *files, "--prune", "-l", "set=own") if change.desired else ("delete", *files)


@pytest.mark.parametrize("example", NUMBERED, ids=lambda path: path.name)
def test_no_example_loses_a_request(place: Place, example: Path) -> None:
    """Every request that is served before and after is served in between, and nothing is left to do."""
    live = documents(example / "live")
    hosts = [one["metadata"]["name"] for one in live if one["kind"] == "Service"]
    place.live(live)
    with place.load(*hosts) as load:
        result = place.safeapply("apply", "-f", str(example / "desired"), "--yes")
    assert result.code == 0, result.err + result.out
    assert load.counts.failed == 0, load.counts
    again = place.safeapply("apply", "-f", str(example / "desired"), "--yes")
    assert "configured" not in again.out, again.out
    LINES.append(f"{example.name}: {load.counts.requests} requests, {load.counts.failed} failed")


@pytest.mark.parametrize("what", CHANGES)
def test_no_change_loses_a_request(place: Place, tmp_path: Path, what: str) -> None:
    """Each kind of object, one after the other: 0 failed, exit 0."""
    change = CHANGES[what]
    directory = laid_out(place, change, tmp_path)
    if not change.desired:
        (directory / "desired.yaml").write_text(change.live)
    with place.load(*change.asked) as load:
        result = place.safeapply(*arguments(change, directory))
    assert result.code == 0, result.err + result.out
    assert load.counts.failed == 0, load.counts
    LINES.append(f"{what}: {load.counts.requests} requests, {load.counts.failed} failed")


def test_a_rollback_leads_back_without_a_lost_request(place: Place, tmp_path: Path) -> None:
    """The record of a good rollout is taken by the API server, and leads back to what was there."""
    directory = laid_out(place, RENAME, tmp_path)
    before = place.get("destinationrule", "reviews")["spec"]
    with place.load("reviews") as load:
        there = place.safeapply("apply", "-f", str(directory), "--yes")
        assert there.code == 0, there.err
        back = ended(place.mesh.command("rollback", "--yes"))
    assert back.code == 0, back.err
    assert load.counts.failed == 0, load.counts
    assert place.get("destinationrule", "reviews")["spec"] == before
    LINES.append(f"rollback: {load.counts.requests} requests, {load.counts.failed} failed")


def test_a_rollout_that_cannot_end_goes_back(place: Place, tmp_path: Path) -> None:
    """The new version's pods do not get ready in time: what was written is taken back, its Deployment, too."""
    place.live([service("reviews"), deployment("reviews", "v1", port=9080), *parsed(RENAME.live)])
    directory = written(with_its_pods("v2", seconds=300), tmp_path)
    with place.load("reviews") as load:
        result = place.safeapply(
            *("apply", "-f", str(directory), "--yes", "--barrier-timeout", "5s", "--on-timeout=rollback")
        )
    assert result.code == 3, result.err
    assert load.counts.failed == 0, load.counts
    assert [one["name"] for one in place.get("destinationrule", "reviews")["spec"]["subsets"]] == ["v1"]
    assert {one["metadata"]["name"] for one in place.get("deployments")["items"]} == {"client", "reviews-v1"}
    LINES.append(f"--on-timeout=rollback: {load.counts.requests} requests, {load.counts.failed} failed")


def with_its_pods(version: str, *, seconds: int) -> str:
    """Return a version of the reviews with all that belongs to it; its pods are ready after some seconds."""
    probe = {"tcpSocket": {"port": 9080}, "initialDelaySeconds": seconds, "periodSeconds": 1}
    pods = yaml.safe_dump(dict(deployment("reviews", version, port=9080, readinessProbe=probe)))
    return f"{rule('reviews', version)}{route('reviews', (version, 100))}\n{pods}"


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "SIGKILL"])
def test_a_run_that_is_ended_is_run_again(place: Place, tmp_path: Path, sign: signal.Signals) -> None:
    """After its first write, in the middle of a rename: no request is lost, and the same command goes on."""
    directory = laid_out(place, RENAME, tmp_path)
    command = ("apply", "-f", str(directory), "--yes")
    with place.load("reviews") as load:
        first = place.started(*command)
        until(lambda: len(place.get("destinationrule", "reviews")["spec"]["subsets"]) == 2, "the first write")
        first.send_signal(sign)
        out, err = first.communicate(timeout=30)
        assert "Traceback" not in err, err
        assert first.returncode == (130 if sign == signal.SIGINT else -sign), out + err
        again = place.safeapply(*command)
    assert again.code == 0, again.err
    assert load.counts.failed == 0, load.counts
    assert [one["name"] for one in place.get("destinationrule", "reviews")["spec"]["subsets"]] == ["stable-v1"]
    LINES.append(f"{sign.name} and again: {load.counts.requests} requests, {load.counts.failed} failed")


def test_a_replica_of_istiod_may_restart_in_the_middle(place: Place, tmp_path: Path) -> None:
    """Its proxies go to the other one and come back: the rollout waits for them, and loses nothing."""
    directory = laid_out(place, RENAME, tmp_path)
    with place.load("reviews") as load:
        rollout = place.started("apply", "-f", str(directory), "--yes", "--soak", "3s")
        until(lambda: len(place.get("destinationrule", "reviews")["spec"]["subsets"]) == 2, "the first write")
        pod = place.mesh.get("pods", namespace=SYSTEM)["items"][0]["metadata"]["name"]
        place.mesh.kubectl(
            "delete", "pod", pod, "--namespace", SYSTEM, "--grace-period=0", "--force", "--wait=false"
        )
        result = ended(rollout)
    place.mesh.all_ready(SYSTEM)
    assert result.code == 0, result.err
    assert load.counts.failed == 0, load.counts
    LINES.append(f"istiod restarted: {load.counts.requests} requests, {load.counts.failed} failed")


def test_an_envoy_may_restart_in_the_middle(place: Place, tmp_path: Path) -> None:
    """A client's Envoy that is killed loses its own requests alone, and the rollout waits until it is back."""
    directory = laid_out(place, RENAME, tmp_path)
    victim, witness = place.pods("client")
    probes = [one for one in place.probes("reviews") if one.client.endswith(witness)]
    with place.mesh.load(probes) as load:
        rollout = place.started("apply", "-f", str(directory), "--yes", "--soak", "3s")
        until(lambda: len(place.get("destinationrule", "reviews")["spec"]["subsets"]) == 2, "the first write")
        place.mesh.restart_envoy(place.name, victim)
        result = ended(rollout)
    assert result.code == 0, result.err
    assert load.counts.failed == 0, load.counts
    LINES.append(f"an Envoy restarted: {load.counts.requests} requests, {load.counts.failed} failed")


def test_foreign_writes_do_not_matter(place: Place, tmp_path: Path) -> None:
    """200 objects of others change again and again meanwhile, as a GitOps controller's do."""
    directory = laid_out(place, RENAME, tmp_path)
    place.kubectl("apply", "--server-side", "-f", "-", given=foreign("1s"))
    seconds = itertools.cycle(("2s", "1s"))
    with place.load("reviews") as load:
        rollout = place.started("apply", "-f", str(directory), "--yes")
        while rollout.poll() is None:
            place.kubectl("apply", "--server-side", "-f", "-", given=foreign(next(seconds)))
        result = ended(rollout)
    assert result.code == 0, result.err
    assert load.counts.failed == 0, load.counts
    LINES.append(f"200 foreign objects: {load.counts.requests} requests, {load.counts.failed} failed")


def foreign(timeout: str) -> str:
    """Return 200 VirtualServices that have nothing to do with anything."""
    return "---".join(
        f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: foreign-{number}}}
spec:
  hosts: [foreign-{number}.example.test]
  http: [{{timeout: {timeout}, route: [{{destination: {{host: reviews}}}}]}}]
"""
        for number in range(200)
    )


def test_what_istiod_refuses_is_refused_before_the_first_write(place: Place, tmp_path: Path) -> None:
    """Istio's webhook judges the dry run: nothing is written, and its words are shown with the file."""
    place.live([*servers(RENAME), *parsed(RENAME.live)])
    bad = RENAME.desired.replace("weight: 100", "weight: 100, headers: {request: {set: {'': x}}}")
    assert bad != RENAME.desired
    before = place.get("destinationrule", "reviews")["metadata"]["resourceVersion"]
    result = place.safeapply("apply", "-f", str(written(bad, tmp_path)), "--yes")
    assert result.code == 1, result.err
    assert "virtualservice" in result.err.lower(), result.err
    assert place.get("destinationrule", "reviews")["metadata"]["resourceVersion"] == before


def test_what_the_crd_refuses_is_refused_before_the_first_write(place: Place, tmp_path: Path) -> None:
    """A field of a wrong type, which no webhook is asked about."""
    place.live([*servers(RENAME), *parsed(RENAME.live)])
    bad = RENAME.desired.replace("weight: 100", "weight: much")
    before = place.get("destinationrule", "reviews")["metadata"]["resourceVersion"]
    result = place.safeapply("apply", "-f", str(written(bad, tmp_path)), "--yes")
    assert result.code == 1, result.err
    assert "weight" in result.err, result.err
    assert place.get("destinationrule", "reviews")["metadata"]["resourceVersion"] == before


def test_a_gateway_takes_part(place: Place, tmp_path: Path) -> None:
    """A request from outside, through a gateway's Envoy, while the subset behind it is renamed."""
    gateway = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: entry}
spec:
  selector: {app: entry}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["reviews.example.test"]}]
---"""
    outside = "hosts: [reviews.example.test]\n  gateways: [entry]"
    live, desired = (text.replace("hosts: [reviews]", outside) + gateway for text in (RENAME.live, RENAME.desired))
    router = deployment("entry", sidecar=False)
    router["spec"]["template"]["spec"]["containers"] = [
        {"name": "istio-proxy", "image": "istio/proxyv2", "args": ["proxy", "router"]}
    ]
    place.live([*servers(RENAME), service("entry", port=8080), router, *parsed(live)])
    probes = place.outside("entry", 8080, "reviews.example.test")
    with place.mesh.load(probes) as load:
        result = place.safeapply("apply", "-f", str(written(desired, tmp_path)), "--yes")
    assert result.code == 0, result.err
    assert load.counts.failed == 0, load.counts
    LINES.append(f"through a gateway: {load.counts.requests} requests, {load.counts.failed} failed")


def test_a_new_version_comes_with_its_pods(place: Place, tmp_path: Path) -> None:
    """The route moves only when the Deployment of the same files is rolled out, its slow start included."""
    place.live([service("reviews"), deployment("reviews", "v1", port=9080), *parsed(RENAME.live)])
    directory = written(with_its_pods("v2", seconds=2), tmp_path)
    with place.load("reviews") as load:
        result = place.safeapply("apply", "-f", str(directory), "--yes")
    assert result.code == 0, result.err
    assert load.counts.failed == 0, load.counts
    LINES.append(f"a new version with its pods: {load.counts.requests} requests, {load.counts.failed} failed")


def test_kubectl_loses_requests_where_safeapply_loses_none(place: Place, tmp_path: Path) -> None:
    """The same rename, there and back, ten times: what the tests above would see if there were a loss."""
    laid_out(place, RENAME, tmp_path)
    texts = (RENAME.desired, RENAME.live)
    lost = []
    for number in range(10):
        with place.load("reviews", rate=400.0) as load:
            place.kubectl("apply", "-f", "-", given=texts[number % 2])
        lost.append(load.counts.failed)
    LINES.append(
        f"kubectl apply, the same rename 10 times: {statistics.median(lost)} failed (median), "
        f"{min(lost)} to {max(lost)}"
    )
    assert max(lost) > 0, "the load does not see what kubectl loses"


def test_what_status_says_is_what_istiod_and_the_envoys_say(place: Place) -> None:
    """Every proxy of istiod's own list, connected to the replica that says so."""
    place.live([*servers(RENAME), *parsed(RENAME.live)])
    shown = yaml.safe_load(place.safeapply("status", "-o", "json").out)
    names = {pod["metadata"]["name"] for pod in place.get("pods")["items"]}
    assert {one["name"] for one in shown["proxies"]} == names
    assert {one["state"] for one in shown["proxies"]} == {"ready"}


def test_wait_ends_when_the_envoys_show_it(place: Place) -> None:
    """``wait`` after kubectl: the subset is there for every client, then it is gone."""
    place.live([*servers(RENAME), *parsed(RENAME.live)])
    place.kubectl("apply", "-f", "-", given=rule("reviews", "v1", "v2"))
    added = place.safeapply("wait", "--for=subset=reviews/v2", "--timeout", "30s")
    assert added.code == 0, added.err
    place.kubectl("apply", "-f", "-", given=rule("reviews", "v1"))
    gone = place.safeapply("wait", "--for=no-subset=reviews/v2", "--timeout", "30s")
    assert gone.code == 0, gone.err


def test_check_finds_what_istiod_would_answer_503(place: Place) -> None:
    """A route to a subset that no rule defines."""
    place.live([*servers(RENAME), *parsed(route("reviews", ("v7", 100)))])
    result = place.safeapply("check")
    assert result.code == 4, result.out + result.err
    assert "IST0101" in result.out, result.out


def test_diff_shows_what_kubectl_diff_shows(place: Place, tmp_path: Path) -> None:
    """The same fields, by the same API server, of objects that one field manager has applied."""
    directory = written(RENAME.desired, tmp_path)
    place.live(servers(RENAME))
    manager = "--field-manager=safeapply"
    place.kubectl("apply", "--server-side", manager, "-f", "-", given=RENAME.live)
    own = place.safeapply("diff", "-f", str(directory))
    other = place.kubectl("diff", "--server-side", manager, "-f", str(directory), check=False)
    assert own.code == other.returncode == 1, own.err + other.stderr
    assert changed(own.out) == changed(other.stdout)


def changed(text: str) -> list[str]:
    """Return the lines of a difference that add or remove something of what is declared."""
    lines = [line for line in text.splitlines() if line[:1] in {"+", "-"} and line[:3] not in {"+++", "---"}]
    return sorted(line for line in lines if "generation" not in line)
