"""A real browser, without a window: what it makes of a page, and what that looks like."""

from __future__ import annotations

import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH to open the page with")
PATIENCE = 120.0


class Page(HTMLParser):
    """What a test asks of a document: which elements it has, with which attributes, and its words."""

    def __init__(self, text: str) -> None:
        """Read a document."""
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note words."""
        if data.strip():
            self.words.append(" ".join(data.split()))

    def count(self, tag: str) -> int:
        """Return how many elements of a kind there are."""
        return sum(one == tag for one, _ in self.elements)

    @property
    def text(self) -> str:
        """All words."""
        return " ".join(self.words)


def opened(page: str, directory: Path, *, width: int = 1280) -> tuple[Page, Path, str]:
    """Return the document as the browser has it, a picture of it, and what the browser complained of."""
    file, shot = directory / "page.html", directory / "page.png"
    file.write_text(page, encoding="utf-8")
    document = _chromium(directory, "--dump-dom", file.as_uri())
    drawn = _chromium(directory, f"--window-size={width},1400", f"--screenshot={shot}", file.as_uri())
    return Page(document.stdout), shot, document.stderr + drawn.stderr


def _chromium(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr")
    profile = f"--user-data-dir={directory / 'profile'}"
    return subprocess.run(
        (CHROMIUM, *flags, profile, *arguments), capture_output=True, text=True, timeout=PATIENCE, check=True
    )


def size_of(png: Path) -> tuple[int, int]:
    """Return the width and height of a PNG (its first chunk, IHDR)."""
    head = png.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])
