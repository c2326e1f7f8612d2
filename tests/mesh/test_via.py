"""Envoys reached at addresses of their own, by the command as users run it."""

from __future__ import annotations

from pathlib import Path

from safeapply.resources.objects import Namespace
from safeapply.sandbox.mesh import Mesh
from safeapply.sandbox.sockets import admin_socket
from tests.mesh.command import EXAMPLE, command, scene

RENAME = ("apply", "-f", str(EXAMPLE / "desired"), "--yes", "--soak", "0")


def addresses(mesh: Mesh) -> list[str]:
    """Return the lines of a file with the admin ports of all Envoys."""
    parts = [name.rsplit(".", 1) for name in mesh.proxies]
    return [
        f"{namespace}/{pod} unix://{admin_socket(mesh.run, Namespace(namespace), pod)}" for pod, namespace in parts
    ]


async def test_a_rollout_can_ask_envoys_at_their_addresses(tmp_path: Path) -> None:
    """Nothing is forwarded: the file tells the way to each of them."""
    file = tmp_path / "addresses"
    async with Mesh(scene()) as mesh:
        file.write_text("\n".join(addresses(mesh)))
        result = await command(mesh, *RENAME, "--via", "url", "--proxy-addresses", str(file))
        assert result.code == 0, result.err


async def test_a_proxy_without_an_address_keeps_the_barrier_closed(tmp_path: Path) -> None:
    """It is unknown, and it is named; nothing is switched meanwhile."""
    file = tmp_path / "addresses"
    async with Mesh(scene()) as mesh:
        first, *others = addresses(mesh)
        file.write_text("\n".join(others))
        ways = ("--via", "url", "--proxy-addresses", str(file), "--barrier-timeout", "2s")
        result = await command(mesh, *RENAME, *ways)
        assert result.code == 3
        assert f"the file of addresses has no line for {first.split()[0]}" in result.err


async def test_the_options_of_a_way_belong_together(tmp_path: Path) -> None:
    """Before anything is read from the cluster."""
    async with Mesh(scene(proxies=1)) as mesh:
        for options in (("--via", "url"), ("--proxy-addresses", str(tmp_path))):
            result = await command(mesh, *RENAME, *options)
            assert result.code == 2
            assert "--via url needs --proxy-addresses FILE" in result.err
