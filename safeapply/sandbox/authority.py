"""The certificate authority of one mesh, made anew for each run; nothing of it is ever written to a file.

Workloads have a SPIFFE name as the only subject, as Istio's have
(https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from safeapply.sandbox.names import TRUST_DOMAIN

__all__ = ["Authority", "Credentials"]

SLACK = timedelta(hours=1)
LIFE = timedelta(days=365)
"""Longer than any mesh on one machine runs: nothing is renewed."""
NO_NAME = x509.Name([])
ROOT_NAME = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, TRUST_DOMAIN)])


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a workload shows, as PEM."""

    certificate: str
    key: str


class Authority:
    """Vouches for the workloads of one mesh."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._root = (
            _started(ROOT_NAME, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_others=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self._issued: dict[str, Credentials] = {}

    @property
    def root(self) -> str:
        """Its own certificate, as PEM."""
        return self._root.public_bytes(Encoding.PEM).decode()

    def credentials(self, namespace: str, account: str) -> Credentials:
        """Return what a service account's workloads show: the same to all that ask."""
        name = f"spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{account}"
        if name not in self._issued:
            self._issued[name] = self._issue(name)
        return self._issued[name]

    def _issue(self, name: str) -> Credentials:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _started(NO_NAME, key)
            # RFC 5280, 4.2.1.6: with an empty subject the alternative name is critical.
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name)]), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_others=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Credentials(certificate.public_bytes(Encoding.PEM).decode(), private.decode())


def _started(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ROOT_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SLACK)
        .not_valid_after(now + LIFE)
    )


def _usage(*, signs_others: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_others,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_others,
        crl_sign=signs_others,
        encipher_only=False,
        decipher_only=False,
    )
