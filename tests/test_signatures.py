"""HTTP signatures out and in, old (draft-cavage-12) and new (RFC 9421): what is believed, and every way not to be."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from functools import cache
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from fediart.activitypub.signatures.digest import content_digest_fits, digest_fits
from fediart.activitypub.signatures.keys import ed25519_multikey, generate_rsa_pair, load_private, load_public
from fediart.activitypub.signatures.sign import sign_request, sign_request_rfc9421
from fediart.activitypub.signatures.verify import (
    EXPIRY_SLACK_MS,
    FUTURE_MS,
    PAST_MS,
    Reason,
    Refused,
    SignatureToCheck,
    Verified,
    check_signature,
    read_signature,
)

NOW = 1_790_000_000_000
HOST = "art.example"
KEY_ID = "https://far.example/users/ana#main-key"
BODY = b'{"id":"https://far.example/1","type":"Like"}'
HOUR = 3_600_000


@cache
def rsa_pair(name: str = "ana") -> tuple[str, str]:
    return generate_rsa_pair()


@cache
def ed25519_pair() -> tuple[ed25519.Ed25519PrivateKey, str]:
    key = ed25519.Ed25519PrivateKey.generate()
    return key, public_pem(key.public_key())


def public_pem(key: rsa.RSAPublicKey | ed25519.Ed25519PublicKey) -> str:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


@dataclass(frozen=True)
class Sent:
    """A request as it reaches us."""

    method: str = "POST"
    target: str = "/users/mira/inbox"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = BODY

    def with_headers(self, **changed: str | None) -> Sent:
        named = {name.replace("_", "-"): value for name, value in changed.items()}
        kept = {**self.headers, **{name: value for name, value in named.items() if value is not None}}
        return replace(
            self, headers={name: value for name, value in kept.items() if name not in named or named[name] is not None}
        )


def seal(text: str, key: Any = None) -> str:
    """Sign a text: with ana's RSA key unless another is given."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return base64.b64encode(key.sign(text.encode("latin-1"))).decode()
    key = key or load_private(rsa_pair()[0])
    return base64.b64encode(key.sign(text.encode("latin-1"), padding.PKCS1v15(), hashes.SHA256())).decode()


def usual_headers(body: bytes | None = BODY, at: int = NOW) -> dict[str, str]:
    headers = {"host": HOST, "date": formatdate(at / 1000, usegmt=True), "content-type": "application/activity+json"}
    if body is not None:
        headers |= {"digest": f"SHA-256={sha256(body)}", "content-digest": f"sha-256=:{sha256(body)}:"}
    return headers


def old(
    names: str = "(request-target) host date digest content-type",
    *,
    method: str = "POST",
    target: str = "/users/mira/inbox",
    signed_target: str | None = None,
    body: bytes | None = BODY,
    at: int = NOW,
    created: object = None,
    expires: object = None,
    algorithm: str | None = "rsa-sha256",
    key: Any = None,
    key_id: str = KEY_ID,
    **more: str,
) -> Sent:
    """A request signed after draft-cavage-12, by an implementation of its own."""
    headers = {**usual_headers(body, at), **{name.replace("_", "-"): value for name, value in more.items()}}
    special = {
        "(request-target)": f"{method.lower()} {signed_target or target}",
        "(created)": created,
        "(expires)": expires,
    }
    text = "\n".join(f"{name}: {special[name] if name in special else headers.get(name, '')}" for name in names.split())
    parts = [f'keyId="{key_id}"']
    parts += [f'algorithm="{algorithm}"'] if algorithm is not None else []
    parts += [f"created={created}"] if created is not None else []
    parts += [f"expires={expires}"] if expires is not None else []
    parts += [f'headers="{names}"', f'signature="{seal(text, key)}"']
    return Sent(method, target, {**headers, "signature": ",".join(parts)}, body)


def new(
    names: tuple[str, ...] = ("@method", "@target-uri", "content-digest"),
    *,
    method: str = "POST",
    target: str = "/users/mira/inbox",
    body: bytes | None = BODY,
    at: int = NOW,
    created: object = NOW // 1000,
    alg: str | None = "rsa-v1_5-sha256",
    tail: str = "",
    key: Any = None,
    key_id: str | None = KEY_ID,
    label: str = "sig1",
    **more: str,
) -> Sent:
    """A request signed after RFC 9421, by an implementation of its own."""
    headers = {**usual_headers(body, at), **{name.replace("_", "-"): value for name, value in more.items()}}
    path, _, query = target.partition("?")
    derived = {
        "@method": method,
        "@target-uri": f"https://{HOST}{target}",
        "@authority": HOST,
        "@scheme": "https",
        "@request-target": target,
        "@path": path,
        "@query": f"?{query}",
    }
    listed = " ".join(f'"{name}"' for name in names)
    parameters = f"({listed})"
    parameters += f";created={created}" if created is not None else ""
    parameters += f';keyid="{key_id}"' if key_id is not None else ""
    parameters += f';alg="{alg}"' if alg is not None else ""
    parameters += tail
    lines = [f'"{name}": {derived[name] if name in derived else headers.get(name, "")}' for name in names]
    text = "\n".join([*lines, f'"@signature-params": {parameters}'])
    signed = {"signature-input": f"{label}={parameters}", "signature": f"{label}=:{seal(text, key)}:"}
    return Sent(method, target, {**headers, **signed}, body)


def read(sent: Sent, now: int = NOW) -> SignatureToCheck | Refused:
    return read_signature(sent.method, sent.target, sent.headers, sent.body, now, {HOST})


def judged(sent: Sent, pem: str | None = None, now: int = NOW) -> Reason | None:
    """None when it is believed."""
    found = read(sent, now)
    if isinstance(found, Refused):
        return found.reason
    verdict = check_signature(found, pem if pem is not None else rsa_pair()[1])
    return verdict.reason if isinstance(verdict, Refused) else None


def altered(sent: Sent, name: str, before: str, after: str) -> Sent:
    assert before in sent.headers[name], f"{before!r} is not in {sent.headers[name]!r}"
    return replace(sent, headers={**sent.headers, name: sent.headers[name].replace(before, after)})


# ---------------------------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize(
    "url", ["https://art.example/inbox", "https://art.example/users/mira/inbox?a=1&b=%20", "https://art.example"]
)
@pytest.mark.parametrize("body", [BODY, b"", None])
@pytest.mark.parametrize("sign", [sign_request, sign_request_rfc9421])
def test_what_we_sign_we_believe(sign: Any, body: bytes | None, url: str) -> None:
    private, public = rsa_pair()
    method = "GET" if body is None else "POST"
    headers = sign(method, url, body, KEY_ID, private, NOW)
    target = url.removeprefix("https://art.example") or "/"
    found = read_signature(method, target, headers, body, NOW, {HOST})
    assert isinstance(found, SignatureToCheck)
    assert found.key_id == KEY_ID
    assert check_signature(found, public) == Verified(KEY_ID)
    assert check_signature(found, rsa_pair("somebody else")[1]) == Refused(Reason.WRONG)


def test_our_old_signature_has_the_shape_that_the_strictest_servers_ask_for() -> None:
    headers = sign_request("POST", "https://art.example/inbox", BODY, KEY_ID, rsa_pair()[0], NOW)
    assert headers["digest"].startswith("SHA-256="), "Threads refuses small letters"
    assert headers["content-type"] == "application/activity+json"
    assert headers["date"].endswith(" GMT")
    assert 'algorithm="rsa-sha256"' in headers["signature"]
    assert 'headers="(request-target) host date digest content-type"' in headers["signature"]


# -------------------------------------------------------------------------------------- vectors of the specifications

DRAFT_KEY = """-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDCFENGw33yGihy92pDjZQhl0C3
6rPJj+CvfSC8+q28hxA161QFNUd13wuCTUcq0Qd2qsBe/2hFyc2DCJJg0h1L78+6
Z4UMR7EOcpfdUE9Hf3m/hs+FUR45uBJeDK1HSFHD8bHKD6kv8FPGfJTotc+2xjJw
oYi+1hqp1fIekaxsyQIDAQAB
-----END PUBLIC KEY-----
"""
DRAFT_HEADERS = {
    "host": "example.com",
    "date": "Sun, 05 Jan 2014 21:31:40 GMT",
    "content-type": "application/json",
    "digest": "SHA-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=",
    "content-length": "18",
}
DRAFT_BASIC = (
    "qdx+H7PHHDZgy4y/Ahn9Tny9V3GP6YgBPyUXMmoxWtLbHpUnXS2mg2+SbrQDMCJypxBLSPQR2aAjn7ndmw2iicw3HMbe8VfEdKFYRqzic+efkb3nndiv"
    "/x1xSHDJWeSWkx3ButlYSuBskLu6kd9Fswtemr3lgdDEmn04swr2Os0="
)
DRAFT_ALL = (
    "vSdrb+dS3EceC9bcwHSo4MlyKS59iFIrhgYkz8+oVLEEzmYZZvRs8rgOp+63LEM3v+MFHB32NfpB2bEKBIvB1q52LaEUHFv120V01IL+TAD48XaERZFu"
    "kWgHoBTLMhYS2Gb51gWxpeIq8knRmPnYePbF5MOkR0Zkly4zKH7s1dE="
)
DRAFT_NOW = 1_388_957_500_000


@pytest.mark.parametrize(
    ("names", "signature", "body"),
    [
        ("(request-target) host date", DRAFT_BASIC, None),
        ("(request-target) host date content-type digest content-length", DRAFT_ALL, b'{"hello": "world"}'),
    ],
)
def test_the_vectors_of_draft_cavage_12_appendix_c_sign_the_text_that_we_read(
    names: str, signature: str, body: bytes | None
) -> None:
    header = f'keyId="Test",algorithm="rsa-sha256",headers="{names}",signature="{signature}"'
    headers = {**DRAFT_HEADERS, "signature": header}
    found = read_signature("POST", "/foo?param=value&pet=dog", headers, body, DRAFT_NOW, {"example.com"})
    assert isinstance(found, SignatureToCheck)
    key = serialization.load_pem_public_key(DRAFT_KEY.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(found.signature, found.texts[0], padding.PKCS1v15(), hashes.SHA256())
    assert check_signature(found, DRAFT_KEY) == Refused(Reason.KEY), "the draft's key has 1024 bits, which is too few today"


DRAFT_DEFAULT = (
    "SjWJWbWN7i0wzBvtPl8rbASWz5xQW6mcJmn+ibttBqtifLN7Sazz6m79cNfwwb8DMJ5cou1s7uEGKKCs+FLEEaDV5lp7q25WqS+lavg7T8hc0GppauB6"
    "hbgEKTwblDHYGEtbGmtdHgVCk9SuS13F0hZ8FD0k/5OxEPXe5WozsbM="
)


def test_the_default_vector_of_draft_cavage_12_appendix_c_1_signs_too_little_to_be_believed() -> None:
    """It signs the date alone: whoever saw it could say anything else with it."""
    key = serialization.load_pem_public_key(DRAFT_KEY.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    text = f"date: {DRAFT_HEADERS['date']}"
    key.verify(base64.b64decode(DRAFT_DEFAULT), text.encode(), padding.PKCS1v15(), hashes.SHA256())
    header = f'keyId="Test",algorithm="rsa-sha256",signature="{DRAFT_DEFAULT}"'
    found = read_signature(
        "POST", "/foo?param=value&pet=dog", {**DRAFT_HEADERS, "signature": header}, None, DRAFT_NOW, {"example.com"}
    )
    assert found == Refused(Reason.COVERAGE)


RFC_PSS_KEY = """-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2
+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+
oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq
gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W
Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4
aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI
2wIDAQAB
-----END PUBLIC KEY-----
"""
RFC_B23 = (
    "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O"
    "0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvf"
    "rs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA=="
)


def test_the_full_vector_of_rfc_9421_b_2_3_signs_the_text_that_we_read() -> None:
    """Its algorithm, RSA-PSS, nobody here uses; the text is what counts."""
    names = '"date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length"'
    headers = {
        "host": "example.com",
        "date": "Tue, 20 Apr 2021 02:07:55 GMT",
        "content-type": "application/json",
        "content-digest": "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
        "content-length": "18",
        "signature-input": f'sig-b23=({names});created=1618884473;keyid="test-key-rsa-pss"',
        "signature": f"sig-b23=:{RFC_B23}:",
    }
    found = read_signature("POST", "/foo?param=Value&Pet=dog", headers, None, 1_618_884_473_000, {"example.com"})
    assert isinstance(found, SignatureToCheck)
    key = serialization.load_pem_public_key(RFC_PSS_KEY.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    pss = padding.PSS(padding.MGF1(hashes.SHA512()), 64)
    key.verify(found.signature, found.texts[0], pss, hashes.SHA512())
    with pytest.raises(InvalidSignature):
        key.verify(found.signature, found.texts[0] + b" ", pss, hashes.SHA512())
    assert check_signature(found, RFC_PSS_KEY) == Refused(Reason.WRONG), "and it is not taken for the algorithm that we do use"


def test_the_ed25519_vector_of_rfc_9421_b_2_6_is_believed() -> None:
    headers = {
        "host": "example.com",
        "date": "Tue, 20 Apr 2021 02:07:55 GMT",
        "content-type": "application/json",
        "content-length": "18",
        "signature-input": 'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")'
        ';created=1618884473;keyid="test-key-ed25519"',
        "signature": "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
    }
    pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----\n"
    found = read_signature("POST", "/foo?param=Value&Pet=dog", headers, None, 1_618_884_473_000, {"example.com"})
    assert isinstance(found, SignatureToCheck)
    assert check_signature(found, pem) == Verified("test-key-ed25519")
    key = serialization.load_pem_public_key(pem.encode())
    assert isinstance(key, ed25519.Ed25519PublicKey)
    assert check_signature(found, ed25519_multikey(key)) == Verified("test-key-ed25519"), "and as a Multikey"


RFC_B21 = (
    "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eS"
    "kFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HEL"
    "jVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q=="
)
RFC_B22 = (
    "LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtA"
    "mj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcs"
    "Ik4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw=="
)


@pytest.mark.parametrize(
    ("name", "parameters", "signature", "reason"),
    [
        ("b21", '();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"', RFC_B21, Reason.COVERAGE),
        (
            "b22",
            '("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss"'
            ';tag="header-example"',
            RFC_B22,
            Reason.MALFORMED,
        ),
        (
            "b24",
            '("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256"',
            "0Ry6HsvzS5VmA6HlfBYS/fYYeNs7fYuA7s0tAdxfUlPGv0CSVuwrrzBOjcCFHTxVRJ01wjvSzM2BetJauj8dsw==",
            Reason.COVERAGE,
        ),
        (
            "b25",
            '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
            "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=",
            Reason.COVERAGE,
        ),
    ],
)
def test_the_vectors_of_rfc_9421_b_2_that_sign_too_little_of_a_request_are_refused(
    name: str, parameters: str, signature: str, reason: Reason
) -> None:
    """B.2.1 and B.2.5 name no method and no target, B.2.2 a part of the query, which nobody signs; B.2.4 is a response."""
    headers = {
        "host": "example.com",
        "date": "Tue, 20 Apr 2021 02:07:55 GMT",
        "content-type": "application/json",
        "content-digest": "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
        "content-length": "18",
        "signature-input": f"sig-{name}={parameters}",
        "signature": f"sig-{name}=:{signature}:",
    }
    found = read_signature("POST", "/foo?param=Value&Pet=dog", headers, None, 1_618_884_473_000, {"example.com"})
    assert found == Refused(reason)


# ------------------------------------------------------------------------------------------------------ accepted shapes

ACCEPTED: dict[str, Sent] = {
    "Mastodon": old("(request-target) host date digest content-type"),
    "GoToSocial": old("(request-target) host date digest", algorithm="hs2019", key_id="https://far.example/users/ana/main-key"),
    "Pixelfed": old("(request-target) date host content-type digest"),
    "Misskey": old("(request-target) date host digest"),
    "Akkoma": old("(request-target) content-length date digest host", content_length=str(len(BODY))),
    "Lemmy": old("(request-target) content-type date digest host", algorithm="hs2019"),
    "Discourse": old(
        "(request-target) (created) (expires) host digest", algorithm="hs2019", created=NOW // 1000, expires=NOW // 1000 + 300
    ),
    "Threads": old("(request-target) host date digest", expires=NOW // 1000 + 300),
    "no algorithm": old(algorithm=None),
    "the query is not signed": old(target="/inbox?x=1", signed_target="/inbox"),
    "the query is signed": old(target="/inbox?x=1"),
    "a GET": old("(request-target) host date", method="GET", body=None),
    "small letters in the digest's name": old(digest=f"sha-256={sha256(BODY)}"),
    "a second digest beside": old(digest=f"SHA-512=abc,SHA-256={sha256(BODY)}"),
    "a Latin-1 letter in a signed header": old("(request-target) host date digest x-name", x_name="caf\xe9"),
    "Mastodon, new": new(),
    "Fedify, new": new(("@method", "@target-uri", "@authority", "host", "date", "content-digest")),
    "new, path and authority": new(("@method", "@authority", "@path", "@query", "content-digest"), target="/inbox?x=1"),
    "new, request target": new(("@method", "@authority", "@request-target", "content-digest")),
    "new, a GET": new(("@method", "@target-uri"), method="GET", body=None),
    "new, no algorithm": new(alg=None),
    "new, with nonce and tag": new(tail=';nonce="abc";tag="x"'),
    "new, expires soon": new(tail=f";expires={NOW // 1000 + 300}"),
}


@pytest.mark.parametrize("name", ACCEPTED)
@pytest.mark.row(5)
def test_a_request_signed_like_this_is_believed(name: str) -> None:
    assert judged(ACCEPTED[name]) is None


def test_the_word_signature_before_the_parameters_is_tolerated() -> None:
    sent = old()
    assert judged(sent.with_headers(signature="Signature " + sent.headers["signature"])) is None


def test_ed25519_is_believed_in_the_new_form_only() -> None:
    key, pem = ed25519_pair()
    assert judged(new(alg="ed25519", key=key), pem) is None
    assert judged(new(alg=None, key=key), pem) is None
    assert judged(new(alg="rsa-v1_5-sha256", key=key), pem) == Reason.ALGORITHM
    assert judged(old(key=key), pem) == Reason.ALGORITHM
    assert judged(old(key=key, algorithm="hs2019"), pem) == Reason.ALGORITHM


# ----------------------------------------------------------------------------------------------------------- refusals

EVIL = b'{"id":"https://far.example/2","type":"Like"}'

REFUSED: dict[str, tuple[Sent, Reason]] = {
    # what must be there
    "no signature": (Sent(headers=usual_headers()), Reason.MISSING),
    "request-target not signed": (old("host date digest"), Reason.COVERAGE),
    "host not signed": (old("(request-target) date digest"), Reason.COVERAGE),
    "date not signed": (old("(request-target) host digest"), Reason.COVERAGE),
    "digest not signed": (old("(request-target) host date"), Reason.COVERAGE),
    "nothing signed": (old("", body=None, method="GET"), Reason.COVERAGE),
    "no headers parameter": (
        altered(old(), "signature", 'headers="(request-target) host date digest content-type",', ""),
        Reason.COVERAGE,
    ),
    "hs2019 without headers": (
        altered(old("(created)", algorithm="hs2019", created=NOW // 1000), "signature", 'headers="(created)",', ""),
        Reason.COVERAGE,
    ),
    "a header signed twice": (old("(request-target) host date digest date"), Reason.COVERAGE),
    "31 headers": (old("(request-target) host date digest " + " ".join(f"x-{n}" for n in range(27))), Reason.COVERAGE),
    # what cannot be read
    "no keyId": (altered(old(), "signature", f'keyId="{KEY_ID}",', ""), Reason.MALFORMED),
    "an empty keyId": (altered(old(), "signature", KEY_ID, ""), Reason.MALFORMED),
    "two keyIds": (altered(old(), "signature", "algorithm=", f'keyId="{KEY_ID}",algorithm='), Reason.MALFORMED),
    "two signatures in one header": (
        altered(old(), "signature", ',signature="', ',signature="AAAA",signature="'),
        Reason.MALFORMED,
    ),
    "two headers parameters": (altered(old(), "signature", 'headers="', 'headers="date",headers="'), Reason.MALFORMED),
    "an unclosed quote": (old().with_headers(signature='keyId="abc'), Reason.MALFORMED),
    "an escape in a quote": (altered(old(), "signature", "#main-key", '\\"#main-key'), Reason.MALFORMED),
    "an empty header": (old().with_headers(signature=""), Reason.MALFORMED),
    "a signature that is no base64": (altered(old(), "signature", 'signature="', 'signature="*'), Reason.MALFORMED),
    "an empty signature": (old().with_headers(signature=f'keyId="{KEY_ID}",signature=""'), Reason.MALFORMED),
    "a header of 9,000 characters": (altered(old(), "signature", KEY_ID, KEY_ID + "x" * 9_000), Reason.MALFORMED),
    # algorithms
    "rsa-sha1": (old(algorithm="rsa-sha1"), Reason.ALGORITHM),
    "rsa-sha512": (old(algorithm="rsa-sha512"), Reason.ALGORITHM),
    "hmac-sha256": (old(algorithm="hmac-sha256"), Reason.ALGORITHM),
    "ed25519, old form": (old(algorithm="ed25519"), Reason.ALGORITHM),
    # headers that are signed and not there
    "a signed header is not sent": (old("(request-target) host date digest x-none"), Reason.HEADER_MISSING),
    "expires signed and not given": (old("(request-target) host date digest (expires)"), Reason.HEADER_MISSING),
    # time
    "12 hours and a second old": (old(at=NOW - PAST_MS - 1000), Reason.TOO_OLD),
    "13 hours old": (old(at=NOW - 13 * HOUR), Reason.TOO_OLD),
    "an hour and a second ahead": (old(at=NOW + FUTURE_MS + 1000), Reason.FUTURE),
    "two hours ahead": (old(at=NOW + 2 * HOUR), Reason.FUTURE),
    "created too old": (old("(request-target) (created) host digest", created=(NOW - PAST_MS) // 1000 - 1), Reason.TOO_OLD),
    "created too far ahead": (
        old("(request-target) (created) host digest", created=(NOW + FUTURE_MS) // 1000 + 1),
        Reason.FUTURE,
    ),
    "created well, but an old date signed too": (
        old("(request-target) (created) host date digest", created=NOW // 1000, at=NOW - 13 * HOUR),
        Reason.TOO_OLD,
    ),
    "created is signed and not given": (old("(request-target) (created) host digest"), Reason.DATE),
    "created is no number": (old("(request-target) (created) host digest", created="soon"), Reason.DATE),
    "created has a sign": (old("(request-target) (created) host digest", created="-1"), Reason.DATE),
    "a date that is none": (old(date="yesterday"), Reason.DATE),
    "an empty date": (old(date=""), Reason.DATE),
    "no date": (old().with_headers(date=None), Reason.DATE),
    "expired": (old(expires=(NOW - EXPIRY_SLACK_MS) // 1000 - 1), Reason.EXPIRED),
    "expires is no number": (old(expires="never"), Reason.DATE),
    # host
    "another host": (old(host="other.example"), Reason.HOST),
    "our host with a port": (old(host=f"{HOST}:8443"), Reason.HOST),
    "our host with a dot": (old(host=f"{HOST}."), Reason.HOST),
    "no host": (old().with_headers(host=None), Reason.HOST),
    # digest
    "the digest of another body": (old(digest=f"SHA-256={sha256(EVIL)}"), Reason.DIGEST),
    "another body": (replace(old(), body=EVIL), Reason.DIGEST),
    "an empty body": (replace(old(), body=b""), Reason.DIGEST),
    "no digest header": (old().with_headers(digest=None), Reason.DIGEST),
    "only a SHA-512 digest": (old(digest="SHA-512=" + base64.b64encode(hashlib.sha512(BODY).digest()).decode()), Reason.DIGEST),
    "a digest that is no base64": (old(digest="SHA-256=???"), Reason.DIGEST),
    "a wrong digest before the right one": (old(digest=f"SHA-256={sha256(EVIL)},SHA-256={sha256(BODY)}"), Reason.DIGEST),
    # the signature does not fit
    "another path": (replace(old(), target="/users/ana/inbox"), Reason.WRONG),
    "another method": (replace(old(), method="PUT"), Reason.WRONG),
    "another query": (replace(old(target="/inbox?x=1"), target="/inbox?x=2"), Reason.WRONG),
    "signed with a query, sent without": (replace(old(target="/inbox?x=1"), target="/inbox"), Reason.WRONG),
    "a signed header changed": (old().with_headers(content_type="text/plain"), Reason.WRONG),
    "another date within the window": (old().with_headers(date=formatdate(NOW / 1000 - 60, usegmt=True)), Reason.WRONG),
    "names in another order": (
        altered(old(), "signature", "host date digest", "date host digest"),
        Reason.WRONG,
    ),
    "somebody else's key": (old(key=load_private(rsa_pair("somebody else")[0])), Reason.WRONG),
    # the same in the new form
    "new: no method": (new(("@target-uri", "content-digest")), Reason.COVERAGE),
    "new: no target": (new(("@method", "content-digest")), Reason.COVERAGE),
    "new: a path without its host": (new(("@method", "@path", "content-digest")), Reason.COVERAGE),
    "new: no digest": (new(("@method", "@target-uri")), Reason.COVERAGE),
    "new: nothing signed": (new(()), Reason.COVERAGE),
    "new: a component twice": (new(("@method", "@method", "@target-uri", "content-digest")), Reason.MALFORMED),
    "new: no created": (new(created=None), Reason.DATE),
    "new: created is no number": (new(created='"soon"'), Reason.DATE),
    "new: too old": (new(created=(NOW - PAST_MS) // 1000 - 1), Reason.TOO_OLD),
    "new: from the future": (new(created=(NOW + FUTURE_MS) // 1000 + 1), Reason.FUTURE),
    "new: expired": (new(tail=f";expires={(NOW - EXPIRY_SLACK_MS) // 1000 - 1}"), Reason.EXPIRED),
    "new: expires is no number": (new(tail=';expires="never"'), Reason.DATE),
    "new: no keyid": (new(key_id=None), Reason.MALFORMED),
    "new: an empty keyid": (new(key_id=""), Reason.MALFORMED),
    "new: a parameter twice": (new(tail=f";created={NOW // 1000}"), Reason.MALFORMED),
    "new: rsa-pss-sha512": (new(alg="rsa-pss-sha512"), Reason.ALGORITHM),
    "new: hmac-sha256": (new(alg="hmac-sha256"), Reason.ALGORITHM),
    "new: says ed25519, but the key is RSA": (new(alg="ed25519"), Reason.ALGORITHM),
    "new: another host": (new().with_headers(host="other.example"), Reason.HOST),
    "new: the digest of another body": (new(content_digest=f"sha-256=:{sha256(EVIL)}:"), Reason.DIGEST),
    "new: another body": (replace(new(), body=EVIL), Reason.DIGEST),
    "new: no content-digest": (new().with_headers(content_digest=None), Reason.DIGEST),
    "new: the digest header is of the old kind": (
        new(("@method", "@target-uri", "digest")).with_headers(content_digest=None),
        Reason.COVERAGE,
    ),
    "new: a signed header is not sent": (new(("@method", "@target-uri", "content-digest", "x-none")), Reason.HEADER_MISSING),
    "new: a component nobody knows": (new(("@method", "@target-uri", "content-digest", "@what")), Reason.HEADER_MISSING),
    "new: a component with a parameter": (
        altered(new(), "signature-input", '"content-digest"', '"content-digest";req'),
        Reason.MALFORMED,
    ),
    "new: another label in Signature": (altered(new(), "signature", "sig1=", "sig2="), Reason.MALFORMED),
    "new: no Signature": (new().with_headers(signature=None), Reason.MALFORMED),
    "new: Signature is no byte sequence": (new().with_headers(signature="sig1=abc"), Reason.MALFORMED),
    "new: an empty Signature-Input": (new().with_headers(signature_input=""), Reason.MALFORMED),
    "new: Signature-Input in ruins": (new().with_headers(signature_input='sig1=("@method'), Reason.MALFORMED),
    "new: another path": (replace(new(), target="/users/ana/inbox"), Reason.WRONG),
    "new: another method": (replace(new(), method="PUT"), Reason.WRONG),
    "new: the query cut off": (replace(new(target="/inbox?x=1"), target="/inbox"), Reason.WRONG),
    "new: somebody else's key": (new(key=load_private(rsa_pair("somebody else")[0])), Reason.WRONG),
    "new: parameters changed": (altered(new(tail=';tag="a"'), "signature-input", 'tag="a"', 'tag="b"'), Reason.WRONG),
    "a good old signature under a bad Signature-Input": (
        old().with_headers(signature_input='sig1=("@method")'),
        Reason.MALFORMED,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.row(5)
def test_a_request_like_this_is_refused_for_its_own_reason(name: str) -> None:
    sent, reason = REFUSED[name]
    assert judged(sent) == reason


@pytest.mark.row(5)
def test_there_are_at_least_forty_refusals_and_every_reason_has_one() -> None:
    assert len(REFUSED) >= 40
    assert {reason for _, reason in REFUSED.values()} | {Reason.KEY} == set(Reason)


@pytest.mark.parametrize(
    ("sent", "now"),
    [
        (old(at=NOW), NOW + PAST_MS),
        (old(at=NOW), NOW - FUTURE_MS),
        (old("(request-target) (created) host digest", created=NOW // 1000), NOW + PAST_MS),
        (old("(request-target) (created) host digest", created=NOW // 1000), NOW - FUTURE_MS),
        (old(at=NOW, expires=NOW // 1000), NOW + EXPIRY_SLACK_MS),
        (new(), NOW + PAST_MS),
        (new(), NOW - FUTURE_MS),
        (new(tail=f";expires={NOW // 1000}"), NOW + EXPIRY_SLACK_MS),
    ],
)
@pytest.mark.row(6)
def test_the_edges_of_the_window_are_inside(sent: Sent, now: int) -> None:
    assert judged(sent, now=now) is None


def test_a_date_without_a_zone_is_read_as_utc_wherever_this_machine_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    try:
        for zone in ("-0000", ""):
            text = formatdate(NOW / 1000, usegmt=True).replace("GMT", zone).strip()
            assert judged(old(date=text)) is None
    finally:
        monkeypatch.undo()
        time.tzset()


# --------------------------------------------------------------------------------------------------------------- keys


def test_keys_that_are_too_small_too_large_or_none_are_not_used() -> None:
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    assert judged(old(key=small), public_pem(small.public_key())) == Reason.KEY
    large = rsa.RSAPublicNumbers(65537, (1 << 8191) | 1).public_key()
    assert judged(old(), public_pem(large)) == Reason.KEY
    for pem in ("", "no key", rsa_pair()[0], "-----BEGIN PUBLIC KEY-----\n\ud800\n-----END PUBLIC KEY-----", "x" * 9_000):
        assert judged(old(), pem) == Reason.KEY


def test_a_key_of_4096_bits_is_used() -> None:
    assert load_public(public_pem(rsa.RSAPublicNumbers(65537, (1 << 4095) | 1).public_key())) is not None


# -------------------------------------------------------------------------------------------------------- properties


@given(st.sampled_from(["old", "new"]), st.integers(0, 255), st.integers(1, 255))
def test_no_byte_of_a_signature_can_be_changed(form: str, at: int, by: int) -> None:
    sent = old() if form == "old" else new()
    found = read(sent)
    assert isinstance(found, SignatureToCheck)
    changed = bytearray(found.signature)
    changed[at % len(changed)] ^= by
    assert check_signature(replace(found, signature=bytes(changed)), rsa_pair()[1]) == Refused(Reason.WRONG)


@given(st.sampled_from([old(), new()]), st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_no_byte_of_a_body_can_be_changed(sent: Sent, at: int, by: int) -> None:
    changed = bytearray(BODY)
    changed[at] ^= by
    assert judged(replace(sent, body=bytes(changed))) == Reason.DIGEST


SIGNED = [
    (old(), "date"),
    (old(), "digest"),
    (old(), "content-type"),
    (old(), "host"),
    (new(("@method", "@target-uri", "content-digest", "date", "content-type")), "content-digest"),
    (new(("@method", "@target-uri", "content-digest", "date", "content-type")), "date"),
    (new(("@method", "@target-uri", "content-digest", "date", "content-type")), "content-type"),
]


@given(st.sampled_from(SIGNED), st.integers(0, 1_000), st.characters(min_codepoint=0x20, max_codepoint=0xFF))
def test_no_character_of_a_signed_header_can_be_changed(case: tuple[Sent, str], at: int, character: str) -> None:
    sent, name = case
    value = sent.headers[name]
    at %= len(value)
    if value[at] == character:
        return
    changed = value[:at] + character + value[at + 1 :]
    assert judged(replace(sent, headers={**sent.headers, name: changed})) is not None


_WORDS = ['keyId="', "signature=", 'headers="', "(created)", "date", "host", "digest", "(request-target)", "created=1", ";keyid="]
_MARKS = [
    '"',
    ",",
    "=",
    "sig1=(",
    ");",
    '"@method"',
    '"@target-uri"',
    ":",
    "Sun, 05 Jan 2014",
    "21:31:40",
    "GMT",
    "-",
    "\\",
    "\0",
]
PIECES = st.sampled_from([*_WORDS, *_MARKS])
TEXT = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=30).map("".join))
ANY_HEADERS = st.dictionaries(
    st.sampled_from(["signature", "signature-input", "host", "date", "digest", "content-digest", "x-other"]), TEXT
)


@given(ANY_HEADERS, TEXT, st.one_of(st.none(), st.binary(max_size=50)))
def test_reading_whatever_stands_in_the_headers_ends_in_a_verdict(
    headers: dict[str, str], target: str, body: bytes | None
) -> None:
    found = read_signature("POST", target, headers, body, NOW, {HOST, ""})
    assert isinstance(found, Refused | SignatureToCheck)


@given(
    st.sampled_from([old(), new()]),
    st.sampled_from(["signature", "signature-input", "date", "digest", "host"]),
    st.integers(0, 999),
    TEXT,
)
def test_a_good_request_with_something_put_into_a_header_ends_in_a_verdict(sent: Sent, name: str, at: int, text: str) -> None:
    value = sent.headers.get(name, "")
    at %= len(value) + 1
    changed = replace(sent, headers={**sent.headers, name: value[:at] + text + value[at:]})
    assert isinstance(read(changed), Refused | SignatureToCheck)


@given(TEXT)
def test_dates_of_any_shape_are_read_or_refused(text: str) -> None:
    assert judged(old(date=text.encode("latin-1", "replace").decode("latin-1"))) in {None, *Reason}


@pytest.mark.parametrize("unit", [" ", ",", '"', "a=", 'a="', "=,", " , ", "a=b,", "(", "sig1=(", ";a=1", "=:", ",sig1=:"])
@pytest.mark.parametrize(
    ("sent", "name"),
    [(old(), name) for name in ("signature", "date", "digest")]
    + [(new(), name) for name in ("signature-input", "signature", "content-digest")],
)
@pytest.mark.row(23)
def test_a_megabyte_of_one_pattern_in_a_header_is_refused(sent: Sent, name: str, unit: str) -> None:
    attack = unit * (1_000_000 // len(unit))
    for value in (attack, sent.headers[name][:20] + attack):
        assert judged(replace(sent, headers={**sent.headers, name: value})) is not None


@given(TEXT, st.binary(max_size=20))
def test_a_digest_header_of_any_text_fits_only_when_it_names_the_body(text: str, body: bytes) -> None:
    if sha256(body) not in text:
        assert not digest_fits(text, body)
        assert not content_digest_fits(text, body)
