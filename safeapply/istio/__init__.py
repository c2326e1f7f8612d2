"""Istio's own rules: what one class of proxies gets from one snapshot of all resources.

Pure. Everything else asks this room: the planner for what changes, the verifier for what can be seen.
"""
