"""What ``-f`` names, and what is said of paths that cannot be read."""

from __future__ import annotations

import os
import threading
from io import BytesIO
from pathlib import Path

import pytest

from safeapply.adapters.files import read_sources
from safeapply.errors import ManifestsError
from safeapply.resources.sources import SourceText

URL = "http://example.com/a.yaml"


def names(*paths: str | Path, recursive: bool = False, stdin: bytes = b"") -> list[str]:
    """Read paths and return the names of what was read."""
    sources = read_sources([str(path) for path in paths], recursive=recursive, stdin=BytesIO(stdin))
    return [source.name for source in sources]


def faults(*paths: str | Path, recursive: bool = False) -> str:
    """Read paths that cannot be read, and return what the user is told."""
    with pytest.raises(ManifestsError) as caught:
        names(*paths, recursive=recursive)
    return str(caught.value)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of manifests, seen from the directory above it."""
    for name in ("b.yaml", "a.yml", "c.json", "README.md", "sub/d.yaml", "sub/deep/e.yaml"):
        path = tmp_path / "mesh" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mesh"


def test_a_directory_gives_its_manifests_in_order(tree: Path) -> None:
    """Only the three extensions, not below, named as the user named the directory."""
    assert tree.is_dir()
    assert names("mesh") == ["mesh/a.yml", "mesh/b.yaml", "mesh/c.json"]


def test_dash_r_goes_below(tree: Path) -> None:
    """Files come before those of the directories beside them."""
    assert tree.is_dir()
    assert names("mesh", recursive=True)[-2:] == ["mesh/sub/d.yaml", "mesh/sub/deep/e.yaml"]


def test_a_named_file_is_read_whatever_it_is_called(tree: Path) -> None:
    """The extension matters in directories alone."""
    assert names(tree / "README.md") == [str(tree / "README.md")]


def test_a_file_named_twice_is_read_once(tree: Path) -> None:
    """``-f dir -f dir/a.yml`` and links of mounted ConfigMaps are no duplicates."""
    (tree / "z.yaml").symlink_to("a.yml")
    assert names("mesh", "mesh/a.yml", "mesh/../mesh/b.yaml") == ["mesh/a.yml", "mesh/b.yaml", "mesh/c.json"]


def test_a_loop_of_links_is_not_entered(tree: Path) -> None:
    """A link to a directory is not followed, as in kubectl."""
    (tree / "sub" / "up").symlink_to(tree, target_is_directory=True)
    assert len(names("mesh", recursive=True)) == 5


def test_dash_is_standard_input() -> None:
    """The name of that text is ``-``; asking twice reads once."""
    sources = read_sources(["-", "-"], recursive=False, stdin=BytesIO(b"kind: Foo"))
    assert sources == (SourceText("-", b"kind: Foo"),)


def test_a_pipe_is_a_file(tmp_path: Path) -> None:
    """``-f <(helm template .)`` names a pipe."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"kind: Foo",))
    writer.start()
    (source,) = read_sources([str(pipe)], recursive=False, stdin=BytesIO())
    writer.join()
    assert source.text == b"kind: Foo"


def test_every_path_that_cannot_be_read_is_named(tree: Path) -> None:
    """One run tells them all."""
    (tree / "broken.yaml").symlink_to("nowhere")
    (tree.parent / "empty" / "below").mkdir(parents=True)
    assert faults("gone.yaml", "mesh", "empty", URL, "mesh/README.md/x").splitlines() == [
        "empty: the directory holds no .json, .yaml, .yml file; pass -R to read the directories below it too",
        "gone.yaml: the path does not exist; check the -f flags",
        f"{URL}: URLs are not supported yet; try: curl -fsSL {URL} | safeapply ... -f -",
        "mesh/README.md/x: the file cannot be read: Not a directory",
        "mesh/broken.yaml: the path does not exist; check the -f flags",
    ]
    assert faults("empty", recursive=True) == "empty: the directory holds no .json, .yaml, .yml file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_missing_rights_are_said(tree: Path) -> None:
    """Files and directories alike."""
    (tree / "a.yml").chmod(0)
    (tree / "sub").chmod(0)
    assert faults("mesh", recursive=True).splitlines() == [
        "mesh/a.yml: the file cannot be read: Permission denied",
        "mesh/sub: the directory cannot be read: Permission denied",
    ]
