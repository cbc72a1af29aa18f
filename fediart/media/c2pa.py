"""Content Credentials (C2PA 2, CAWG training and data mining 1.1) for the files that leave: the one room of c2pa-python.

An optional package, `fediart[c2pa]`. The certificate is one that this server made for itself: it shows that a file was not
changed since it left here, and not who this server is; readers that know no such certificate call it untrusted. Nothing is
fetched, and no thumbnail is put in. Whoever encodes a picture anew takes the credentials off.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fediart import __version__
from fediart.domain.reservations import Answer, Reservation
from fediart.domain.rights import Assertions
from fediart.media.disk import write_whole

MISSING = (
    "Content Credentials need a package that is not installed here: pip install 'fediart[c2pa]', and start the server again."
)

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"

AUTHORITY_DAYS, LEAF_DAYS, RENEWED_DAYS = 3650, 730, 60
"""How long the server's own authority and its certificate hold; the certificate is made anew so long before it ends."""

_SETTINGS = {
    "version": 1,
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}


def is_installed() -> bool:
    return importlib.util.find_spec("c2pa") is not None


def training_mining(reservation: Reservation, prefix: str) -> dict[str, Any]:
    """The entries of both assertions, which differ in their prefix: `cawg`, and the older `c2pa`, which other readers know."""
    answers = {
        "data_mining": Answer.DENY if reservation.is_reserved else Answer.ALLOW,
        "ai_inference": reservation.ai_input,
        "ai_training": reservation.training,
        "ai_generative_training": reservation.training,
    }
    words = {Answer.ALLOW: "allowed", Answer.DENY: "notAllowed"}
    return {f"{prefix}.{name}": {"use": words[answer]} for name, answer in answers.items()}


class Notary:
    """Signs files. `folder` keeps the authority and the certificate; they are made when first needed. Safe in any thread."""

    def __init__(self, folder: Path, host: str) -> None:
        self._folder = folder
        self._host = host
        self._making = threading.Lock()

    def sign(self, data: bytes, assertions: Assertions, now: int) -> bytes:
        """A JPEG with credentials. Its metadata must not be changed any more. `now` in ms."""
        c2pa: Any = importlib.import_module("c2pa")  # 0.45 s, and not always there
        chain, key = self._certificate(datetime.fromtimestamp(now / 1000, UTC))
        info = c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, chain, key, None)
        context = c2pa.Context(c2pa.Settings.from_dict(_SETTINGS))
        out = io.BytesIO()
        with c2pa.Signer.from_info(info) as signer, c2pa.Builder(_manifest(assertions), context) as builder:
            if assertions.source_type is None:
                # How it was made its artist did not say: it is a file that was there, and was opened.
                builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            builder.sign(signer, "image/jpeg", io.BytesIO(data), out)
        return out.getvalue()

    @property
    def authority(self) -> Path:
        """The file with the authority's certificate, for whoever wants to believe it."""
        return self._folder / "authority.pem"

    def _certificate(self, now: datetime) -> tuple[bytes, bytes]:
        """(certificate and authority, private key), PEM."""
        path = self._folder / "certificate.pem"
        with self._making:
            if not path.exists() or _ends(path) < now + timedelta(days=RENEWED_DAYS):
                self._make(now)
        held = path.read_bytes()
        leaf = x509.load_pem_x509_certificate(held).public_bytes(Encoding.PEM)
        return leaf + self.authority.read_bytes(), held[: held.index(_CERTIFICATE)]

    def _make(self, now: datetime) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        authority_key = self._folder / "authority.key"
        if not self.authority.exists() or _ends(self.authority) < now + timedelta(days=LEAF_DAYS):
            made = ec.generate_private_key(ec.SECP256R1())
            write_whole(authority_key, _pem_of(made), mode=0o600)
            own = _certified(f"{self._host} own authority", made, now, AUTHORITY_DAYS)
            write_whole(self.authority, own.public_bytes(Encoding.PEM), mode=0o644)
        issuer = x509.load_pem_x509_certificate(self.authority.read_bytes())
        issuer_key = load_pem_private_key(authority_key.read_bytes(), None)
        assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)  # made above, or at an earlier start
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _certified(self._host, key, now, LEAF_DAYS, (issuer, issuer_key))
        # In one file: whatever ends the process, the key is the certificate's.
        write_whole(self._folder / "certificate.pem", _pem_of(key) + leaf.public_bytes(Encoding.PEM), mode=0o600)


def _manifest(assertions: Assertions) -> dict[str, Any]:
    said: list[dict[str, Any]] = []
    if assertions.source_type is not None:
        action = {"action": "c2pa.created", "digitalSourceType": assertions.source_type}
        said.append({"label": "c2pa.actions", "data": {"actions": [action]}})
    for prefix in ("cawg", "c2pa"):
        entries = training_mining(assertions.reservation, prefix)
        said.append({"label": f"{prefix}.training-mining", "data": {"entries": entries}})
    return {
        "claim_generator_info": [{"name": "fediart", "version": __version__}],
        "title": assertions.title,
        "format": "image/jpeg",
        "assertions": said,
    }


def _ends(path: Path) -> datetime:
    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _certified(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    days: int,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None,
) -> x509.Certificate:
    """`issuer` None: an authority that signs itself. C2PA asks for these extensions (C2PA 2.2, 14.5.1)."""
    is_authority = issuer is None
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name[:64]), x509.NameAttribute(NameOID.COMMON_NAME, name[:64])]
    )
    issuer_key = key if issuer is None else issuer[1]
    usage = x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer[0].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
