"""SecurityCredential: the initiator's password, sealed with Safaricom's certificate.

RSA with PKCS#1 v1.5 because that is what Daraja opens; every sealing differs. The certificate's
dates are not looked at: the ones in circulation expired years ago and are still in force.
"""

import base64
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from hazina.rails.mpesa.conf import MpesaMisconfigured


def load_certificate(path: Path) -> rsa.RSAPublicKey:
    """This will read the public key of a certificate, PEM or DER.

    Raises: MpesaMisconfigured when there is no RSA certificate to read.
    """
    try:
        raw = path.read_bytes()
        pem = b"-----BEGIN CERTIFICATE" in raw
        load = x509.load_pem_x509_certificate if pem else x509.load_der_x509_certificate
        key = load(raw).public_key()
    except (OSError, ValueError) as error:
        raise MpesaMisconfigured(f"HAZINA_MPESA_CERTIFICATE cannot be read: {error}") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise MpesaMisconfigured("HAZINA_MPESA_CERTIFICATE holds no RSA key")
    return key


def seal_password(key: rsa.RSAPublicKey, password: str) -> str:
    """This will make one SecurityCredential, base64."""
    return base64.b64encode(key.encrypt(password.encode(), padding.PKCS1v15())).decode()
