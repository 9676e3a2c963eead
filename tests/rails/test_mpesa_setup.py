"""What the rail refuses to start with, the sealed credential, and the caller behind proxies."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from hazina.infra.client_ip import client_ip, is_within, parse_networks
from hazina.infra.http import Http
from hazina.infra.settings import Mode, MpesaMode, Settings
from hazina.kernel.clock import SystemClock
from hazina.rails.mpesa.conf import MpesaMisconfigured, read_conf
from hazina.rails.mpesa.credential import load_certificate, seal_password
from hazina.rails.mpesa.manifest import make_rails

GOOD = {
    "mpesa_mode": MpesaMode.SANDBOX,
    "mpesa_consumer_key": SecretStr("key"),
    "mpesa_consumer_secret": SecretStr("secret"),
    "mpesa_shortcode": "174379",
    "mpesa_passkey": SecretStr("passkey"),
    "public_url": "https://pay.example.co.ke/",
}


class TestSettings:
    @pytest.mark.parametrize(
        ("mode", "base_url"),
        [
            (MpesaMode.SANDBOX, "https://sandbox.safaricom.co.ke"),
            (MpesaMode.PRODUCTION, "https://api.safaricom.co.ke"),
        ],
    )
    def test_the_base_url_follows_the_mode(self, mode: MpesaMode, base_url: str) -> None:
        conf = read_conf(Settings(**{**GOOD, "mpesa_mode": mode}))
        assert conf.base_url == base_url
        assert conf.public_url == "https://pay.example.co.ke"
        assert conf.b2c_shortcode == "174379"
        assert not conf.pays_out

    @pytest.mark.parametrize(
        ("change", "names"),
        [
            ({"mpesa_mode": MpesaMode.SIMULATED}, "HAZINA_MPESA_BASE_URL"),
            ({"mpesa_passkey": SecretStr("")}, "HAZINA_MPESA_PASSKEY"),
            ({"mpesa_consumer_key": SecretStr("")}, "HAZINA_MPESA_CONSUMER_KEY"),
            ({"mpesa_shortcode": "17 4379"}, "HAZINA_MPESA_SHORTCODE"),
            ({"mpesa_b2c_shortcode": "abc"}, "HAZINA_MPESA_B2C_SHORTCODE"),
            ({"public_url": "https://m-pesa.example.co.ke"}, "HAZINA_PUBLIC_URL"),
            ({"public_url": "https://pay.example.co.ke/EXEC"}, "HAZINA_PUBLIC_URL"),
        ],
    )
    def test_what_cannot_work_does_not_start(self, change: dict[str, object], names: str) -> None:
        with pytest.raises(MpesaMisconfigured, match=names):
            read_conf(Settings(**{**GOOD, **change}))

    def test_production_does_not_start_without_payouts(self) -> None:
        settings = Settings(**{**GOOD, "mode": Mode.PRODUCTION, "mpesa_mode": MpesaMode.PRODUCTION})
        with pytest.raises(MpesaMisconfigured, match="HAZINA_MPESA_INITIATOR_NAME"):
            make_rails(settings, Http(Mode.PRODUCTION), SystemClock())

    def test_no_secret_shows_in_a_repr(self) -> None:
        shown = repr(read_conf(Settings(**{**GOOD, "mpesa_initiator_password": SecretStr("pw#1")})))
        for secret in ("'key'", "'secret'", "'passkey'", "pw#1"):
            assert secret not in shown


def certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """A certificate that expired long ago, as those in circulation have."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "expired.example")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2014, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2016, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )


class TestCredential:
    @pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
    def test_an_expired_certificate_of_either_spelling_seals(
        self, tmp_path: Path, encoding: Encoding
    ) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        path = tmp_path / "certificate"
        path.write_bytes(certificate(key).public_bytes(encoding))
        public = load_certificate(path)
        sealed = {seal_password(public, "Pass#%&$;1") for _ in range(3)}
        assert len(sealed) == 3
        for text in sealed:
            opened = key.decrypt(base64.b64decode(text, validate=True), padding.PKCS1v15())
            assert opened == b"Pass#%&$;1"

    def test_a_file_that_is_no_rsa_certificate_does_not_start(self, tmp_path: Path) -> None:
        path = tmp_path / "certificate"
        with pytest.raises(MpesaMisconfigured):
            load_certificate(path)
        path.write_bytes(b"not a certificate")
        with pytest.raises(MpesaMisconfigured):
            load_certificate(path)
        curve = certificate(ec.generate_private_key(ec.SECP256R1()))
        path.write_bytes(curve.public_bytes(Encoding.PEM))
        with pytest.raises(MpesaMisconfigured, match="RSA"):
            load_certificate(path)


class TestClientAddress:
    PROXIES = parse_networks("10.0.0.1, 10.1.0.0/16, ::1")

    @pytest.mark.parametrize(
        ("peer", "forwarded", "address"),
        [
            ("203.0.113.9", [], "203.0.113.9"),
            ("203.0.113.9", ["196.201.214.200"], "203.0.113.9"),
            ("10.0.0.1", ["196.201.214.200"], "196.201.214.200"),
            ("10.0.0.1", ["196.201.214.200, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", ["196.201.214.200", "203.0.113.9, 10.1.2.3"], "203.0.113.9"),
            ("10.0.0.1", ["196.201.214.200:4711"], "196.201.214.200"),
            ("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
            ("::1", ["::ffff:196.201.214.200"], "196.201.214.200"),
            ("10.0.0.1", ["196.201.214.200, unknown"], "10.0.0.1"),
            ("10.0.0.1", ["10.1.0.1, 10.1.0.2"], "10.1.0.1"),
            ("10.0.0.1", [], "10.0.0.1"),
            ("10.0.0.1", [" , "], "10.0.0.1"),
            (None, ["196.201.214.200"], None),
            ("testclient", ["196.201.214.200"], None),
        ],
    )
    def test_only_our_own_proxies_are_believed(
        self, peer: str | None, forwarded: list[str], address: str | None
    ) -> None:
        assert client_ip(peer, forwarded, self.PROXIES) == address

    def test_networks_hold_their_addresses_in_every_spelling(self) -> None:
        networks = parse_networks("196.201.214.0/24")
        assert is_within("196.201.214.200", networks)
        assert is_within("::ffff:196.201.214.200", networks)
        assert not is_within("196.201.213.44", networks)
        assert not is_within("2001:db8::1", networks)
        assert not is_within(None, networks)

    def test_a_network_that_cannot_be_read_is_a_fault_of_the_settings(self) -> None:
        with pytest.raises(ValueError, match="10\\.0\\.0\\.999"):
            parse_networks("10.0.0.999")
