"""The real world: files, the API server, Envoy's admin port, the clock, the log.

The only real I/O outside the sandbox. No library exception leaves an adapter.
"""
