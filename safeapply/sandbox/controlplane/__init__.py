"""The control plane of the embedded mesh: what istiod does, in Istio's names and with Istio's delays.

It is the judge of every plan, so it shares no look-up, planning or judging code with what it judges.
"""

from safeapply.sandbox.controlplane.deliveries import Delivery, Nack
from safeapply.sandbox.controlplane.plane import ControlPlane

__all__ = ["ControlPlane", "Delivery", "Nack"]
