"""Several API servers as one cluster: what is read where, what a silent one brings about, what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
import yaml

from safeapply.adapters.access import ClusterAccess
from safeapply.adapters.multicluster import ManyClusters, all_connected
from safeapply.errors import ClusterError, RemoteUnreachableError, UsageError
from safeapply.istio.kinds import DESTINATION_RULE, POD, SERVICE
from safeapply.istio.proxies import Labels, Proxy, Role
from safeapply.ports import Changed, Gone, Listed, Sighting
from safeapply.resources.objects import Document, Namespace, Resource, ResourceId
from safeapply.rollout.strangers import is_excluded
from safeapply.sandbox.apiserver import ApiServer, Store

PATIENCE = 10.0


class Site:
    """Two API servers, west and east, and the kubeconfig that leads to them."""

    def __init__(self, directory: Path) -> None:
        self.stores = {name: Store() for name in ("west", "east")}
        self.servers = {name: ApiServer(one, admin_address=lambda *_: None) for name, one in self.stores.items()}
        self.kubeconfig = directory / "kubeconfig"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ManyClusters]:
        """Start them, and return the mesh whose configuration is in west."""
        for server in self.servers.values():
            await server.start()
        self.write("west", "east")
        access = ClusterAccess(str(self.kubeconfig), "west", remotes=("east",), request_seconds=2.0)
        try:
            async with all_connected(access) as connections:
                cluster = connections.cluster()
                assert isinstance(cluster, ManyClusters)
                yield cluster
        finally:
            await asyncio.gather(*(server.stop() for server in self.servers.values()))

    def write(self, *names: str) -> None:
        """Write a kubeconfig with these contexts; one that has no server of its own leads to east."""
        urls = {name: self.servers.get(name, self.servers["east"]).url for name in names}
        document = {
            "clusters": [{"name": name, "cluster": {"server": url}} for name, url in urls.items()],
            "users": [{"name": "me", "user": {}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": "me"}} for name in names],
            "current-context": "west",
        }
        self.kubeconfig.write_text(yaml.safe_dump(document))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Hand over two API servers that do not run yet."""
    return Site(tmp_path)


def pod(name: str) -> Document:
    """Return a pod."""
    metadata = {"name": name, "namespace": "default"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [{"name": "web", "image": "web"}]},
    }


def service(name: str) -> Document:
    """Return a Service."""
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}}


def rule(name: str) -> Document:
    """Return a DestinationRule."""
    metadata = {"name": name, "namespace": "default"}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": metadata,
        "spec": {"host": name},
    }


def told(sighting: Sighting) -> tuple[object, ...]:
    """Return a sighting in short: what it is, and of what in which cluster."""
    match sighting:
        case Listed(resources=resources, untold=untold):
            return ("listed", *sorted(map(short, resources)), *untold)
        case Changed(resource=one):
            return ("changed", short(one))
        case Gone(resource=one):
            return ("gone", short(one))


def short(one: Resource) -> str:
    """Return ``east:web``."""
    return f"{one.id.cluster}:{one.id.name}"


async def following(watch: AsyncGenerator[Sighting, None]) -> tuple[object, ...]:
    """Return the next thing that is told."""
    return told(await asyncio.wait_for(anext(watch), PATIENCE))


async def test_configuration_is_read_from_the_first_and_services_and_pods_from_all(site: Site) -> None:
    """As istiod does; what has the same name in both is two."""
    for store in site.stores.values():
        for document in (pod("web-0"), service("web"), rule("web")):
            store.create(document, manager="test")
    async with site.running() as cluster:
        found = await cluster.list((POD, SERVICE, DESTINATION_RULE))
        assert sorted(
            str(one.id) for one in found if one.id.namespace == "default" and one.id.name != "kubernetes"
        ) == [
            "destinationrule.networking.istio.io/default/web",
            "pod/default/web-0",
            "pod/default/web-0 in east",
            "service/default/web",
            "service/default/web in east",
        ]
        assert {one.id.cluster for one in await cluster.list((DESTINATION_RULE,))} == {""}


async def test_what_is_written_is_written_to_the_first(site: Site) -> None:
    """A remote holds no configuration."""
    async with site.running() as cluster:
        document = rule("web")
        one = ResourceId("networking.istio.io", "DestinationRule", Namespace("default"), "web")
        await cluster.create(Resource(one, document))
        assert [len(store.list(DESTINATION_RULE)) for store in site.stores.values()] == [1, 0]
        assert await cluster.get(one) is not None


async def test_the_pods_of_all_are_followed_as_one(site: Site) -> None:
    """The list is whole when all have told; then every change is told with its cluster."""
    for store in site.stores.values():
        store.create(pod("web-0"), manager="test")
    async with site.running() as cluster, aclosing(cluster.watch(POD)) as watch:
        first = await following(watch)
        if first == ("listed", ":web-0", "east"):
            first = await following(watch)
        assert first == ("listed", ":web-0", "east:web-0")
        site.stores["east"].create(pod("web-1"), manager="test")
        assert await following(watch) == ("changed", "east:web-1")
        site.stores["west"].delete(ResourceId("", "Pod", Namespace("default"), "web-0"))
        assert await following(watch) == ("gone", ":web-0")


async def test_a_remote_that_falls_silent_is_named(site: Site) -> None:
    """The watch of all ends, so that whoever watches begins again; a list is no shorter list, but an error."""
    async with site.running() as cluster:
        async with aclosing(cluster.watch(POD)) as watch:
            while await following(watch) != ("listed",):
                pass
            await site.servers["east"].stop()
            with pytest.raises(RemoteUnreachableError, match="cluster east of the mesh cannot be read"):
                await following(watch)
        assert await cluster.list((DESTINATION_RULE,)) == ()


async def test_a_remote_that_is_silent_from_the_start_is_told_with_the_list_of_the_others(site: Site) -> None:
    """Their proxies can be asked meanwhile."""
    site.stores["west"].create(pod("web-0"), manager="test")
    async with site.running() as cluster:
        await site.servers["east"].stop()
        async with aclosing(cluster.watch(POD)) as watch:
            assert await following(watch) == ("listed", ":web-0", "east")
            with pytest.raises(ClusterError, match="cluster east"):
                await following(watch)
        with pytest.raises(RemoteUnreachableError) as caught:
            await cluster.list((POD,))
        assert (caught.value.cluster, caught.value.exit_code) == ("east", 3)


async def test_two_contexts_of_one_server_are_refused(site: Site) -> None:
    """Each of its proxies would be counted twice."""
    async with site.running():
        site.write("west", "east", "also-east")
        access = ClusterAccess(str(site.kubeconfig), "west", remotes=("east", "also-east"))
        with pytest.raises(UsageError, match="--context east and --context also-east lead to one API server"):
            async with all_connected(access):
                pytest.fail("both were taken")


def test_options_of_one_server_do_not_go_with_several_contexts() -> None:
    """A context that is named twice does not, either."""
    with pytest.raises(UsageError, match="--server is about one API server"):
        ClusterAccess(context="west", remotes=("east",), server="http://somewhere")
    with pytest.raises(UsageError, match="name each cluster once"):
        ClusterAccess(context="west", remotes=("west",))


@pytest.mark.parametrize(
    ("pattern", "excluded"),
    [
        ("default/web-0", [""]),
        ("east/default/web-0", ["east"]),
        ("*/default/web-?", ["", "east", "arn:aws:eks:1:cluster/prod"]),
        ("arn:aws:eks:1:cluster/prod/default/*", ["arn:aws:eks:1:cluster/prod"]),
        ("*/web-0", [""]),
    ],
)
def test_a_pattern_without_a_context_is_about_the_first_cluster(pattern: str, excluded: list[str]) -> None:
    """Nobody excludes more than he has named; a context may have slashes of its own."""
    clusters = ("", "east", "arn:aws:eks:1:cluster/prod")
    proxies = [
        Proxy(Namespace("default"), "web-0", name, Role.SIDECAR, Labels(), ready=True, cluster=name)
        for name in clusters
    ]
    assert [one.cluster for one in proxies if is_excluded(one, (pattern,))] == excluded
