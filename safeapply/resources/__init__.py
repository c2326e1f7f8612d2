"""Kubernetes objects as values, and the reading of manifests.

Pure: text and documents come in, values go out. Files are opened in ``adapters.files``.
"""
