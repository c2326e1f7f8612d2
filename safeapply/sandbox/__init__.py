"""A whole Istio mesh on one machine: an API server, a control plane, real Envoys, backends and traffic.

It is the judge of everything else in safeapply, so it shares no look-up, planning or judging code with it:
of the rest of the package it knows only ``resources.objects``, ``xds.names`` and ``errors``.
"""
