"""Sign our own requests: draft-cavage-12 with rsa-sha256, which nearly every server understands; RFC 9421 where it is wanted."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from email.utils import formatdate
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from fediart.activitypub.signatures.digest import content_digest_header, digest_header
from fediart.activitypub.signatures.keys import load_private
from fediart.activitypub.vocabulary import AP_TYPE

NOTHING_ELSE: Mapping[str, str] = MappingProxyType({})


class Form(StrEnum):
    """How a request is signed. The value is what is remembered of a host; '' stands for the first."""

    CAVAGE = "cavage"
    RFC9421 = "rfc9421"

    @property
    def other(self) -> Form:
        return Form.RFC9421 if self == Form.CAVAGE else Form.CAVAGE


def sign_as(
    form: Form,
    method: str,
    url: str,
    body: bytes | None,
    key_id: str,
    private_pem: str,
    now_ms: int,
    also: Mapping[str, str] = NOTHING_ELSE,
) -> dict[str, str]:
    """Headers to send with the request, signed in this form. `also`: further headers (small letters), which are signed too."""
    sign = sign_request_rfc9421 if form == Form.RFC9421 else sign_request
    return sign(method, url, body, key_id, private_pem, now_ms, also)


def request_target(url: str) -> str:
    """Path and query, as they go on the wire."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _sign(pem: str, text: str) -> str:
    return base64.b64encode(load_private(pem).sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()


def sign_request(
    method: str,
    url: str,
    body: bytes | None,
    key_id: str,
    private_pem: str,
    now_ms: int,
    also: Mapping[str, str] = NOTHING_ELSE,
) -> dict[str, str]:
    """Headers to send with the request. https://datatracker.ietf.org/doc/html/draft-cavage-http-signatures-12"""
    headers = {"host": urlsplit(url).netloc.rpartition("@")[2], "date": formatdate(now_ms / 1000, usegmt=True)}
    if body is not None:
        headers |= {"digest": digest_header(body), "content-type": AP_TYPE}
    headers |= also
    lines = [f"(request-target): {method.lower()} {request_target(url)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    names = " ".join(["(request-target)", *headers])
    signature = _sign(private_pem, "\n".join(lines))
    headers["signature"] = f'keyId="{key_id}",algorithm="rsa-sha256",headers="{names}",signature="{signature}"'
    return headers


def sign_request_rfc9421(
    method: str,
    url: str,
    body: bytes | None,
    key_id: str,
    private_pem: str,
    now_ms: int,
    also: Mapping[str, str] = NOTHING_ELSE,
) -> dict[str, str]:
    """The same in the newer form, for servers that ask for it. https://www.rfc-editor.org/rfc/rfc9421"""
    headers = {"host": urlsplit(url).netloc.rpartition("@")[2], "date": formatdate(now_ms / 1000, usegmt=True)}
    # Put together from what goes on the wire: an address without a path is asked at "/", and a fragment is not sent.
    target_uri = f"{urlsplit(url).scheme}://{headers['host'].lower()}{request_target(url)}"
    components = {"@method": method.upper(), "@target-uri": target_uri}
    if body is not None:
        headers |= {"content-digest": content_digest_header(body), "content-type": AP_TYPE}
        components["content-digest"] = headers["content-digest"]
    headers |= also
    components |= also
    listed = " ".join(f'"{name}"' for name in components)
    parameters = f'({listed});created={now_ms // 1000};keyid="{key_id}";alg="rsa-v1_5-sha256"'
    base = "\n".join([*(f'"{name}": {value}' for name, value in components.items()), f'"@signature-params": {parameters}'])
    headers["signature-input"] = f"sig1={parameters}"
    headers["signature"] = f"sig1=:{_sign(private_pem, base)}:"
    return headers
