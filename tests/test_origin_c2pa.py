"""Content Credentials, signed here as generators and editors sign them, are read as far as they speak of the picture itself."""

from __future__ import annotations

import asyncio
import datetime
import importlib
import io
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier

from fediart.domain.origin import Level, Origin
from fediart.media.origin.credentials import with_credentials
from fediart.media.origin.manifest import chain, found_in, settings_for
from fediart.media.origin.read import read_origin
from tests.hostile_origins import chunk, png_with
from tests.origin_samples import IPTC, jpeg, picture, png, saved
from tests.test_origin import is_ready, kept, uploaded
from tests.test_origin_hostile import counting_server
from tests.waiting import until
from tests.world import a_world

c2pa: Any = importlib.import_module("c2pa")
pytestmark = pytest.mark.anyio

MAIL, C2PA_CLAIM, OTHER_USE = "1.3.6.1.5.5.7.3.4", "1.3.6.1.4.1.62558.2.1", "1.3.6.1.4.1.62558.99"
CREATED_BY_AI = {"action": "c2pa.created", "digitalSourceType": f"{IPTC}trainedAlgorithmicMedia"}
CREATED_BY_HAND = {"action": "c2pa.created", "digitalSourceType": f"{IPTC}digitalCreation"}
FILLED = {"action": "c2pa.edited", "digitalSourceType": f"{IPTC}compositeWithTrainedAlgorithmicMedia"}


@dataclass(frozen=True)
class Signer:
    chain: bytes
    key: bytes
    anchor: bytes


def a_signer(use: str = MAIL) -> Signer:
    """An authority and a certificate by it, both made now. `use`: the extended key usage."""
    now = datetime.datetime.now(datetime.UTC)
    authority, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def certificate(name: str, key: ec.EllipticCurvePrivateKey, is_authority: bool, days: int) -> x509.CertificateBuilder:
        def called(words: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(oid, words) for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)])

        flags = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
        return (
            x509.CertificateBuilder()
            .subject_name(called(name))
            .issuer_name(called("authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not is_authority, key_cert_sign=is_authority, crl_sign=is_authority,
                    encipher_only=False, decipher_only=False, **flags,
                ),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        )  # fmt: skip

    anchor = certificate("authority", authority, True, 900).sign(authority, hashes.SHA256())
    leaf = certificate("maker", own, False, 90).add_extension(x509.ExtendedKeyUsage([ObjectIdentifier(use)]), critical=False)
    pem = serialization.Encoding.PEM
    key = own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Signer(
        leaf.sign(authority, hashes.SHA256()).public_bytes(pem) + anchor.public_bytes(pem), key, anchor.public_bytes(pem)
    )


def signed(
    data: bytes,
    signer: Signer,
    *actions: dict[str, Any],
    ingredients: Iterable[tuple[str, bytes]] = (),
    kind: str = "image/jpeg",
    remote: str = "",
) -> bytes:
    """With a manifest of these actions. `ingredients`: (relationship, JPEG). `remote`: the manifest is not in it, but there."""
    manifest = {
        "claim_generator_info": [{"name": "a test"}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": actions}}],
    }
    settings = {
        "builder": {"thumbnail": {"enabled": False}},
        "trust": {"trust_config": "\n".join((MAIL, C2PA_CLAIM, OTHER_USE))},
        "verify": {"remote_manifest_fetch": False, "verify_after_sign": False},
    }
    builder = c2pa.Builder(manifest, c2pa.Context.from_dict(settings))
    for number, (relationship, ingredient) in enumerate(ingredients):
        known = {"title": "it", "relationship": relationship, "label": f"i{number}", "instance_id": f"i{number}"}
        builder.add_ingredient(json.dumps(known), "image/jpeg", io.BytesIO(ingredient))
    if remote:
        builder.set_no_embed()
        builder.set_remote_url(remote)
    out = io.BytesIO()
    info = c2pa.C2paSignerInfo(b"es256", signer.chain, signer.key, None)
    builder.sign(c2pa.Signer.from_info(info), kind, io.BytesIO(data), out)
    return out.getvalue()


def opened(number: int = 0, action: str = "c2pa.opened") -> dict[str, Any]:
    return {"action": action, "parameters": {"ingredientIds": [f"i{number}"]}}


def read(data: bytes, tmp_path: Path, trust: Path | None = None) -> Origin:
    path = tmp_path / "picture"
    path.write_bytes(data)
    return with_credentials(path, read_origin(path), trust)


def told(origin: Origin) -> list[tuple[Level, str]]:
    return [(signal.level, signal.source) for signal in origin.signals]


async def test_credentials_of_an_upload_are_noted_at_once_and_read_where_it_is_decoded(tmp_path: Path) -> None:
    signer = a_signer()
    made = signed(jpeg(), signer, CREATED_BY_AI)
    async with a_world(tmp_path, jobs=False) as world:
        image_id = await uploaded(world, made)
        at_once = await kept(world, image_id)
        assert (at_once.c2pa, told(at_once)) == ("not read", [(Level.INFO, "c2pa")])
    async with a_world(tmp_path / "with jobs") as world:
        folder = world.instance.data / "trust"
        folder.mkdir()
        image_id = await uploaded(world, made)
        await until(partial(is_ready, world, image_id))
        later = await kept(world, image_id)
        assert (later.c2pa, told(later)) == ("not verified", [(Level.DECLARED, "c2pa")])
        (folder / "anchors.pem").write_bytes(signer.anchor)
        image_id = await uploaded(world, made)
        await until(partial(is_ready, world, image_id))
        assert (await kept(world, image_id)).c2pa == "verified"


def test_each_format_s_credentials_are_found_and_read(tmp_path: Path) -> None:
    signer = a_signer()
    files = {
        "image/png": png({}),
        "image/webp": saved(picture(), "WEBP"),
        "image/avif": saved(picture(), "AVIF"),
        "image/gif": saved(picture("P"), "GIF"),
        "image/tiff": saved(picture(), "TIFF"),
    }
    for kind, data in files.items():
        assert read(data, tmp_path).c2pa == "absent", kind
        origin = read(signed(data, signer, CREATED_BY_AI, kind=kind), tmp_path)
        assert (origin.c2pa, told(origin)) == ("not verified", [(Level.DECLARED, "c2pa")]), kind


def test_what_a_picture_was_made_from_counts_and_what_was_placed_in_it_does_not(tmp_path: Path) -> None:
    signer = a_signer()
    generated = signed(jpeg(), signer, CREATED_BY_AI)
    cases = {
        "a person's": (signed(jpeg(), signer, CREATED_BY_HAND), [Level.INFO]),
        "a generated one, opened and saved": (
            signed(jpeg(), signer, opened(), ingredients=[("parentOf", generated)]), [Level.DECLARED]),
        "a generated one, then marked as composed": (
            signed(jpeg(), signer, opened(), FILLED, ingredients=[("parentOf", generated)]), [Level.DECLARED, Level.ASSISTED]),
        "a person's, filled in a place": (signed(jpeg(), signer, CREATED_BY_HAND, FILLED), [Level.ASSISTED, Level.INFO]),
        "a person's, a generated one placed in it": (
            signed(jpeg(), signer, CREATED_BY_HAND, opened(action="c2pa.placed"), ingredients=[("componentOf", generated)]),
            [Level.INFO]),
        "no word of how": (signed(jpeg(), signer, {"action": "c2pa.created"}), [Level.INFO]),
    }  # fmt: skip
    for name, (data, levels) in cases.items():
        origin = read(data, tmp_path)
        assert [signal.level for signal in origin.signals] == levels, (name, origin)


def test_only_the_admin_s_list_makes_a_signer_known_and_a_changed_file_is_never_declared(tmp_path: Path) -> None:
    trust = tmp_path / "trust"
    trust.mkdir()
    for use in (MAIL, C2PA_CLAIM):
        signer = a_signer(use)
        data = signed(jpeg(), signer, CREATED_BY_AI)
        (trust / "anchors.pem").write_bytes(b"no list at all")
        assert read(data, tmp_path, trust).c2pa == "not verified", use
        (trust / "anchors.pem").write_bytes(a_signer().anchor)
        assert read(data, tmp_path, trust).c2pa == "not verified", use
        (trust / "anchors.pem").write_bytes(signer.anchor)
        assert read(data, tmp_path, trust).c2pa == "verified", use
        changed = data[:-50] + bytes([data[-50] ^ 1]) + data[-49:]
        for folder in (None, trust):
            origin = read(changed, tmp_path, folder)
            assert (origin.c2pa, told(origin)) == ("invalid", [(Level.HINT, "c2pa")]), use


def test_a_use_of_certificates_that_only_the_admin_names_is_accepted(tmp_path: Path) -> None:
    signer = a_signer(OTHER_USE)
    data = signed(jpeg(), signer, CREATED_BY_AI)
    (tmp_path / "anchors.pem").write_bytes(signer.anchor)
    assert read(data, tmp_path, tmp_path).c2pa == "not verified"
    (tmp_path / "eku.cfg").write_text(OTHER_USE)
    assert read(data, tmp_path, tmp_path).c2pa == "verified"


async def test_credentials_that_are_kept_elsewhere_are_never_fetched(tmp_path: Path) -> None:
    """Forbidden to the library, and impossible for its process."""
    assert settings_for(None)["verify"] == {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True}
    asked_for: list[str] = []
    async with counting_server(asked_for) as url:
        data = signed(jpeg(), a_signer(), CREATED_BY_AI, remote=f"{url}/secret.c2pa")
        origin = await asyncio.to_thread(read, data, tmp_path)
        assert (origin.c2pa, told(origin)) == ("not read", [(Level.INFO, "c2pa")])
        assert asked_for == []
        with pytest.raises(c2pa.C2paError):  # left to itself the library does ask
            await asyncio.to_thread(c2pa.Reader, "image/jpeg", io.BytesIO(data))
        assert asked_for != []


async def test_broken_credentials_end_their_own_process_at_most(tmp_path: Path) -> None:
    store = signed(png({}), a_signer(), CREATED_BY_AI, kind="image/png")
    at = store.index(b"caBX")
    size = int.from_bytes(store[at - 4 : at])
    body = store[at + 4 : at + 4 + size]
    random.seed(2)
    broken = [body[: len(body) // 2], b"\0\0\0\x10jumb" * 60_000]
    nested = b""
    for _ in range(4_000):
        nested = (len(nested) + 8).to_bytes(4) + b"jumb" + nested
    broken.append(nested)
    for _ in range(3):
        noisy = bytearray(body)
        for _ in range(20):
            noisy[random.randrange(len(noisy))] = random.randrange(256)
        broken.append(bytes(noisy))
    for data in broken:
        origin = await asyncio.to_thread(read, png_with(chunk(b"caBX", data)), tmp_path)
        assert origin.c2pa in ("not read", "invalid")
        assert origin.level in (Level.INFO, Level.HINT)


def test_manifests_that_name_each_other_are_each_read_once() -> None:
    def manifest(parent: str) -> dict[str, Any]:
        return {
            "ingredients": [{"relationship": "parentOf", "active_manifest": parent}] * 50,
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [CREATED_BY_AI] * 1_000}}],
        }

    store = {"active_manifest": "a", "manifests": {"a": manifest("b"), "b": manifest("a")}}
    assert len(list(chain(store))) == 2
    assert len(found_in(store)) == 64
    many = {"active_manifest": "0", "manifests": {str(n): manifest(str(n + 1)) for n in range(500)}}
    assert len(list(chain(many))) == 64
