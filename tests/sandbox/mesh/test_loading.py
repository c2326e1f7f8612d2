"""Files in, documents out."""

from __future__ import annotations

from pathlib import Path

import pytest

from safeapply.errors import SandboxError
from safeapply.sandbox.loading import files_of_command, read_documents

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: %s, creationTimestamp: 2026-01-01T00:00:00Z}\n"

ROUTES = (
    "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x}\nspec: {hosts: [a], http: %s}"
)


def test_directories_lists_and_several_documents(tmp_path: Path) -> None:
    """Files are read in order of their path, also below; a List is what is in it; empty documents are nothing."""
    (tmp_path / "b.yaml").write_text(POD % "b1" + "---\n---\n" + POD % "b2")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "c.json").write_text(
        '{"kind": "List", "items": [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a1"}}]}'
    )
    (tmp_path / "README.md").write_text("not a manifest")
    documents = read_documents([tmp_path])
    assert [document["metadata"]["name"] for document in documents] == ["a1", "b1", "b2"]
    assert documents[1]["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [", "not YAML: while parsing"),
        ("\x00\xff", "not YAML"),
        ("just words", "without apiVersion, kind or metadata.name"),
        ("kind: Pod\nmetadata: {name: x}", "without apiVersion"),
        (ROUTES % "[{route: 5}]", "VirtualService x has a field of a wrong type"),
        (ROUTES % "[every, thing]", "VirtualService x has a field of a wrong type"),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: 5", "Service x has a field of a wrong type"),
    ],
)
def test_what_is_no_object_is_refused_by_file(tmp_path: Path, text: str, sentence: str) -> None:
    """One sentence names the file."""
    (tmp_path / "x.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(SandboxError, match=rf"x\.yaml: .*{sentence}"):
        read_documents([tmp_path])


def test_a_missing_directory_is_one_sentence(tmp_path: Path) -> None:
    """As is every other path that does not exist."""
    with pytest.raises(SandboxError, match="no such file or directory"):
        read_documents([tmp_path / "nowhere"])


def test_the_files_that_a_command_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options in all their spellings, inside a shell's script too, as far as the files exist."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).mkdir()
    script = "kubectl apply -f a --validate=false && kubectl apply --filename=b; kubectl apply -f=c; cat -f nowhere"
    assert files_of_command(["sh", "-c", script]) == (Path("a"), Path("b"), Path("c"))
    assert files_of_command(["safeapply", "apply", "--filename", "d"]) == (Path("d"),)
