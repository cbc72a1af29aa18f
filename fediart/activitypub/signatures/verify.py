"""Verify what others signed, in two steps, so that the caller can fetch the key in between.

`read_signature` says which key is needed and what exactly was signed, or why it is refused; `check_signature` then
judges with the key. Both old (draft-cavage-12) and new (RFC 9421) forms. A request with `Signature-Input` is judged by
RFC 9421 alone: falling back would let a sender choose the weaker rule.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from fediart.activitypub.signatures.digest import content_digest_fits, digest_fits
from fediart.activitypub.signatures.keys import load_public

PAST_MS = 12 * 3600 * 1000
FUTURE_MS = 3600 * 1000
EXPIRY_SLACK_MS = 3600 * 1000


class Reason(StrEnum):
    """Why a signature is refused; each has its own counter in the logs."""

    MISSING = "no signature"
    MALFORMED = "signature cannot be read"
    ALGORITHM = "algorithm not supported"
    COVERAGE = "signature does not cover what it must"
    HEADER_MISSING = "a signed header is missing"
    DATE = "no usable date"
    TOO_OLD = "too old"
    FUTURE = "from the future"
    EXPIRED = "expired"
    DIGEST = "digest does not fit the body"
    HOST = "signed for another host"
    KEY = "key not usable"
    WRONG = "signature is wrong"


@dataclass(frozen=True, slots=True)
class Refused:
    reason: Reason


@dataclass(frozen=True, slots=True)
class SignatureToCheck:
    """Everything but the key. `texts` are the strings either of which may have been signed."""

    key_id: str
    signature: bytes
    texts: tuple[bytes, ...]
    rsa_allowed: bool
    ed25519_allowed: bool


@dataclass(frozen=True, slots=True)
class Verified:
    key_id: str


_PARAMETER = re.compile(r'\s*([A-Za-z][A-Za-z0-9_-]{0,30})=(?:"([^"\\]{0,4096})"|([A-Za-z0-9._-]{1,100}))\s*(?:,|$)')
_CAVAGE_ALGORITHMS = frozenset({"", "rsa-sha256", "hs2019"})


_CLAIMED = re.compile(r';\s*keyid="([^"\\]{1,2000})"')


def claimed_key_id(headers: Mapping[str, str]) -> str | None:
    """Whose key a request says it is signed by, without looking whether it is: enough to refuse somebody, never to let in."""
    if "signature-input" in headers:
        found = _CLAIMED.search(headers["signature-input"][:8_192])
        return found[1] if found else None
    parameters = _cavage_parameters(headers["signature"]) if "signature" in headers else None
    return parameters.get("keyId") if parameters else None


def covers(headers: Mapping[str, str], name: str) -> bool:
    """Is a header among what is signed? To be asked of a signature that was verified."""
    if "signature-input" in headers:
        chosen = _INPUT.match(headers["signature-input"][:8_192])
        return chosen is not None and name in (_components(chosen[2].strip()) or [])
    parameters = _cavage_parameters(headers.get("signature", "")) or {}
    return name in parameters.get("headers", "").lower().split()


def read_signature(
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes | None,
    now_ms: int,
    expected_hosts: Set[str],
    scheme: str = "https",
) -> SignatureToCheck | Refused:
    """`target`: raw path and query. `headers`: lower-case names, several of one name joined by ", ".

    `body` None: a request without one (GET). `expected_hosts`: the values of Host under which we are known.
    """
    if "signature-input" in headers:
        return _read_rfc9421(method, target, headers, body, now_ms, expected_hosts, scheme)
    return _read_cavage(method, target, headers, body, now_ms, expected_hosts)


# ------------------------------------------------------------------------------------------ draft-cavage-12


def _cavage_parameters(header: str) -> dict[str, str] | None:
    if len(header) > 8_192:
        return None
    text = header.removeprefix("Signature ").strip()
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None or match[1] in found:
            return None
        found[match[1]] = match[2] if match[2] is not None else match[3]
        at = match.end()
    return found


def _read_cavage(
    method: str, target: str, headers: Mapping[str, str], body: bytes | None, now_ms: int, expected_hosts: Set[str]
) -> SignatureToCheck | Refused:
    if "signature" not in headers:
        return Refused(Reason.MISSING)
    parameters = _cavage_parameters(headers["signature"])
    if parameters is None or not parameters.get("keyId") or not parameters.get("signature"):
        return Refused(Reason.MALFORMED)
    algorithm = parameters.get("algorithm", "").lower()
    if algorithm not in _CAVAGE_ALGORITHMS:
        return Refused(Reason.ALGORITHM)
    default = "(created)" if algorithm == "hs2019" else "date"
    names = parameters.get("headers", default).lower().split()
    if problem := _coverage(names, body) or _cavage_times(names, parameters, headers, now_ms):
        return Refused(problem)
    if headers.get("host", "").lower() not in expected_hosts:
        return Refused(Reason.HOST)
    if body is not None and not digest_fits(headers.get("digest", ""), body):
        return Refused(Reason.DIGEST)
    signature = _decoded(parameters["signature"])
    texts = [_cavage_text(names, parameters, method, form, headers) for form in _target_forms(target)]
    if signature is None:
        return Refused(Reason.MALFORMED)
    if any(text is None for text in texts):
        return Refused(Reason.HEADER_MISSING)
    return SignatureToCheck(parameters["keyId"], signature, tuple(text for text in texts if text is not None), True, False)


def _coverage(names: list[str], body: bytes | None) -> Reason | None:
    """What must be signed: where it goes, to whom, when, and what it says."""
    needed = {"(request-target)", "host"} | ({"digest"} if body is not None else set())
    if not needed.issubset(names) or len(names) > 30 or len(set(names)) != len(names):
        return Reason.COVERAGE
    return None if {"date", "(created)"}.intersection(names) else Reason.COVERAGE


def _cavage_times(names: list[str], parameters: Mapping[str, str], headers: Mapping[str, str], now_ms: int) -> Reason | None:
    if "(created)" in names:
        created = _seconds(parameters.get("created"))
        if created is None:
            return Reason.DATE
        if problem := _window(created, now_ms):
            return problem
    if "date" in names and (problem := _date_window(headers.get("date", ""), now_ms)):
        return problem
    expires = _seconds(parameters.get("expires")) if "expires" in parameters else None
    if "expires" in parameters and expires is None:
        return Reason.DATE
    return Reason.EXPIRED if expires is not None and expires + EXPIRY_SLACK_MS < now_ms else None


def _seconds(text: str | None) -> int | None:
    return int(text) * 1000 if text is not None and text.isascii() and text.isdigit() and len(text) <= 12 else None


def _date_window(text: str, now_ms: int) -> Reason | None:
    try:
        moment = parsedate_to_datetime(text[:100])
        # A date of no known zone is in UTC: that of this machine has nothing to do with it.
        seconds = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
        return _window(int(seconds * 1000), now_ms)
    except (ValueError, TypeError, OverflowError, IndexError):
        return Reason.DATE


def _window(moment_ms: int, now_ms: int) -> Reason | None:
    if moment_ms < now_ms - PAST_MS:
        return Reason.TOO_OLD
    return Reason.FUTURE if moment_ms > now_ms + FUTURE_MS else None


def _target_forms(target: str) -> list[str]:
    """Some servers sign the path without its query."""
    bare = target.split("?", 1)[0]
    return [target] if bare == target else [target, bare]


def _cavage_text(
    names: list[str], parameters: Mapping[str, str], method: str, target: str, headers: Mapping[str, str]
) -> bytes | None:
    special = {
        "(request-target)": f"{method.lower()} {target}",
        "(created)": parameters.get("created"),
        "(expires)": parameters.get("expires"),
    }
    lines = []
    for name in names:
        value = special[name] if name in special else headers.get(name)
        if value is None:
            return None
        lines.append(f"{name}: {value}")
    return _wire(lines)


def _wire(lines: list[str]) -> bytes:
    """The bytes as they came: headers were read as Latin-1, so nothing else can stand in them."""
    return "\n".join(lines).encode("latin-1", "replace")


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


# ------------------------------------------------------------------------------------------------- RFC 9421

_INPUT = re.compile(r'\s*([a-z*][a-z0-9_.*-]{0,60})=\(([^()]{0,1000})\)((?:;[a-z]+=(?:"[^"\\]{0,2048}"|[0-9]{1,15}))*)\s*(?:,|$)')
_COMPONENT = re.compile(r'"([@a-z0-9-]{1,60})"(?:\s+|$)')
_INPUT_PARAMETER = re.compile(r';([a-z]+)=(?:"([^"\\]*)"|([0-9]+))')
_RFC_ALGORITHMS = frozenset({"rsa-v1_5-sha256", "ed25519", ""})


def _read_rfc9421(
    method: str, target: str, headers: Mapping[str, str], body: bytes | None, now_ms: int, expected_hosts: Set[str], scheme: str
) -> SignatureToCheck | Refused:
    chosen = _INPUT.match(headers["signature-input"][:8_192])
    if chosen is None:
        return Refused(Reason.MALFORMED)
    label, listed, tail = chosen[1], chosen[2].strip(), chosen[3]
    names = _components(listed)
    given = _INPUT_PARAMETER.findall(tail)
    parameters = {name: quoted or number for name, quoted, number in given}
    found = re.search(rf"(?:^|,)\s*{re.escape(label)}=:([A-Za-z0-9+/=]{{1,1400}}):", headers.get("signature", "")[:8_192])
    if names is None or found is None or not parameters.get("keyid") or len(parameters) != len(given):
        return Refused(Reason.MALFORMED)
    if parameters.get("alg", "") not in _RFC_ALGORITHMS:
        return Refused(Reason.ALGORITHM)
    needed = {"@method"} | ({"content-digest"} if body is not None else set())
    if not needed.issubset(names) or not _names_the_target(names):
        return Refused(Reason.COVERAGE)
    created = _seconds(parameters.get("created"))
    if created is None:
        return Refused(Reason.DATE)
    if problem := _window(created, now_ms):
        return Refused(problem)
    expires = _seconds(parameters.get("expires"))
    if "expires" in parameters and expires is None:
        return Refused(Reason.DATE)
    if expires is not None and expires + EXPIRY_SLACK_MS < now_ms:
        return Refused(Reason.EXPIRED)
    if headers.get("host", "").lower() not in expected_hosts:
        return Refused(Reason.HOST)
    if body is not None and not content_digest_fits(headers.get("content-digest", ""), body):
        return Refused(Reason.DIGEST)
    signature = _decoded(found[1])
    text = _rfc9421_text(names, f"({chosen[2]}){tail}", method, target, headers, scheme)
    if signature is None:
        return Refused(Reason.MALFORMED)
    if text is None:
        return Refused(Reason.HEADER_MISSING)
    algorithm = parameters.get("alg", "")
    return SignatureToCheck(parameters["keyid"], signature, (text,), algorithm != "ed25519", algorithm != "rsa-v1_5-sha256")


def _components(listed: str) -> list[str] | None:
    names: list[str] = []
    at = 0
    while at < len(listed):
        match = _COMPONENT.match(listed, at)
        if match is None or match[1] in names:
            return None
        names.append(match[1])
        at = match.end()
    return names


def _names_the_target(names: list[str]) -> bool:
    return "@target-uri" in names or {"@authority", "@path"}.issubset(names) or {"@authority", "@request-target"}.issubset(names)


def _rfc9421_text(
    names: list[str], parameters: str, method: str, target: str, headers: Mapping[str, str], scheme: str
) -> bytes | None:
    host = headers.get("host", "").lower()
    path, _, query = target.partition("?")
    derived = {
        "@method": method.upper(),
        "@target-uri": f"{scheme}://{host}{target}",
        "@authority": host,
        "@scheme": scheme,
        "@request-target": target,
        "@path": path,
        "@query": f"?{query}",
    }
    lines = []
    for name in names:
        value = derived.get(name) if name.startswith("@") else headers.get(name)
        if value is None:
            return None
        lines.append(f'"{name}": {value}')
    lines.append(f'"@signature-params": {parameters}')
    return _wire(lines)


# ------------------------------------------------------------------------------------------------- the check


def check_signature(to_check: SignatureToCheck, public_key: str) -> Verified | Refused:
    """Judge with the key, which is PEM or a Multikey."""
    key = load_public(public_key)
    if key is None:
        return Refused(Reason.KEY)
    if not (to_check.rsa_allowed if isinstance(key, rsa.RSAPublicKey) else to_check.ed25519_allowed):
        return Refused(Reason.ALGORITHM)
    if any(_is_signed(key, to_check.signature, text) for text in to_check.texts):
        return Verified(to_check.key_id)
    return Refused(Reason.WRONG)


def _is_signed(key: rsa.RSAPublicKey | ed25519.Ed25519PublicKey, signature: bytes, text: bytes) -> bool:
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
        else:
            key.verify(signature, text)
    except InvalidSignature:
        return False
    return True
