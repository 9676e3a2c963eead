"""The RSA key that opens SecurityCredential, and the certificate the client encrypts with."""

import base64
import binascii
import os
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from hazina.simulators.daraja.clock import system_clock


class KeyPair:
    """Holds one private key; `certificate_pem` is what to hand out."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        self.certificate_pem = _self_signed(key)

    @classmethod
    def load(cls, path: Path | None) -> "KeyPair":
        """This will read the key at the path, creating it (mode 0600) when missing.

        The certificate is written beside it as `<file>.cert.pem` when missing.
        """
        if path is None:
            return cls(rsa.generate_private_key(public_exponent=65537, key_size=2048))
        if not path.exists():
            _write_private(path, rsa.generate_private_key(public_exponent=65537, key_size=2048))
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError(f"{path.name} holds no RSA key")
        pair = cls(key)
        certificate = path.with_name(path.name + ".cert.pem")
        if not certificate.exists():
            certificate.write_bytes(pair.certificate_pem)
        return pair

    def opens_to(self, credential: str, password: str) -> bool:
        """This will tell whether the base64 RSA PKCS#1 v1.5 credential holds the password."""
        try:
            sealed = base64.b64decode(credential, validate=True)
            return self._key.decrypt(sealed, padding.PKCS1v15()) == password.encode()
        except (binascii.Error, ValueError):
            return False


def _write_private(path: Path, key: rsa.RSAPrivateKey) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(pem)


def _self_signed(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Daraja simulator")])
    now = system_clock()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)
