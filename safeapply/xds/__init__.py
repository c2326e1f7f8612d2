"""What Envoy says of itself: names, config dumps, and expectations judged against them.

Pure: answers come in as bytes, verdicts go out. Sockets live in ``adapters.envoy``.
"""
