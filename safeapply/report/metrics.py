"""The figures of a rollout as OpenMetrics text, for whoever collects them from files. Pure.

The format is OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/); node_exporter's textfile
collector and a Pushgateway take it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from safeapply.rollout.progress import Progress, State, StepProgress
from safeapply.rollout.propagation import propagation

__all__ = ["metrics_text"]

Sample = tuple[str, Mapping[str, str], float]
"""What follows the name of the family, the labels, the value."""


def metrics_text(progress: Progress, exit_code: int) -> str:
    """Return the figures of a rollout that has ended, well or not, up to ``# EOF``.

    Args:
        progress: of all events; of none, where nothing was begun.
        exit_code: as of the command: 0 done, 3 a barrier timed out, 4 refused and so on.
    """
    families = (*_rollout(progress, exit_code), *_barriers(progress.steps))
    return "".join(families) + "# EOF\n"


def _rollout(progress: Progress, exit_code: int) -> Iterator[str]:
    steps = [one for one in progress.steps if one.phase is not None]
    done = [one for one in steps if one.state is State.DONE]
    gauges: tuple[tuple[str, str, float], ...] = (
        ("exit_code", "How the command ended; 0 is done", exit_code),
        ("steps", "Steps of the plan", len(steps)),
        ("steps_done", "Steps that were taken to their end", len(done)),
        ("writes", "Writes that the API server acknowledged", sum(len(one.wrote) for one in steps)),
        ("waits", "Barriers that at least one proxy kept closed", sum(1 for one in progress.steps if one.arrivals)),
        (
            "proxies",
            "The most proxies that one barrier asked",
            max((one.proxies for one in progress.steps), default=0),
        ),
    )
    for name, told, value in gauges:
        yield _family(f"safeapply_rollout_{name}", "gauge", told, [("", {}, value)])
    seconds: tuple[tuple[str, str, float], ...] = (
        ("duration", "From the start to the last event", progress.now - progress.started),
        ("soak", "Planned pauses before removals", sum(one.soaked for one in steps)),
    )
    for name, told, value in seconds:
        yield _family(f"safeapply_rollout_{name}_seconds", "gauge", told, [("", {}, value)], unit="seconds")


def _barriers(steps: Iterable[StepProgress]) -> Iterator[str]:
    labelled = [({"step": str(one.number), "phase": _phase(one)}, one) for one in steps]
    waited: list[Sample] = [("", labels, one.waited) for labels, one in labelled]
    behind: list[Sample] = [("", labels, len(one.stragglers)) for labels, one in labelled]
    shown = (sample for labels, one in labelled for sample in _propagation(labels, one))
    told = "Until the proxies showed what a step waits for; quantile 1 is the slowest"
    name = "safeapply_barrier"
    yield _family(f"{name}_wait_seconds", "gauge", "How long the barrier was closed", waited, unit="seconds")
    yield _family(f"{name}_stragglers", "gauge", "Proxies that have not shown it at the end", behind)
    yield _family(f"{name}_propagation_seconds", "summary", told, shown, unit="seconds")


def _propagation(labels: Mapping[str, str], step: StepProgress) -> Iterator[Sample]:
    figures = propagation(step)
    if figures is None:
        return
    for quantile, value in (("0.5", figures.p50), ("0.99", figures.p99), ("1.0", figures.slowest[1])):
        yield "", {**labels, "quantile": quantile}, value
    yield "_count", labels, figures.proxies
    yield "_sum", labels, sum(seconds for _, seconds in step.arrivals)


def _phase(step: StepProgress) -> str:
    return step.phase.value if step.phase else "settled"


def _family(name: str, kind: str, told: str, samples: Iterable[Sample], *, unit: str = "") -> str:
    """Return a family: all that is known of a name in one place, as the format asks."""
    lines = [f"# TYPE {name} {kind}", *([f"# UNIT {name} {unit}"] if unit else []), f"# HELP {name} {told}."]
    lines += [f"{name}{suffix}{_labels(labels)} {round(value, 6):.12g}" for suffix, labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    """Return labels whose values are words and numbers, so that there is nothing to escape."""
    return "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}" if labels else ""
