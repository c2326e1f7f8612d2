"""What is installed: versions and digests out of the files that ``make lock`` writes after pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.packaging.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
GROUPS = PROJECT["dependency-groups"]
CONTAINER = ROOT / "container" / "requirements.txt"
DEVELOPMENT = ROOT / "locks" / "development.txt"
WANTED = {
    CONTAINER: RUNTIME,
    DEVELOPMENT: [*RUNTIME, *(one for extra in EXTRAS.values() for one in extra)],
    ROOT / "locks" / "pulumi.txt": [*RUNTIME, *GROUPS["pulumi"]],
    ROOT / "locks" / "programs.txt": GROUPS["programs"],
    ROOT / "locks" / "audit.txt": GROUPS["audit"],
}
MACHINES = [
    {"python_version": version, "python_full_version": f"{version}.0", "platform_machine": machine}
    for version in ("3.11", "3.12", "3.13", "3.14")
    for machine in ("x86_64", "aarch64")
]
LINUX = {"sys_platform": "linux", "os_name": "posix", "platform_system": "Linux", "extra": ""}
CPYTHON = {"implementation_name": "cpython", "platform_python_implementation": "CPython"}

locks = pytest.mark.parametrize("lock", WANTED, ids=lambda lock: lock.stem)


@dataclass(frozen=True, slots=True)
class Pin:
    """One entry of a lock."""

    requirement: Requirement
    rest: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name in the normal form."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """The only version that it allows."""
        (specifier,) = self.requirement.specifier
        assert specifier.operator == "=="
        return specifier.version


def pins(lock: Path) -> Iterator[Pin]:
    """Yield the entries of a lock, each of which goes over lines that end in a backslash."""
    for entry in lock.read_text().replace("\\\n", "\0").splitlines():
        requirement, *rest = entry.split("\0")
        yield Pin(Requirement(requirement), tuple(one.strip() for one in rest))


def on(machine: dict[str, str], requirements: Iterable[Requirement]) -> list[Requirement]:
    """Return those of the requirements that a machine has."""
    environment = {**LINUX, **CPYTHON, **machine}
    return [one for one in requirements if one.marker is None or one.marker.evaluate(environment)]


@locks
def test_every_version_is_pinned_with_its_digests(lock: Path) -> None:
    """Pip refuses whatever has another; and no entry says where it is to be had."""
    entries = list(pins(lock))
    assert entries
    for pin in entries:
        assert pin.version
        assert pin.rest, pin.name
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in pin.rest), pin.name
    assert not re.search(r"://|^-", lock.read_text(), re.MULTILINE)


@locks
def test_what_pyproject_requires_is_locked_at_a_version_that_it_allows(lock: Path) -> None:
    """On every Python and processor that is served; else `make lock` has to follow."""
    locked = [pin.requirement for pin in pins(lock)]
    for machine in MACHINES:
        versions = {canonicalize_name(one.name): one.specifier for one in on(machine, locked)}
        for wanted in on(machine, map(Requirement, WANTED[lock])):
            pinned = versions.get(canonicalize_name(wanted.name))
            assert pinned is not None, f"{wanted} is not locked: make lock"
            (only,) = pinned
            assert wanted.specifier.contains(only.version, prereleases=True), f"{wanted}, not {only}: make lock"


@locks
def test_a_machine_has_one_version_of_each(lock: Path) -> None:
    """Where Pythons need different versions, their markers exclude each other."""
    for machine in MACHINES:
        names = [canonicalize_name(one.name) for one in on(machine, (pin.requirement for pin in pins(lock)))]
        assert len(names) == len(set(names))


def test_what_is_handed_out_is_what_was_tested() -> None:
    """The container has the versions of the developers' environment."""
    tested = {(pin.name, pin.version) for pin in pins(DEVELOPMENT)}
    assert {(pin.name, pin.version) for pin in pins(CONTAINER)} <= tested


@pytest.mark.parametrize("file", ["Makefile", "Dockerfile"])
def test_nothing_is_fetched_without_a_digest(file: str) -> None:
    """But for the newest versions, whose purpose it is."""
    text = (ROOT / file).read_text().replace("$(LOCKED)", "--require-hashes")
    commands = re.findall(r"(?:\bpip|\$\(PIP\w*\)) (?:[^|&;\n]*\\\n)*[^|&;\n]*", text)
    installs = [command for command in commands if " install " in command]
    assert len(installs) > 1
    for command in installs:
        assert command.startswith("$(PIP_NEWEST)") or re.search("--require-hashes|--no-index", command), command
