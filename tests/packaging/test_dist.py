"""What is handed out: complete, and it runs with nothing else, for a user without rights, on read-only files."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from safeapply import __version__
from safeapply.resources.objects import GroupKind
from tests.gitops.container import NOBODY, Mount, contain, missing, system
from tests.packaging.conftest import ROOT, Dist
from tests.sandbox.apiserver.cluster import Cluster

MANIFESTS = ROOT / "examples" / "argocd" / "mesh" / "manifests"
PYTHON = Path(sys.executable).resolve()
LOCK = (ROOT / "container" / "requirements.txt").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
contained = pytest.mark.skipif(bool(missing()), reason=missing())


def opened(directory: Path) -> Path:
    """Return a directory that everybody may use."""
    directory.chmod(0o777)
    return directory


def named(text: str) -> str:
    """Return the name of a distribution in its normal form."""
    return re.sub(r"[-_.]+", "-", text).lower()


def test_the_wheel_has_what_it_needs_and_no_tests(dist: Dist) -> None:
    """Types, pages, the demo's mesh; all of the package, and nothing beside it."""
    names = zipfile.ZipFile(dist.one("*.whl")).namelist()
    assert "safeapply/py.typed" in names
    for directory in ("report/pages", "sandbox/demo_mesh"):
        files = (
            one for one in (ROOT / "safeapply" / directory).rglob("*") if one.suffix in {".yaml", ".html", ".css"}
        )
        assert {str(one.relative_to(ROOT)) for one in files} <= set(names)
    assert {one.partition("/")[0] for one in names} == {"safeapply", f"safeapply-{__version__}.dist-info"}


@contained
async def test_it_runs_for_a_user_without_rights_where_nothing_can_be_written(dist: Dist, tmp_path: Path) -> None:
    """The wheel and its runtime dependencies, without extras: a plan with no cluster, and an apply with one."""
    mounts = (*system(dist.clean), Mount(MANIFESTS, "/manifests"), Mount(opened(tmp_path), "/config"))
    with Cluster(tmp_path) as cluster:

        async def run(*arguments: str) -> str:
            ended = await contain(
                (str(dist.clean / "bin" / "safeapply"), *arguments),
                environment={"HOME": "/", "KUBECONFIG": "/config/kubeconfig"},
                mounts=mounts,
                image=(),
            )
            assert ended.code == 0, ended.err
            return ended.out

        assert await run("version") == f"safeapply {__version__}\n"
        assert "No changes" in await run("plan", "--live", "/manifests", "-f", "/manifests", "--skip-checks")
        await run("apply", "-f", "/manifests", "--yes", "--skip-checks")
        rules = cluster.do(lambda: cluster.store.list(GroupKind("networking.istio.io", "DestinationRule")))
        assert [one["metadata"]["name"] for one in rules] == ["reviews"]


@contained
async def test_the_single_file_needs_python_alone(dist: Dist, tmp_path: Path) -> None:
    """It unpacks itself once, below $PEX_ROOT or the home; the rest of the machine is read-only."""
    mounts = (*system(), Mount(dist.files, "/dist"), Mount(opened(tmp_path), "/tmp", writable=True))
    command = (str(PYTHON), "/dist/safeapply.pex")
    environment = {"PEX_ROOT": "/tmp/pex", "PATH": "/usr/bin:/bin"}
    ended = await contain((*command, "version"), environment=environment, mounts=mounts, image=())
    assert (ended.code, ended.out) == (0, f"safeapply {__version__}\n"), ended.err


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hand over the locked wheels of the runtime dependencies, fetched by pip, which checks their digests."""
    directory = tmp_path_factory.mktemp("wheels")
    fetch = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", directory)
    locked = (
        "--require-hashes",
        "--only-binary",
        ":all:",
        "--requirement",
        ROOT / "container" / "requirements.txt",
    )
    subprocess.run((*fetch, *locked), check=True)
    return directory


@pytest.mark.parametrize("backend", ["pip", "uv"])
def test_pipx_runs_the_wheel(backend: str, dist: Dist, wheels: Path, tmp_path: Path) -> None:
    """In an environment that it makes for the run, by either backend.

    Neither asks a server: uv would have to be told of a company's certificates, and the versions would be those of
    the day. So a proxy that does not answer is no hindrance.
    """
    options = ("--backend", backend, "--pip-args", f"--no-index --find-links={shlex.quote(str(wheels))}")
    command = (sys.executable, "-m", "pipx", "run", *options, "--spec", dist.one("*.whl"), "safeapply")
    environment = {
        **{key: value for key, value in os.environ.items() if key.lower() != "no_proxy"},
        **dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), "http://127.0.0.1:9"),
        **{f"PIPX_{name}": str(tmp_path / name) for name in ("HOME", "BIN_DIR", "MAN_DIR")},
        "PIPX_DISABLE_SHARED_LIBS_AUTO_UPGRADE": "1",
        "UV_CACHE_DIR": str(tmp_path / "uv"),
    }

    def run(*arguments: str | Path) -> str:
        said = subprocess.run((*command, *arguments), env=environment, capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stderr
        return said.stdout

    assert run("version") == f"safeapply {__version__}\n"
    assert "No changes" in run("plan", "--live", MANIFESTS, "-f", MANIFESTS, "--skip-checks")


def test_without_the_extra_the_embedded_mesh_says_what_to_install(dist: Dist) -> None:
    """One sentence."""
    for command in ("demo", "sandbox up"):
        said = subprocess.run(
            [dist.clean / "bin" / "safeapply", *command.split()], capture_output=True, text=True, check=False
        )
        assert (said.returncode, said.stdout) == (1, "")
        assert said.stderr == "error: the embedded mesh is not installed: pip install 'safeapply[sandbox]'\n"


def test_the_bill_of_materials_names_what_is_installed_and_nothing_else(dist: Dist) -> None:
    """CycloneDX: the locked versions of this platform, none of the tests' own."""
    bill = json.loads(dist.one("sbom.cdx.json").read_text())
    found = {(named(one["name"]), one["version"]) for one in bill["components"]}
    locked = set(re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.MULTILINE))
    assert bill["metadata"]["component"]["name"] == "safeapply"
    assert found <= {(named(name), version) for name, version in locked}
    assert {"kubernetes", "aiohttp", "msgspec"} <= {name for name, _ in found}


def test_the_dockerfile_is_sound() -> None:
    """By hadolint, and by what hadolint does not know: pinned to the patch, no shell and no root at run time."""
    said = subprocess.run(
        [Path(sys.executable).parent / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stdout
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${PYTHON}"}
    assert re.search(r"^ARG PYTHON=python:3\.\d+\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    words = re.findall(r"^([A-Z]+) (.*)", last, re.MULTILINE)
    assert "RUN" not in dict(words)
    assert dict(words)["USER"] == f"{NOBODY}:{NOBODY}"
    assert json.loads(dict(words)["ENTRYPOINT"]) == ["/opt/safeapply/bin/safeapply"]
    assert "--require-hashes" in DOCKERFILE


@pytest.mark.parametrize("job", ["argocd/job/job.yaml", "flux/mesh/job.yaml"])
def test_the_jobs_run_the_image_as_it_is_made(job: str) -> None:
    """As its user, with its entry point, and nothing to write to."""
    spec = yaml.safe_load((ROOT / "examples" / job).read_text())["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsUser"] == NOBODY
    assert spec["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert "command" not in container
    assert container["image"].endswith(f"/safeapply:{__version__}")
