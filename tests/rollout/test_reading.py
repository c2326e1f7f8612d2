"""What an Envoy is asked, look after look: bodies once, and then only what has moved."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from safeapply.rollout.reading import NARROW_LOOKS, Reader
from safeapply.xds.expectations import ClusterUnreferenced
from safeapply.xds.names import ClusterName
from safeapply.xds.questions import LISTENER_BODIES, LISTENER_VERSION, ROUTE_BODIES, ROUTE_TIMES
from safeapply.xds.shortfalls import Holds
from safeapply.xds.verdicts import judge
from tests.rollout.memory import JumpingClock, MemoryProxies, Shown, always, proxy

V1, V2 = (ClusterName(f"outbound|9080|{subset}|reviews.default.svc.cluster.local") for subset in ("v1", "v2"))
GONE = ClusterUnreferenced(V1)
SHOWN = st.builds(
    Shown,
    routes=st.dictionaries(
        st.sampled_from(["80", "9080"]), st.lists(st.sampled_from([V1, V2]), max_size=2).map(tuple)
    ),
    tcp=st.lists(st.sampled_from([V1, V2]), max_size=1).map(tuple),
)


async def test_nothing_is_read_twice_that_has_not_moved() -> None:
    """The second look, which an absence needs, takes one version and one list of times."""
    proxies = MemoryProxies(JumpingClock(), {"a": always(Shown(routes={"9080": (V2,)}))})
    reader, looks = Reader(proxies, proxy("a"), (GONE,), 1.0), []
    for _ in range(2):
        proxies.asked.clear()
        await reader.read()
        looks.append([path for _, _, path in proxies.asked])
    first, second = looks
    assert {LISTENER_BODIES, ROUTE_BODIES} <= {*first}
    assert second[-2:] == [LISTENER_VERSION, ROUTE_TIMES]
    assert not {LISTENER_BODIES, ROUTE_BODIES} & {*second}


@given(st.lists(SHOWN, min_size=1, max_size=5))
async def test_what_was_kept_from_earlier_looks_never_changes_a_verdict(states: list[Shown]) -> None:
    """Whatever the Envoy went through, its last state is judged as if it had been the first."""
    clock, present = JumpingClock(), list(states)
    proxies = MemoryProxies(clock, {"a": lambda _: present[0]})
    reader = Reader(proxies, proxy("a"), (GONE,), 1.0)
    while len(present) > 1:
        await reader.read()
        del present[0]
    fresh = await Reader(proxies, proxy("a"), (GONE,), 1.0).read()
    for _ in range(NARROW_LOOKS):
        await reader.read()
    late = await reader.read()
    assert isinstance(judge(GONE, late), Holds) is isinstance(judge(GONE, fresh), Holds)
