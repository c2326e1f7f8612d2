"""Plans for what stands behind subsets without a Deployment: pods that nobody makes (ISTIO.md 5.11)."""

from __future__ import annotations

from textwrap import dedent

from tests.plans.worlds import planned, route, rule

SERVICE = """\
---
{apiVersion: v1, kind: Service, metadata: {name: reviews}, spec: {selector: {app: reviews}, ports: [{port: 9080}]}}
"""


def pod(version: str) -> str:
    """Return a ready Pod of reviews."""
    return dedent(f"""\
        ---
        apiVersion: v1
        kind: Pod
        metadata: {{name: reviews-{version}, labels: {{app: reviews, version: {version}}}}}
        spec: {{containers: [{{name: app, image: reviews}}]}}
        status: {{conditions: [{{type: Ready, status: "True"}}]}}
        """)


def test_a_bare_pod_comes_before_the_route_to_its_subset_and_goes_after_it() -> None:
    """Subsets that both have clusters: what is missing between them are the pods (503 UH)."""
    both = SERVICE + rule("reviews", "v1", "v2")
    live, desired = both + pod("v1") + route("reviews", "v1"), pod("v2") + route("reviews", "v2")
    assert planned(live, desired, deleted=["Pod/reviews-v1"]) == dedent("""\
        1 widen
            apply Pod default/reviews-v2
        2 switch
            when outbound|9080|v2|reviews active on sidecars in default
            apply VirtualService default/reviews
        3 narrow
            when outbound|9080|v2|reviews routed on sidecars in default
            delete Pod default/reviews-v1""")
