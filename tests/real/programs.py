"""The real programs, built from the Go modules in ``programs``: one directory for each choice of versions.

The versions stand in ``programs/*/go.mod``. ``KUBE`` and ``ISTIO`` try others: the module files are copied, changed
and resolved anew, and nothing of the checkout is written.

Run as a program it builds them, prints what there is, and says in one line why there is none.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

__all__ = ["Programs", "UnavailableError", "built", "version_of"]

HERE: Final = Path(__file__).parent
SOURCES: Final = HERE / "programs"
BUILD: Final = HERE.parents[1] / "build" / "real"
KUBERNETES, ISTIO, ETCD = "k8s.io/kubernetes", "istio.io/istio", "go.etcd.io/etcd/server/v3"
GATEWAY_API: Final = "sigs.k8s.io/gateway-api"
GO: Final = (1, 26)
STAMP: Final = "k8s.io/component-base/version"
CHOICES: Final = {"cluster": ("KUBE", KUBERNETES), "istiod": ("ISTIO", ISTIO), "kubelet": ("", "")}
"""By program: the variable that chooses the version of a module, and that module."""


class UnavailableError(Exception):
    """There are no real programs on this machine; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Programs:
    """What was built."""

    directory: Path
    """Holds ``cluster``, ``istiod``, ``kubelet``, and ``pilot-agent``, another name of ``istiod``."""
    kubernetes: str
    istio: str
    release: str
    """What Istio calls itself, as proxies say it: ``1.31.0``."""
    etcd: str
    crds: Path
    """Istio's CustomResourceDefinitions, one file."""
    gateway_api: Path
    """The directory of the CustomResourceDefinitions of the Gateway API."""

    def path(self, name: str) -> Path:
        """Return where a program is."""
        return self.directory / name


def built() -> Programs:
    """Build whatever is not built yet, and return what there is.

    Raises:
        UnavailableError: this machine has no Go, or an older one, or a module cannot be had.
    """
    _check_go()
    modules = {program: _chosen(program) for program in CHOICES}
    directory = BUILD / _key(modules)
    directory.mkdir(parents=True, exist_ok=True)
    for program, module in modules.items():
        if not (directory / program).exists():
            print(f"building {program}: minutes, once for these versions", file=sys.stderr, flush=True)
            stamps = _stamps(module) if program == "cluster" else ""
            flags = ("-trimpath", f"-ldflags=-s -w {stamps}")
            _go(module, "build", *flags, "-o", str(directory / f"{program}.new"), ".")
            (directory / f"{program}.new").rename(directory / program)
    agent = directory / "pilot-agent"
    if not agent.exists():
        agent.symlink_to("istiod")
    istio, gateway_api = (_directory(modules["istiod"], module) for module in (ISTIO, GATEWAY_API))
    return Programs(
        directory,
        kubernetes=version_of(modules["cluster"], KUBERNETES),
        etcd=version_of(modules["cluster"], ETCD),
        istio=version_of(modules["istiod"], ISTIO),
        release=(istio / "VERSION").read_text().strip() + ".0",
        crds=istio / "manifests/charts/base/files/crd-all.gen.yaml",
        gateway_api=gateway_api / "config/crd",
    )


def version_of(module: Path, required: str) -> str:
    """Return the version of a module that another one requires."""
    match = re.search(
        rf"^\s*(?:require )?{re.escape(required)} (\S+)", (module / "go.mod").read_text(), re.MULTILINE
    )
    if match is None:
        raise UnavailableError(f"{module / 'go.mod'} does not require {required}")
    return match.group(1)


def _check_go() -> None:
    if shutil.which("go") is None:
        raise UnavailableError("there is no Go on this machine")
    said = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout.strip()
    number = re.match(r"go(\d+)\.(\d+)", said)
    if number is None or (int(number[1]), int(number[2])) < GO:
        raise UnavailableError(f"Go is {said}, and the modules of Kubernetes and Istio need {GO[0]}.{GO[1]}")


def _chosen(program: str) -> Path:
    """Return the directory of a program's module, at the version that the environment chooses."""
    variable, module = CHOICES[program]
    source, version = SOURCES / program, os.environ.get(variable, "") if variable else ""
    if not version or version == version_of(source, module):
        return source
    copy = BUILD / "modules" / f"{program}-{version}"
    if not (copy / "go.sum").exists():
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("go.sum"), dirs_exist_ok=True)
        _require(copy, module, version)
        _go(copy, "mod", "tidy")
    return copy


def _require(copy: Path, module: str, version: str) -> None:
    """Let a module file require another version, and Kubernetes' parts in the versions that fit it."""
    file = copy / "go.mod"
    # What was resolved for the old version would hold the new one up: all that is indirect is found anew.
    direct = re.sub(r"^\t\S+ \S+ // indirect\n", "", file.read_text(), flags=re.MULTILINE)
    changed = direct.replace(f"{module} {version_of(copy, module)}", f"{module} {version}")
    if module == KUBERNETES:
        _go_mod_of_kubernetes(copy, changed, version)
    else:
        file.write_text(changed)


def _go_mod_of_kubernetes(copy: Path, text: str, version: str) -> None:
    """Pin the staging modules of a version: ``k8s.io/api`` of Kubernetes 1.36.3 is 0.36.3."""
    downloaded = json.loads(_go(SOURCES / "cluster", "mod", "download", "-json", f"{KUBERNETES}@{version}"))
    own = Path(downloaded["GoMod"]).read_text()
    staging = re.findall(r"^\t(k8s\.io/\S+) => \./staging", own, re.MULTILINE)
    etcd = re.search(rf"{re.escape(ETCD)} (\S+)", own)
    part = "v0" + version.removeprefix("v1")
    head, _, _ = text.partition("replace (")
    head = re.sub(r"(k8s\.io/component-base) v\S+", rf"\1 {part}", head)
    if etcd is not None:
        head = re.sub(rf"{re.escape(ETCD)} \S+", f"{ETCD} {etcd.group(1)}", head)
    pins = "".join(f"\t{name} => {name} {part}\n" for name in staging)
    (copy / "go.mod").write_text(f"{head}replace (\n{pins})\n")


def _stamps(module: Path) -> str:
    """Return what tells Kubernetes its own version, as its releases are told: clients read it."""
    version = version_of(module, KUBERNETES)
    major, minor, *_ = version.removeprefix("v").split(".")
    known = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return " ".join(f"-X {STAMP}.{name}={value}" for name, value in known.items())


def _key(modules: dict[str, Path]) -> str:
    """Return the name of a build: its versions, and what else decides about the programs."""
    digest = sha256()
    for module in modules.values():
        for file in [*sorted(module.glob("*.go")), module / "go.mod"]:
            digest.update(file.read_bytes())
    kubernetes = version_of(modules["cluster"], KUBERNETES)
    istio = version_of(modules["istiod"], ISTIO).rpartition("-")[2]
    return f"kubernetes-{kubernetes}-istio-{istio}-{digest.hexdigest()[:8]}"


def _directory(module: Path, required: str) -> Path:
    return Path(_go(module, "list", "-m", "-f", "{{.Dir}}", required).strip())


def _go(module: Path, *arguments: str) -> str:
    """Run Go in a module, with nothing of the surroundings that changes what it builds."""
    environment = {**os.environ, "GOWORK": "off", "GOFLAGS": "", "CGO_ENABLED": "0"}
    ended = subprocess.run(
        ["go", *arguments], cwd=module, env=environment, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise UnavailableError(f"go {' '.join(arguments[:2])} in {module.name}: {last}")
    return ended.stdout


def main() -> int:
    """Build, and print what there is."""
    try:
        programs = built()
    except UnavailableError as error:
        print(f"no real control plane: {error}", file=sys.stderr)
        return 1
    print(f"Kubernetes {programs.kubernetes}, etcd {programs.etcd}, Istio {programs.istio}: {programs.directory}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
