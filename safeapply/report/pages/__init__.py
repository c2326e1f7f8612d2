"""The templates of pages, and how they are filled: one file each, with nothing loaded and no script.

Names come from manifests, which anybody may have written: everything is escaped, and the page's own policy lets a
browser run and fetch nothing.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["filled"]


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("safeapply.report", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def filled(template: str, view: object) -> str:
    """Return a page.

    Args:
        template: the name of a file in this directory.
        view: what it shows, ready to print; the template decides nothing.
    """
    style, _, _ = _environment().loader.get_source(_environment(), "page.css")  # type: ignore[union-attr]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    page = _environment().get_template(template)
    # The style is ours, and its hash is that of these very bytes.
    return page.render(view=view, style=Markup(style), style_hash=f"sha256-{digest}") + "\n"  # noqa: S704
