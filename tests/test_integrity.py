"""Integrity proofs (FEP-8b32), Multikeys (FEP-521a) and canonical JSON (RFC 8785), by the vectors of those who wrote them."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import struct
from functools import cache
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st

from fediart.activitypub.parsers.actor import parse_actor
from fediart.activitypub.parsers.json_document import load_document
from fediart.activitypub.signatures.canonical import LARGEST_INTEGER, NotCanonical, canonical, number_text
from fediart.activitypub.signatures.integrity import Flaw, ProofToCheck, Unproven, add_proof, check_proof, read_proof
from fediart.activitypub.signatures.keys import ed25519_multikey, generate_ed25519_pair, load_ed25519_private, load_multikey
from fediart.activitypub.signatures.multibase import MAX_TEXT, base58_multibase, read_multibase
from fediart.activitypub.vocabulary import ACTOR_CONTEXT, AS, DATA_INTEGRITY
from fediart.domain.actors import Multikey
from fediart.errors import ParseError
from tests.json_ld import expanded

NOW = 1_790_000_000_000
ANA = "https://far.example/users/ana"
KEY_ID = f"{ANA}#ed25519-key"


@cache
def pair(name: str = "ana") -> tuple[str, str]:
    return generate_ed25519_pair()


def judged(document: dict[str, Any], multikey: str | None = None, now: int = NOW) -> Flaw | bool | None:
    """True: it is proven. None: it carries no proof that counts."""
    read = read_proof(document, now)
    if not isinstance(read, ProofToCheck):
        return read.reason if isinstance(read, Unproven) else None
    return check_proof(read, multikey or pair()[1]) or Flaw.WRONG


# ----------------------------------------------------------------------------------------------- vectors of FEP-8b32, FEP-521a

ALICE = "https://server.example/users/alice"
FEP_8B32_SECRET = "z3u2en7t5LR2WtQH5PfFqMqwVHBeXouLzo6haApm8XHqvjxq"
FEP_8B32_KEY = "z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"
FEP_8B32_AT = 1_677_281_798_000
FEP_8B32: dict[str, Any] = {
    "@context": [AS, DATA_INTEGRITY],
    "id": "https://server.example/activities/1",
    "type": "Create",
    "actor": ALICE,
    "object": {
        "id": "https://server.example/objects/1",
        "type": "Note",
        "attributedTo": ALICE,
        "content": "Hello world",
        "location": {"type": "Place", "longitude": -71.184902, "latitude": 25.273962},
    },
}
FEP_8B32_PROOF = {
    "@context": [AS, DATA_INTEGRITY],
    "type": "DataIntegrityProof",
    "cryptosuite": "eddsa-jcs-2022",
    "verificationMethod": f"{ALICE}#ed25519-key",
    "proofPurpose": "assertionMethod",
    "proofValue": "z42ffGu6AUKPCFcFPiabmUvnGLPJzC7e4DGWC52NUasSSH37UMa9c58tdgVszUcZfytxa4fQ5TYHaJENCxUDe9SdL",
    "created": "2023-02-24T23:36:38Z",
}


def secret_pem(multibase: str) -> str:
    data = read_multibase(multibase)
    assert data is not None
    assert data.startswith(b"\x80\x26"), "the multicodec of an Ed25519 private key"
    key = ed25519.Ed25519PrivateKey.from_private_bytes(data[2:])
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode()


def test_fep_8b32_signing_document() -> None:
    """fep-8b32.feature, 'Signing document'."""
    signed = add_proof(FEP_8B32, f"{ALICE}#ed25519-key", secret_pem(FEP_8B32_SECRET), FEP_8B32_AT)
    assert signed == {**FEP_8B32, "proof": FEP_8B32_PROOF}


def test_fep_8b32_verifying_a_signature() -> None:
    """fep-8b32.feature, 'Verifying a signature'; the actor of the feature shows its key as FEP-521a has it."""
    assert judged({**FEP_8B32, "proof": FEP_8B32_PROOF}, FEP_8B32_KEY) is True
    assert judged({**FEP_8B32, "proof": [FEP_8B32_PROOF]}, FEP_8B32_KEY) is True
    assert judged({**FEP_8B32, "signature": {"type": "RsaSignature2017"}, "proof": FEP_8B32_PROOF}, FEP_8B32_KEY) is True
    assert judged({**FEP_8B32, "proof": FEP_8B32_PROOF}) == Flaw.WRONG, "by another key"


def test_fep_521a_representing_an_ed25519_public_key() -> None:
    """fep-521a.feature, first scenario."""
    raw = bytes.fromhex("2e6fcce36701dc791488e0d0b1745cc1e33a4c1c9fcc41c63bd343dbbe0970e6")
    key = ed25519.Ed25519PublicKey.from_public_bytes(raw)
    text = "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
    assert ed25519_multikey(key) == text
    loaded = load_multikey(text)
    assert loaded is not None
    assert loaded.public_bytes_raw() == raw


FEP_521A_RSA = (
    "z4MXj1wBzi9jUstyPMS4jQqB6KdJaiatPkAtVtGc6bQEQEEsKTic4G7Rou3iBf9vPmT5dbkm9qsZsuVNjq8HCuW1w24nhBFGkRE4cd2Uf2tfrB3N7h4mnyPp"
    "1BF3ZttHTYv3DLUPi1zMdkULiow3M1GfXkoC6DoxDUm1jmN6GBj22SjVsr6dxezRVQc7aj9TxE7JLbMH1wh5X3kA58H3DFW8rnYMakFGbca5CB2Jf6CnGQZm"
    "L7o5uJAdTwXfy2iiiyPxXEGerMhHwhjTA1mKYobyk2CpeEcmvynADfNZ5MBvcCS7m3XkFCMNUYBS9NQ3fze6vMSUPsNa6GVYmKx2x6JrdEjCk3qRMMmyjnjC"
    "MfR4pXbRMZa3i"
)


def test_fep_521a_representing_an_rsa_public_key_is_none_that_proofs_are_checked_by() -> None:
    """fep-521a.feature, second scenario: RSA keys stand in `publicKey` here, so one in `assertionMethod` is passed over."""
    assert load_multikey(FEP_521A_RSA) is None
    rsa_key = {"id": f"{ANA}#rsa-key", "type": "Multikey", "controller": ANA, "publicKeyMultibase": FEP_521A_RSA}
    assert keys_of([rsa_key, multikey()]) == (Multikey(KEY_ID, pair()[1]),)


# ----------------------------------------------------------------------------------------------------------- whose key


def multikey(**changes: Any) -> dict[str, Any]:
    return {"id": KEY_ID, "type": "Multikey", "controller": ANA, "publicKeyMultibase": pair()[1], **changes}


def keys_of(assertion_method: Any) -> tuple[Multikey, ...]:
    document = {
        "id": ANA,
        "type": "Person",
        "preferredUsername": "ana",
        "inbox": f"{ANA}/inbox",
        "publicKey": {"id": f"{ANA}#main-key", "owner": ANA, "publicKeyPem": "x"},
        "assertionMethod": assertion_method,
    }
    return parse_actor(document).multikeys


def test_keys_of_others_or_without_an_owner_are_left_out() -> None:
    mine = (Multikey(KEY_ID, pair()[1]),)
    assert keys_of(multikey()) == keys_of([multikey()]) == keys_of([multikey(), multikey()]) == mine
    assert keys_of(multikey(type=["Multikey", "VerificationMethod"])) == mine
    wrong: list[Any] = [
        None,
        "x",
        [KEY_ID],
        [[multikey()]],
        multikey(controller="https://far.example/users/bo"),
        multikey(controller=None),
        multikey(id="https://far.example/users/bo#ed25519-key"),
        multikey(id="https://other.example/users/ana#ed25519-key"),
        multikey(id=None),
        multikey(type="Key"),
        *(multikey(publicKeyMultibase=text) for text in (None, 5, "", "z", pair()[1][1:], pair()[1][:-1], pair()[1] + "1")),
        multikey(publicKeyMultibase="z" + "6" * MAX_TEXT),
        multikey(publicKeyMultibase="m7QE"),
    ]
    for case in wrong:
        assert keys_of(case) == (), case
    many = [multikey(id=f"{ANA}#key-{n}") for n in range(12)]
    assert len(keys_of(many)) == 10


def test_a_key_ends_when_it_says_so() -> None:
    (ends,) = keys_of(multikey(expires="2026-01-01T00:00:00Z", revoked="2025-01-01T00:00:00Z"))
    assert ends.expires_at == 1_735_689_600_000, "the earlier of both"
    assert ends.holds_at(1_735_689_599_999)
    assert not ends.holds_at(1_735_689_600_000)
    (unclear,) = keys_of(multikey(expires="soon"))
    assert not unclear.holds_at(NOW)


def test_our_actor_says_in_json_ld_what_the_contexts_of_fep_521a_would_say() -> None:
    said = expanded({"@context": ACTOR_CONTEXT, "id": ANA, "assertionMethod": [multikey()]})
    sec = "https://w3id.org/security#"
    (key,) = said[f"{sec}assertionMethod"]
    assert key == {
        "@id": KEY_ID,
        "@type": [f"{sec}Multikey"],
        f"{sec}controller": [{"@id": ANA}],
        f"{sec}publicKeyMultibase": [{"@type": f"{sec}multibase", "@value": pair()[1]}],
    }
    proven = expanded(add_proof({"@context": ACTOR_CONTEXT, "id": ANA, "type": "Update"}, KEY_ID, pair()[0], NOW))
    (proof,) = proven[f"{sec}proof"][0]["@graph"]
    assert proof["@type"] == [f"{sec}DataIntegrityProof"]
    assert proof[f"{sec}verificationMethod"] == [{"@id": KEY_ID}]


# ---------------------------------------------------------------------------------------------------------- what is refused


def document(**changes: Any) -> dict[str, Any]:
    said = {
        "@context": [
            AS,
            {"toot": "http://joinmastodon.org/ns#", "focalPoint": {"@container": "@list", "@id": "toot:focalPoint"}},
        ],
        "id": "https://far.example/1",
        "type": "Create",
        "actor": ANA,
        "to": [f"{AS}#Public"],
        "object": {"id": "https://far.example/2", "content": "<p>Ä \U0001f3a8 dusk</p>", "focalPoint": [0.25, -1.0], "size": 3},
    }
    return {**said, **changes}


def proven(said: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A document with a proof, of which these fields were changed after it was made (None: they are gone)."""
    signed = add_proof(said or document(), KEY_ID, pair()[0], NOW)
    proof = {name: value for name, value in {**signed["proof"], **changes}.items() if value is not None}
    return {**signed, "proof": proof}


def sealed(said: dict[str, Any], **options: Any) -> dict[str, Any]:
    """With a proof of these options, by an implementation of its own."""
    chosen = {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "verificationMethod": KEY_ID,
        "proofPurpose": "assertionMethod",
        **options,
    }
    hashed = b"".join(hashlib.sha256(canonical(part)).digest() for part in (chosen, said))
    return {**said, "proof": {**chosen, "proofValue": base58_multibase(load_ed25519_private(pair()[0]).sign(hashed))}}


def test_what_we_prove_we_believe_and_keep_as_it_was() -> None:
    said = document()
    before = copy.deepcopy(said)
    signed = proven(said)
    assert said == before
    assert {name: value for name, value in signed.items() if name not in ("@context", "proof")} == {
        name: value for name, value in said.items() if name != "@context"
    }
    assert signed["@context"] == [AS, DATA_INTEGRITY, said["@context"][1]] == signed["proof"]["@context"]
    assert judged(signed) is True
    assert judged(load_document(json.dumps(signed, indent=3).encode())) is True, "however it is written"
    assert judged(add_proof({**said, "@context": AS}, KEY_ID, pair()[0], NOW)) is True
    assert signed == proven(document()), "made twice it is the same"


def test_a_proof_that_does_not_say_the_context_it_signs_is_right_in_both_readings() -> None:
    """The specification signs the options as they are sent; Fedify signs the document's context among them."""
    said, created = document(), "2026-09-21T14:13:20Z"
    assert judged(sealed(said, created=created)) is True
    fedify = sealed(said, created=created, **{"@context": said["@context"]})
    del fedify["proof"]["@context"]
    assert judged(fedify) is True
    assert judged({**fedify, "@context": AS}) == Flaw.WRONG


def test_a_proof_may_sign_the_first_part_of_a_context() -> None:
    said = document()
    part = sealed({**said, "@context": [AS]}, **{"@context": [AS]})
    assert judged(part) is True
    assert judged({**part, "@context": [AS, "https://more.example/"]}) is True
    assert judged({**part, "@context": ["https://more.example/", AS]}) == Flaw.WRONG
    assert judged({name: value for name, value in part.items() if name != "@context"}) == Flaw.WRONG


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"cryptosuite": "eddsa-rdfc-2022"}, None),
        ({"cryptosuite": "mldsa44-jcs-2024"}, None),
        ({"cryptosuite": None}, None),
        ({"type": "Ed25519Signature2020"}, None),
        ({"previousProof": "urn:uuid:1"}, None),
        ({"verificationMethod": "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"}, None),
        ({"expires": "2026-09-21T14:13:19Z"}, None),
        ({"verificationMethod": None}, Flaw.MALFORMED),
        ({"verificationMethod": {"id": KEY_ID}}, Flaw.MALFORMED),
        ({"verificationMethod": "https://far.example/" + "x" * 2_000}, Flaw.MALFORMED),
        ({"proofPurpose": "authentication"}, Flaw.MALFORMED),
        ({"proofPurpose": None}, Flaw.MALFORMED),
        ({"proofValue": None}, Flaw.MALFORMED),
        ({"proofValue": "z"}, Flaw.MALFORMED),
        ({"proofValue": "u" + "A" * 86}, Flaw.MALFORMED),
        ({"proofValue": "z" + "2" * 50_000}, Flaw.MALFORMED),
        ({"nonce": 2**60 + 1}, Flaw.MALFORMED),
        ({"nonce": "\ud800"}, Flaw.MALFORMED),
        ({"created": "yesterday"}, Flaw.TIME),
        ({"created": 1_790_000_000}, Flaw.TIME),
        ({"created": "2026-09-21T15:13:21Z"}, Flaw.TIME),
        ({"created": "2026-09-21T14:13:19Z"}, Flaw.WRONG),
        ({"created": None}, Flaw.WRONG),
        ({"expires": "2036-01-01T00:00:00Z"}, Flaw.WRONG),
        ({"nonce": "1"}, Flaw.WRONG),
        ({"verificationMethod": f"{ANA}#another-key"}, Flaw.WRONG),
        ({"@context": [AS]}, Flaw.WRONG),
        ({"@context": None}, Flaw.WRONG),
    ],
)
def test_a_proof_like_this_is_refused_or_counts_as_none(changes: dict[str, Any], verdict: Flaw | None) -> None:
    if changes == {"@context": None}:
        # Left out it is as Fedify sends it; the document's own context was signed.
        assert judged(proven(**changes)) is True
        return
    assert judged(proven(**changes)) == verdict


@pytest.mark.parametrize("proof", [None, [], {}, "x", 5, [None], [[FEP_8B32_PROOF]], {"type": []}])
def test_what_is_no_proof_counts_as_none(proof: Any) -> None:
    assert judged({**document(), "proof": proof}) is None
    assert judged(document()) is None


def test_of_several_proofs_the_first_that_is_understood_is_judged() -> None:
    signed = proven()
    other = {"type": "DataIntegrityProof", "cryptosuite": "mldsa44-jcs-2024"}
    assert judged({**signed, "proof": [other, signed["proof"]]}) is True
    assert judged({**signed, "proof": [other] * 4 + [signed["proof"]]}) is None, "so many are not looked at"
    assert judged({**signed, "proof": [proven(nonce="1")["proof"], signed["proof"]]}) == Flaw.WRONG


WIRE = json.dumps(proven(), ensure_ascii=False, separators=(",", ":")).encode()


@given(st.integers(0, len(WIRE) - 1), st.integers(1, 255))
def test_a_byte_that_was_changed_anywhere_is_noticed(at: int, change: int) -> None:
    """In what was said or in the proof of it: it is not JSON any more, counts as no proof, or is wrong."""
    spoiled = bytearray(WIRE)
    spoiled[at] ^= change
    try:
        read = load_document(bytes(spoiled))
    except ParseError:
        return
    if read == load_document(WIRE):
        return  # `0.25` and `0.250`: the same document in other letters
    assert judged(read) is not True


def test_every_byte_with_one_bit_turned_is_noticed() -> None:
    taken = []
    for at in range(len(WIRE)):
        spoiled = bytearray(WIRE)
        spoiled[at] ^= 1
        try:
            read = load_document(bytes(spoiled))
        except ParseError:
            continue
        if judged(read) is True and read != load_document(WIRE):
            taken.append(bytes(spoiled[max(0, at - 20) : at + 20]))
    assert taken == []


# ------------------------------------------------------------------------------------------------- RFC 8785 and RFC 7493


def test_rfc_8785_section_3_2_2_the_sample_input_has_its_canonical_form() -> None:
    source = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": '\u20ac$\u000f\nA\'B"\\\\"/',
        "literals": [None, True, False],
    }
    assert canonical(source) == (
        b'{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        b'"string":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_rfc_8785_section_3_2_3_names_are_sorted_by_utf_16_code_units() -> None:
    names = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    written = json.loads(canonical(names), object_pairs_hook=lambda pairs: [value for _, value in pairs])
    assert written == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_rfc_8785_appendix_b_numbers(bits: str, text: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert number_text(value) == text


def test_rfc_8785_appendix_b_numbers_that_are_none_are_refused() -> None:
    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(NotCanonical):
            canonical([value])


def test_what_is_not_i_json_is_refused() -> None:
    """RFC 7493: two documents that differ are never written alike."""
    assert canonical([LARGEST_INTEGER, -LARGEST_INTEGER - 1]) == b"[9007199254740991,-9007199254740992]"
    assert canonical([58209698343354050]) == canonical([5.820969834335405e16])
    for value in (
        LARGEST_INTEGER + 2,
        -LARGEST_INTEGER - 2,
        58209698343354048,
        10**21,
        10**400,
        "\ud800",
        {"\udfff": 1},
        {1: 2},
        b"x",
        {1, 2},
    ):
        with pytest.raises(NotCanonical):
            canonical({"x": value})


def as_doubles(value: Any) -> Any:
    """As a program reads it that knows no whole numbers beyond 15 digits."""
    if isinstance(value, dict):
        return {name: as_doubles(item) for name, item in value.items()}
    if isinstance(value, list):
        return [as_doubles(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**14 else value


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(json_values)
def test_a_canonical_form_reads_as_the_same_document_and_is_its_own(value: Any) -> None:
    written = canonical(value)
    read = json.loads(written, parse_int=lambda digits: float(digits) if len(digits) > 15 else int(digits))
    assert read == as_doubles(value)
    assert canonical(msgspec.json.decode(written)) == written
    assert canonical(msgspec.json.decode(msgspec.json.encode(value))) == written, "however a program writes numbers"


@given(st.dictionaries(st.text(min_size=1), st.integers(0, 9), min_size=2))
def test_names_stand_in_the_order_of_their_utf_16_code_units(value: dict[str, int]) -> None:
    written = [name for name, _ in json.loads(canonical(value), object_pairs_hook=list)]
    units = [list(memoryview(name.encode("utf-16-le")).cast("H")) for name in written]
    assert units == sorted(units)
    assert sorted(written) == sorted(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_as_itself(value: float) -> None:
    assert float(number_text(value)) == value


@given(st.binary(max_size=100))
def test_what_is_written_in_base58_reads_back(data: bytes) -> None:
    assert read_multibase(base58_multibase(data)) == data


@pytest.mark.parametrize("text", ["", "m", "6Mk", "z0", "zI", "zé", "z" + "1" * MAX_TEXT])
def test_what_is_no_base58_is_refused(text: str) -> None:
    assert read_multibase(text) is None
