"""The lines that scripts around kubectl look for."""

from __future__ import annotations

from safeapply.report.results import DRY_RUN_SERVER, result_line, summary_line
from safeapply.resources.objects import Namespace, ResourceId

ROUTE = ResourceId("networking.istio.io", "VirtualService", Namespace("default"), "reviews")


def test_a_result_line_is_kubectls() -> None:
    """Kind with group, slash, name, word; the namespace is not told."""
    assert result_line(ROUTE, "configured") == "virtualservice.networking.istio.io/reviews configured"
    service = ResourceId("", "Service", Namespace("default"), "reviews")
    assert result_line(service, "created", dry_run=DRY_RUN_SERVER) == "service/reviews created (server dry run)"


def test_the_summary_counts_words_in_the_order_in_which_they_came() -> None:
    """One line at the end."""
    assert summary_line(["created", "configured", "created"]) == "2 created, 1 configured"
    assert summary_line([]) == "nothing to do"
