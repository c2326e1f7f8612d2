"""The file of addresses: its lines, and every fault of it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from safeapply.adapters.addresses import read_addresses
from safeapply.errors import UsageError


def test_a_line_is_a_pod_and_where_its_admin_port_is(tmp_path: Path) -> None:
    """Comments and empty lines may stand between."""
    file = tmp_path / "addresses"
    file.write_text("# the edge\n\nshop/web http://10.0.0.1:15000  # one\nshop/db\tunix:///run/x/admin.sock\n")
    assert read_addresses(file) == {"shop/web": "http://10.0.0.1:15000", "shop/db": "unix:///run/x/admin.sock"}


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """With their lines, so that one edit mends the file; the first alone is not indented."""
    file = tmp_path / "addresses"
    file.write_text(
        "web http://10.0.0.1\n"
        "shop/web\n"
        "shop/a https://10.0.0.1:15000\n"
        "shop/b http://10.0.0.1:port\n"
        "shop/c unix://run/admin.sock\n"
        "shop/d http://10.0.0.1\n"
        "shop/d http://10.0.0.2\n"
    )
    with pytest.raises(UsageError) as caught:
        read_addresses(file)
    wrong = "is no http://HOST[:PORT] and no unix:///PATH"
    assert str(caught.value).replace(f"{file}:", "") == (
        "1: 'web' is no [CONTEXT/]NAMESPACE/POD\n"
        "  2: not of the form [CONTEXT/]NAMESPACE/POD URL\n"
        f"  3: 'https://10.0.0.1:15000' {wrong}\n"
        f"  4: 'http://10.0.0.1:port' {wrong}\n"
        f"  5: 'unix://run/admin.sock' {wrong}\n"
        "  7: shop/d has an address already"
    )


def test_a_file_that_is_not_there_is_a_fault_of_the_command_line(tmp_path: Path) -> None:
    """Not a traceback."""
    with pytest.raises(UsageError, match="cannot be read from"):
        read_addresses(tmp_path / "nowhere")
