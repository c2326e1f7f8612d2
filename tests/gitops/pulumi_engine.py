"""Stands in for Pulumi's engine, which no package registry has; the SDK and the provider's host are Pulumi's own.

``python pulumi_engine.py PROGRAM`` does what standard input says, ``up`` or ``destroy`` on each line, and answers
with a line. For ``up`` it runs the program, which registers one dynamic resource, and asks the process that hosts
dynamic providers what the engine would (pulumi ``proto/pulumi/provider.proto``): Check, then Create, or Diff and
Update.
"""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pulumi
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

URN = "urn:pulumi:test::test::pulumi-python:dynamic:Resource::mesh"


class Registered(pulumi.runtime.Mocks):  # type: ignore[misc]  # the SDK is not installed beside mypy
    """Hears what a program registers."""

    def __init__(self) -> None:
        self.inputs: dict[str, Any] = {}

    def new_resource(self, args: Any) -> tuple[str, dict[str, Any]]:
        """Keep the inputs, the pickled provider with them."""
        self.inputs = dict(args.inputs)
        return args.name, self.inputs

    def call(self, args: Any) -> dict[str, Any]:
        """Answer nothing: no function is called."""
        raise NotImplementedError(args)


def registered(program: str) -> dict[str, Any]:
    """Run a program as the language's host does, and return the inputs of its resource.

    The pickled provider is a secret, and the host takes none: as the engine does, its value is taken out.
    """
    heard = Registered()
    pulumi.runtime.set_mocks(heard)

    def run() -> None:
        runpy.run_path(program, run_name="__main__")

    pulumi.runtime.test(run)()
    return {key: one["value"] if isinstance(one, dict) else one for key, one in heard.inputs.items()}


@contextmanager
def hosted() -> Iterator[Any]:
    """Start the process that runs dynamic providers; it prints its port."""
    with subprocess.Popen([sys.executable, "-m", "pulumi.dynamic", "127.0.0.1:0"], stdout=subprocess.PIPE) as host:
        try:
            assert host.stdout is not None
            with grpc.insecure_channel(f"127.0.0.1:{int(host.stdout.readline())}") as channel:
                yield provider_pb2_grpc.ResourceProviderStub(channel)
        finally:
            host.terminate()


@dataclass
class Stack:
    """What is known of the resource."""

    provider: Any
    program: str
    state: Any = None

    def up(self) -> str:
        """Bring the resource to what the program says, and tell how."""
        news = json_format.ParseDict(registered(self.program), struct_pb2.Struct())
        checked = self.provider.Check(provider_pb2.CheckRequest(urn=URN, olds=self.state, news=news))
        if checked.failures:
            return "; ".join(f"{one.property}: {one.reason}" for one in checked.failures)
        if self.state is None:
            self.state = self.provider.Create(
                provider_pb2.CreateRequest(urn=URN, properties=checked.inputs)
            ).properties
            return "created"
        both = {"id": "mesh", "urn": URN, "olds": self.state, "news": checked.inputs}
        if self.provider.Diff(provider_pb2.DiffRequest(**both)).changes == provider_pb2.DiffResponse.DIFF_NONE:
            return "unchanged"
        self.state = self.provider.Update(provider_pb2.UpdateRequest(**both)).properties
        return "updated"

    def destroy(self) -> str:
        """Delete the resource."""
        self.provider.Delete(provider_pb2.DeleteRequest(id="mesh", urn=URN, properties=self.state))
        self.state = None
        return "deleted"


if __name__ == "__main__":
    with hosted() as provider:
        stack = Stack(provider, sys.argv[1])
        for line in sys.stdin:
            print(stack.up() if line.strip() == "up" else stack.destroy(), flush=True)  # noqa: T201  the answer
