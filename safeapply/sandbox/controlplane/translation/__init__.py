"""From Kubernetes objects to the configuration of one Envoy, with Istio's names and rules. Pure."""
