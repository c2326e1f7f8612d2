"""How long reading takes: 2,000 small VirtualServices with the line of every field, and one file of 10 MB.

Run: python benchmarks/manifests.py
"""

from __future__ import annotations

import time

from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Namespace

ROUTE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews-{number}
spec:
  hosts:
  - reviews
  http:
  - match:
    - headers:
        end-user:
          exact: jason
    route:
    - destination:
        host: reviews
        subset: v2
      weight: 80
    - destination:
        host: reviews
        subset: v3
      weight: 20
---
"""
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: large}\ndata:\n"


def main() -> None:
    """Print CPU seconds and megabytes per second."""
    measure("2,000 VirtualServices", "".join(ROUTE.format(number=number) for number in range(2_000)))
    measure("one ConfigMap", CONFIG + "".join(f'  key{number}: "value {number}"\n' for number in range(400_000)))


def measure(what: str, text: str) -> None:
    """Read one text and tell how long it took."""
    begun = time.process_time()
    read = read_manifests([SourceText("mesh.yaml", text.encode())], default_namespace=Namespace("default"))
    seconds = time.process_time() - begun
    size = len(text) / 1e6
    print(f"{what:24} {len(read):6} objects  {size:5.1f} MB  {seconds:6.3f} s  {size / seconds:5.1f} MB/s")


if __name__ == "__main__":
    main()
