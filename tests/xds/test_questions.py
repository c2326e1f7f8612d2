"""Small, escaped questions: RE2 full matches in which no name can mean another."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from safeapply.xds.names import CONTROL_CLUSTER, ClusterName, Host, outbound_cluster, parse_cluster
from safeapply.xds.questions import (
    LISTENER_CHANGES,
    ROUTE_CHANGES,
    ROUTE_TIMES,
    cluster_question,
    endpoint_question,
    parts,
    route_changes,
    route_question,
    without_pattern,
)

LABELS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=63)
CLUSTERS = st.builds(
    lambda host, port, subset: outbound_cluster(Host(host), port, subset),
    st.lists(LABELS, min_size=1, max_size=5).map(".".join),
    st.integers(1, 65535),
    st.one_of(st.just(""), LABELS),
)


def pattern(path: str) -> re.Pattern[str]:
    """Return the expression of a question, as the admin port decodes it."""
    return re.compile(parse_qs(urlsplit(path).query)["name_regex"][0])


def test_a_cluster_question_reads_as_it_goes_over_the_wire() -> None:
    """The pipe of Istio's names is alternation in RE2, so it is escaped; the control cluster is asked for too."""
    assert cluster_question(["outbound|80|v1|a.b"]) == (
        "/config_dump?mask=dynamic_active_clusters,dynamic_warming_clusters"
        "&name_regex=BlackHoleCluster%7Coutbound%5C%7C80%5C%7Cv1%5C%7Ca%5C.b"
    )


@given(st.sets(CLUSTERS, min_size=1, max_size=20), CLUSTERS)
def test_a_question_matches_the_names_in_play_and_no_other(names: set[ClusterName], other: ClusterName) -> None:
    """ENVOY.md 3: a full match; an unescaped name would match by one of its branches."""
    for question in (cluster_question, endpoint_question, route_question, route_changes):
        asked = pattern(question(sorted(names)))
        assert all(asked.fullmatch(name) for name in names)
        assert bool(asked.fullmatch(other)) == (other in names)


@given(st.sets(CLUSTERS, max_size=20))
def test_every_cluster_question_holds_the_control_cluster(names: set[ClusterName]) -> None:
    """An answer without it proves nothing."""
    assert pattern(cluster_question(sorted(names))).fullmatch(CONTROL_CLUSTER)


def test_many_names_are_several_questions() -> None:
    """700 names at once would pass Istio's limit on expressions, and a long URL is answered with 431."""
    names = [
        outbound_cluster(Host(f"service-{number}.{'x' * 40}.svc.cluster.local"), 80, "v1") for number in range(700)
    ]
    cut = list(parts(names))
    assert sorted(name for part in cut for name in part) == sorted(names)
    assert len(cut) > 1
    assert all(len(cluster_question(part)) < 50_000 for part in cut)


def test_one_name_of_any_length_is_one_question() -> None:
    """A host of 200 characters cannot be cut."""
    name = outbound_cluster(Host("h" * 200), 80)
    assert list(parts([name])) == [(name,)]


@given(CLUSTERS)
def test_names_can_be_taken_apart_and_put_together(name: ClusterName) -> None:
    """ISTIO.md 1.1."""
    taken = parse_cluster(name)
    assert taken is not None
    assert outbound_cluster(taken.host, taken.port, taken.subset) == name


@given(st.one_of(CLUSTERS, st.text(st.characters(exclude_characters="\n"), max_size=12)))
def test_questions_for_all_routes_leave_out_nothing_but_clusters(name: str) -> None:
    """The answer is cut out of a whole dump, which is built sooner without thousands of clusters."""
    for question in (ROUTE_CHANGES, ROUTE_TIMES, LISTENER_CHANGES):
        assert bool(pattern(question).fullmatch(name)) != name.startswith("outbound|")


def test_an_envoy_that_takes_no_long_expression_is_asked_for_everything() -> None:
    """Its answer is longer, and the same."""
    assert without_pattern(ROUTE_CHANGES) == (
        "/config_dump?resource=dynamic_route_configs&mask=route_config.name,last_updated"
    )
    assert without_pattern("/ready") == "/ready"
