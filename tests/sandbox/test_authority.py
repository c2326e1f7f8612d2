"""The certificates of one mesh: names, and who vouches for them."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from safeapply.sandbox.authority import Authority


def test_a_workload_is_its_service_account() -> None:
    """One SPIFFE name, signed by the mesh's root, for the key that comes with it."""
    authority = Authority()
    own = authority.credentials("shop", "cart")
    certificate, root = (x509.load_pem_x509_certificate(pem.encode()) for pem in (own.certificate, authority.root))
    certificate.verify_directly_issued_by(root)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://cluster.local/ns/shop/sa/cart"]
    assert load_pem_private_key(own.key.encode(), None).public_key() == certificate.public_key()


def test_an_account_has_one_certificate_and_a_mesh_one_root() -> None:
    """Whoever asks twice gets the same; another mesh believes in nobody of this one."""
    one, other = Authority(), Authority()
    assert one.credentials("shop", "cart") == one.credentials("shop", "cart")
    assert one.credentials("shop", "cart") != one.credentials("shop", "default")
    assert one.root != other.root
