"""The form of objects: of Kubernetes' own kinds, of Istio's, and of those that definitions bring. Pure."""
