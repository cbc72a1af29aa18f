"""Documents of other servers: whatever they send becomes a noun or a ParseError, within bounds; their quirks are understood."""

from __future__ import annotations

import contextlib
import json
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fediart.activitypub.addressing import read_visibility
from fediart.activitypub.identifiers import Identifiers, is_web_uri
from fediart.activitypub.parsers import actor, note
from fediart.activitypub.parsers.activity import parse_activity
from fediart.activitypub.parsers.actor import parse_actor
from fediart.activitypub.parsers.fields import MAX_ADDRESSES
from fediart.activitypub.parsers.json_document import MAX_BYTES, MAX_DEPTH, MAX_NODES, load_document
from fediart.activitypub.parsers.note import parse_note
from fediart.activitypub.vocabulary import AS_PUBLIC, ParsedActivity, ParsedActor, ParsedNote
from fediart.activitypub.webfinger import asked_username, read_jrd, split_handle
from fediart.domain.works import Visibility
from fediart.errors import ParseError
from fediart.remote.bring_home import actor_values
from fediart.remote.fetch import is_activity_type
from fediart.text.sanitise import MAX_BYTES as MAX_HTML
from fediart.text.sanitise import MAX_CHARS, MAX_TAGS, clean_html, clean_name, plain_text
from tests.conftest import EXAMPLES

DOCUMENTS = Path(__file__).parent / "documents"


def document(name: str) -> dict[str, Any]:
    """One of ours, read as if it had arrived."""
    return load_document((DOCUMENTS / f"{name}.json").read_bytes())


# ------------------------------------------------------------------------------------------------------- bytes to JSON


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("nothing", b""),
        ("no JSON", b"<html>"),
        ("a list", b"[]"),
        ("a string", b'"x"'),
        ("null", b"null"),
        ("two documents", b"{}{}"),
        ("cut off", b'{"a":'),
        ("one byte over a megabyte", b'{"a":"' + b"x" * (MAX_BYTES - 7) + b'"}'),
        ("33 levels", b'{"a":' * 33 + b"1" + b"}" * 33),
        ("33 levels of lists", b'{"a":' + b"[" * 32 + b"]" * 32 + b"}"),
        ("20,001 nodes", b'{"a":[' + b"1," * MAX_NODES + b"1]}"),
        ("a hundred thousand levels", b'{"a":' * 100_000),
        ("fifteen thousand open lists", b"[" * 15_000),
        ("a million small numbers", b'{"a":[' + b"1," * 500_000 + b"1]}"),
        ("NaN", b'{"a":NaN}'),
        ("Infinity", b'{"a":-Infinity}'),
        ("1e999", b'{"a":1e999}'),
        ("a number of 5,000 digits", b'{"a":' + b"9" * 5_000 + b"}"),
        ("a number of a million digits", b'{"a":' + b"9" * 1_000_000 + b"}"),
        ("a lone surrogate", b'{"a":"\\ud800"}'),
        ("a lone surrogate in UTF-8", b'{"a":"\xed\xa0\x80"}'),
        ("no UTF-8", b'{"a":"\xff"}'),
        ("a byte order mark", b"\xef\xbb\xbf{}"),
        ("UTF-16", '{"a":1}'.encode("utf-16")),
        ("a comment", b'{"a":1 /* x */}'),
        ("a comma too many", b'{"a":1,}'),
        ("a control character", b'{"a":"\x01"}'),
    ],
)
@pytest.mark.row(20)
def test_bytes_that_are_no_document_of_ours_are_refused(name: str, body: bytes) -> None:
    with pytest.raises(ParseError):
        load_document(body)


@pytest.mark.row(20)
def test_a_document_at_every_bound_is_read() -> None:
    assert load_document(b'{"a":"' + b"x" * (MAX_BYTES - 8) + b'"}')
    assert load_document(b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH)
    assert load_document(b'{"a":[' + b"1," * (MAX_NODES - 2) + b"1]}")


def test_of_a_repeated_key_the_last_one_counts() -> None:
    assert load_document(b'{"id":"https://a.example/1","id":"https://b.example/2"}') == {"id": "https://b.example/2"}


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace"))))
def test_any_bytes_end_in_a_document_or_a_parse_error(body: bytes) -> None:
    with contextlib.suppress(ParseError):
        assert isinstance(load_document(body), dict)


# ------------------------------------------------------------------------------------------- any JSON to a noun or an error

URIS = st.sampled_from(
    [
        "https://far.example/1",
        "https://far.example/users/ana",
        "https://other.example/2",
        "http://far.example/3",
        AS_PUBLIC,
        "javascript:alert(1)",
        "//far.example",
        "https://",
        "https://[::1",
        "https://far.example:99999/",
        "https://u@far.example/",
        "https://far.example/\x00",
        "https://far.example/ x",
        "as:Public",
        "Public",
        "",
        "https://far.example\\@evil.example/",
    ]
)
WORDS = st.sampled_from(
    [
        "Note",
        "Person",
        "Image",
        "Document",
        "Link",
        "Hashtag",
        "Mention",
        "PropertyValue",
        "Create",
        "Video",
        "image/jpeg",
        "true",
        "2026-11-20T10:00:00Z",
        "2026-11-20",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "-1",
        "#tag",
        "en",
        "a" * 300,
    ]
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20)
)
KEYS = st.sampled_from(
    sorted(
        {key for path in DOCUMENTS.glob("*.json") for key in json.loads(path.read_text())}
        | {"type", "id", "href", "url", "name", "mediaType", "owner", "publicKeyPem", "sharedInbox", "value", "summary", "width"}
        | {"focalPoint", "blurhash", "en", "@graph", "@reverse", "object", "links", "rel", "subject"}
    )
)
ANY_JSON = st.recursive(
    st.one_of(SCALARS, URIS, WORDS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(KEYS, st.text(max_size=5)), inner, max_size=6)
    ),
    max_leaves=20,
)
GOOD = [document(path.stem) for path in sorted(DOCUMENTS.glob("*.json"))]
SPOILED = st.builds(
    lambda good, changes: {**good, **changes}, st.sampled_from(GOOD), st.dictionaries(KEYS, ANY_JSON, min_size=1, max_size=4)
)
ANY_DOCUMENT = st.one_of(st.dictionaries(KEYS, ANY_JSON, max_size=8), SPOILED)

IDS = Identifiers("https://art.example", "art.example")


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _strings(item)]
    return []


def _check_actor(found: ParsedActor) -> None:
    assert found.kind in actor.KINDS
    addresses = [found.uri, found.url, found.inbox, found.shared_inbox, found.outbox, found.followers, found.following]
    assert all(is_web_uri(uri) for uri in [*addresses, found.featured, found.icon_url, found.image_url] if uri is not None)
    assert len(found.name) <= 2_048
    assert len(found.summary) <= 20_480
    assert len(found.fields) <= actor.MAX_FIELDS


def _check_note(found: ParsedNote) -> None:
    assert found.kind in note.KINDS or found.kind not in note.NO_POSTS, "what is not known is shown as a link"
    assert 1 <= len(found.kind) <= 64
    assert is_web_uri(found.uri)
    assert is_web_uri(found.url)
    assert found.in_reply_to is None or is_web_uri(found.in_reply_to)
    assert all(is_web_uri(uri) for uri in (*found.to, *found.cc))
    assert len(found.content) <= note.MAX_CONTENT
    assert len(found.attachments) <= note.MAX_ATTACHMENTS + 1
    for picture in found.attachments:
        assert is_web_uri(picture.url)
        assert picture.width is None or 1 <= picture.width <= 100_000
        assert picture.focal is None or all(-1 <= part <= 1 and math.isfinite(part) for part in picture.focal)


def _check_activity(found: ParsedActivity) -> None:
    assert is_web_uri(found.uri)
    assert is_web_uri(found.actor)
    assert found.object_uri is None or is_web_uri(found.object_uri)


PARSERS: list[tuple[Callable[[dict[str, Any]], Any], Callable[[Any], None]]] = [
    (parse_actor, _check_actor),
    (parse_note, _check_note),
    (parse_activity, _check_activity),
]


@pytest.mark.row(68)
@given(ANY_DOCUMENT)
def test_any_document_ends_in_a_noun_within_bounds_or_a_parse_error(given_document: dict[str, Any]) -> None:
    try:
        arrived = load_document(json.dumps(given_document).encode())
    except ParseError:
        return
    for parse, check in PARSERS:
        try:
            found = parse(arrived)
        except ParseError:
            continue
        check(found)
        for text in _strings({key: value for key, value in asdict(found).items() if key not in ("raw", "object")}):
            assert "\x00" not in text, "PostgreSQL stores no NUL"
            text.encode()  # and nothing stores a lone surrogate


@pytest.mark.row(68)
@given(ANY_DOCUMENT)
def test_any_webfinger_answer_ends_in_an_address_or_a_parse_error(given_document: dict[str, Any]) -> None:
    try:
        subject, uri = read_jrd(given_document)
    except ParseError:
        return
    assert is_web_uri(uri)
    assert len(subject) <= 500


@given(st.one_of(URIS, st.text(max_size=60), st.text(alphabet="acct:@./-[]%artexmpl", max_size=40)))
def test_any_resource_or_handle_ends_in_a_name_or_nobody(text: str) -> None:
    with contextlib.suppress(ParseError):
        asked_username(text, IDS)
    split_handle(text)
    IDS.is_local(text)
    IDS.pretends_local(text)
    IDS.parse_local(text)


@pytest.mark.parametrize("word", ["@graph", "@included", "@reverse"])
@pytest.mark.row(7)
def test_an_activity_that_reshapes_itself_is_refused(word: str) -> None:
    told = document("like-with-a-face-and-objects-in-lists")
    assert parse_activity(told)
    with pytest.raises(ParseError):
        parse_activity({**told, word: []})


# --------------------------------------------------------------------------------------------------------- field limits

NOTE = {
    "id": "https://far.example/notes/1",
    "type": "Note",
    "attributedTo": "https://far.example/users/ana",
    "content": "hello",
    "to": [AS_PUBLIC],
}
ACTOR = document("actor-whose-key-has-no-fragment-gotosocial")


@pytest.mark.parametrize("factor", [0, 1, 1_000])
@pytest.mark.parametrize(("field", "limit"), [("name", 2_048), ("summary", 2_048)])
@pytest.mark.row(21)
def test_words_of_a_note_are_cut_at_their_limit(field: str, limit: int, factor: int) -> None:
    asked = limit + (limit * factor if factor == 1_000 else factor)
    assert len(getattr(parse_note({**NOTE, field: "x" * asked}), field)) == limit


@pytest.mark.parametrize("letter", ["x", "\U0001f308", "&", '"', "<", "<b>x", "</", "<p>"])
@pytest.mark.parametrize("size", [65_536, 65_537, 900_000])
@pytest.mark.row(21)
def test_content_of_any_size_and_letters_makes_a_row_of_less_than_256_kb(letter: str, size: int) -> None:
    content = (letter * (size // len(letter) + 1))[:size]
    cleaned = clean_html(parse_note({**NOTE, "content": content}).content)
    assert 0 < len(cleaned.encode()) <= MAX_HTML < 256 * 1024


@pytest.mark.parametrize("factor", [0, 1, 1_000])
@pytest.mark.parametrize(("field", "limit"), [("name", 2_048), ("summary", 20_480)])
@pytest.mark.row(21)
def test_words_of_an_actor_are_cut_at_their_limit(field: str, limit: int, factor: int) -> None:
    asked = limit + (limit * factor if factor == 1_000 else factor)
    assert len(getattr(parse_actor({**ACTOR, field: "x" * asked}), field)) == limit


@pytest.mark.row(21)
def test_lists_are_cut_at_their_limits() -> None:
    picture = {"type": "Image", "url": "https://far.example/a.jpg", "name": "y" * 20_000}
    tags = [{"type": "Hashtag", "name": f"#tag{n}"} for n in range(1_000)]
    many = {**NOTE, "attachment": [picture] * 1_000, "tag": tags, "to": [f"https://far.example/{n}" for n in range(1_000)]}
    found = parse_note(many)
    assert len(found.attachments) == note.MAX_ATTACHMENTS == 32
    assert len(found.attachments[0].alt) == 10_240
    assert len(found.hashtags) == note.MAX_TAGS == 100
    assert len(found.to) == MAX_ADDRESSES == 256
    lines = [{"type": "PropertyValue", "name": "n" * 3_000, "value": "v" * 3_000}] * 1_000
    person = parse_actor({**ACTOR, "attachment": lines})
    assert len(person.fields) == actor.MAX_FIELDS == 50
    assert person.fields[0] == ("n" * 2_047, "v" * 2_047)


@pytest.mark.parametrize("letter", ["x", "\U0001f308", "&", "<b>x</b>"])
@pytest.mark.row(21)
def test_an_actor_with_everything_at_its_limit_makes_a_row_of_less_than_256_kb(letter: str) -> None:
    words = letter * 30_000
    lines = [{"type": "PropertyValue", "name": words, "value": words}] * 60
    values = actor_values(parse_actor({**ACTOR, "name": words, "summary": words, "attachment": lines}), 0)
    assert sum(len(str(value).encode()) for value in values.values()) <= 256 * 1024
    kept = json.loads(values["fields"])
    assert 10 <= len(kept) <= 50
    assert kept[0][0] == clean_name(words)


@pytest.mark.parametrize("size", [2_000, 2_001, 10_240])
@pytest.mark.row(21)
def test_an_address_of_more_than_2000_characters_is_none(size: int) -> None:
    uri = "https://far.example/".ljust(size, "x")
    assert is_web_uri(uri) is (size == 2_000)
    assert parse_note({**NOTE, "inReplyTo": uri}).in_reply_to == (uri if size == 2_000 else None)


@pytest.mark.parametrize(
    "uri",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "gopher://far.example/",
        "//far.example/x",
        "https://",
        "https:///x",
        "ftp://far.example/",
        "https://ana@far.example/",
        "https://far.example:0/",
        "https://far.example/a b",
        "\u202ehttps://x.example",
        "JavaScript:alert(1)",
        " https://far.example/",
        "https://far.example/\n",
        "https://far.example:port/",
        5,
        None,
        {},
        ["javascript:x"],
    ],
)
@pytest.mark.row(10)
def test_an_address_of_another_kind_is_dropped_wherever_it_stands(uri: Any) -> None:
    found = parse_note({**NOTE, "url": uri, "inReplyTo": uri, "cc": [uri], "attachment": {"type": "Image", "url": uri}})
    assert (found.url, found.in_reply_to, found.cc, found.attachments) == (NOTE["id"], None, (), ())
    person = parse_actor({**ACTOR, "url": uri, "icon": {"type": "Image", "url": uri}, "image": uri, "outbox": uri})
    assert (person.url, person.icon_url, person.image_url, person.outbox) == (ACTOR["id"], None, None, None)
    for part in ("id", "inbox", "publicKey"):
        with pytest.raises(ParseError):
            parse_actor({**ACTOR, part: uri})
    for part in ("id", "attributedTo"):
        with pytest.raises(ParseError):
            parse_note({**NOTE, part: uri})


# ------------------------------------------------------------------------------------------------------- who speaks for whom


@pytest.mark.parametrize(
    "author", ["https://other.example/users/ana", "https://far.example:8443/users/ana", "http://far.example/users/ana"]
)
@pytest.mark.row(1)
def test_a_note_whose_author_is_on_another_host_is_refused(author: str) -> None:
    if author.startswith("http:"):
        assert parse_note({**NOTE, "attributedTo": author}), "http and https of one host are one host"
        return
    with pytest.raises(ParseError):
        parse_note({**NOTE, "attributedTo": author})


@pytest.mark.row(1)
def test_an_actor_speaks_for_its_own_host_only() -> None:
    elsewhere = "https://other.example/x"
    key = ACTOR["publicKey"]
    changes: tuple[dict[str, Any], ...] = (
        {"inbox": elsewhere},
        {"publicKey": {**key, "owner": elsewhere}},
        {"publicKey": {**key, "id": elsewhere}},
        {"publicKey": {**key, "owner": "https://far.example/users/bo"}},
        {"publicKey": {**key, "publicKeyPem": ""}},
        {"publicKey": []},
        {"preferredUsername": "an a"},
        {"preferredUsername": "\u0430na"},
        {"preferredUsername": ""},
        {"type": "Note"},
    )
    for spoiled in changes:
        with pytest.raises(ParseError):
            parse_actor({**ACTOR, **spoiled})
    found = parse_actor({**ACTOR, "outbox": elsewhere, "followers": elsewhere, "endpoints": {"sharedInbox": elsewhere}})
    assert (found.outbox, found.followers, found.shared_inbox) == (None, None, None)


@pytest.mark.parametrize(
    ("to", "cc", "seen_by"),
    [
        ([AS_PUBLIC], [], Visibility.PUBLIC),
        (["as:Public"], [], Visibility.PUBLIC),
        ("Public", None, Visibility.PUBLIC),
        ([{"id": AS_PUBLIC}], None, Visibility.PUBLIC),
        (["https://far.example/users/ana/followers"], [AS_PUBLIC], Visibility.UNLISTED),
        (["https://far.example/users/ana/followers"], [], Visibility.FOLLOWERS),
        (None, "https://far.example/users/ana/followers", Visibility.FOLLOWERS),
        (["https://art.example/users/mira"], [], Visibility.MENTIONED),
        (["https://other.example/users/bo/followers"], [], Visibility.MENTIONED),
        (None, None, Visibility.MENTIONED),
        ([], {}, Visibility.MENTIONED),
        (["https://www.w3.org/ns/activitystreams#public"], [], Visibility.MENTIONED),
    ],
)
def test_who_may_see_a_note_is_read_from_its_addresses(to: Any, cc: Any, seen_by: Visibility) -> None:
    found = parse_note({**NOTE, "to": to, "cc": cc})
    assert read_visibility(found.to, found.cc, "https://far.example/users/ana/followers") == seen_by


@pytest.mark.parametrize(
    ("content_type", "counts"),
    [
        ("application/activity+json", True),
        ("application/activity+json; charset=utf-8", True),
        ("Application/Activity+JSON", True),
        ('application/ld+json; profile="https://www.w3.org/ns/activitystreams"', True),
        ('application/ld+json;profile="https://www.w3.org/ns/activitystreams"; charset=utf-8', True),
        ('application/ld+json; charset=utf-8; Profile = "https://www.w3.org/ns/activitystreams"', True),
        ('application/ld+json; profile="https://w3id.org/x https://www.w3.org/ns/activitystreams"', True),
        ("application/ld+json; profile=https://www.w3.org/ns/activitystreams", True),
        ("application/ld+json", False),
        ('application/ld+json; profile="https://example.org/ns"', False),
        ('application/ld+json; x="https://www.w3.org/ns/activitystreams"', False),
        ("application/json", False),
        ('application/json; profile="https://www.w3.org/ns/activitystreams"', False),
        ("text/html", False),
        ("text/plain; application/activity+json", False),
        ("image/png", False),
        ("application/octet-stream", False),
        ("text/html, application/activity+json", False),
        ("", False),
    ],
)
@pytest.mark.row(2)
def test_only_the_media_types_of_activitypub_make_a_document(content_type: str, counts: bool) -> None:
    assert is_activity_type(content_type) is counts


# ---------------------------------------------------------------------------------------------------------------- quirks


def test_a_video_of_an_account_and_a_channel_is_by_the_account() -> None:
    found = parse_note(document("video-by-an-account-and-a-channel-peertube"))
    assert found.attributed_to == "https://far.example/accounts/ana"
    assert found.url == "https://far.example/w/01"
    assert (found.kind, found.name, found.content) == ("Video", "A film", "<p>About *light*</p>")
    assert [picture.url for picture in found.attachments] == ["https://far.example/preview.jpg"], "its still stands for it"


def test_words_by_language_only_are_the_words() -> None:
    found = parse_note(document("note-with-words-by-language-only-gotosocial"))
    assert (found.content, found.language) == ("<p>avondlicht</p>", "nl")


def test_a_single_attachment_and_its_summary_as_description_are_read() -> None:
    (picture,) = parse_note(document("note-with-words-by-language-only-gotosocial")).attachments
    assert (picture.alt, picture.focal, picture.width) == ("light on water", (0.25, -0.5), 1200)


def test_single_addresses_and_collections_as_objects_are_read() -> None:
    assert parse_note(document("note-with-words-by-language-only-gotosocial")).to == (AS_PUBLIC,)
    assert parse_note(document("note-with-links-for-files-akkoma")).cc == ("https://far.example/users/ana/followers",)


def test_the_picture_among_a_files_links_is_taken_and_a_film_is_not() -> None:
    found = parse_note(document("note-with-links-for-files-akkoma"))
    assert [(p.url, p.media_type, p.alt, p.blurhash) for p in found.attachments] == [
        ("https://far.example/lamp.png", "image/png", "a lamp", None)
    ]
    assert found.hashtags == ("light",)
    assert found.sensitive is False
    assert found.published_ms == 1_795_168_800_123


def test_files_without_a_media_type_are_known_by_their_name_or_kind() -> None:
    found = parse_note(document("note-with-files-of-no-media-type"))
    names = [picture.url.rsplit("/", 1)[1] for picture in found.attachments]
    assert names == ["by-its-name.JPG?x=1", "by-its-type", "by-its-name.webp", "a-bare-address.jpg"]
    assert [link.href.rsplit("/", 1)[1] for link in found.links] == ["nothing-says-that-it-is-a-picture"]
    assert found.attributed_to == "https://far.example/users/ana"


def test_a_quote_keeps_its_words_mentions_and_warning() -> None:
    found = parse_note(document("note-quoting-another-misskey"))
    assert [(m.href, m.name) for m in found.mentions] == [("https://art.example/users/mira", "@mira@art.example")]
    assert found.sensitive
    assert [(p.media_type, p.alt) for p in found.attachments] == [("image/webp", "")]
    assert found.hashtags == (), "an emoji is no hashtag"
    assert found.url == found.uri, "a note without a page is shown by its id"


def test_a_page_with_a_picture_as_a_link_is_read() -> None:
    found = parse_note(document("page-with-a-picture-as-a-link-lemmy"))
    assert [p.url for p in found.attachments] == ["https://far.example/pictrs/image/1.jpeg"]
    assert (found.name, found.published_ms) == ("My evening", 1_795_168_800_000)


def test_a_picture_with_a_licence_and_half_numbers_is_read() -> None:
    (picture,) = parse_note(document("note-with-picture-and-licence-pixelfed")).attachments
    assert (picture.width, picture.height, picture.alt) == (1080, 1350, "evening")
    assert picture.blurhash == "UBL_:rOpGG-oBUNG,qRj2so|=eE1w^n4S5NH"


def test_a_reaction_with_its_object_in_a_list_is_read() -> None:
    found = parse_activity(document("like-with-a-face-and-objects-in-lists"))
    assert found.type == "Like"
    assert found.actor == "https://far.example/users/ana"
    assert found.object_uri == "https://art.example/users/mira/statuses/1"
    assert (found.to, found.published_ms) == ((), None)


def test_an_actor_without_a_name_is_read() -> None:
    found = parse_actor(document("actor-without-a-name-misskey"))
    assert (found.name, found.summary, found.icon_url) == ("", "", None)
    assert found.image_url == "https://far.example/header.webp"
    assert found.fields == (("site", '<a href="https://ana.example">ana.example</a>'),)


def test_an_actor_with_lists_for_everything_is_read() -> None:
    found = parse_actor(document("actor-with-lists-for-everything-peertube"))
    assert (found.kind, found.username, found.name) == ("Group", "films", "Films")
    assert found.url == "https://far.example/c/films"
    assert (found.icon_url, found.image_url) == ("https://far.example/a.png", "https://far.example/banner.jpg")
    assert found.followers is None, "its followers are on another host"
    assert found.public_key_id.endswith("films#main-key")


def test_a_key_without_a_fragment_and_a_described_avatar_are_read() -> None:
    found = parse_actor(ACTOR)
    assert found.public_key_id == "https://far.example/users/ana/main-key"
    assert (found.icon_alt, found.locked, found.shared_inbox) == ("a fox", True, "https://far.example/sharedInbox")


def test_an_id_that_ends_in_a_slash_is_kept_as_it_is() -> None:
    found = parse_actor(document("actor-whose-id-ends-in-a-slash-threads"))
    assert found.uri == "https://far.example/ap/users/123/"
    assert found.url == "https://www.far.example/@ana", "a page may be on another host: it gives no rights"


def test_every_document_of_ours_is_understood_by_a_parser() -> None:
    for path in sorted(DOCUMENTS.glob("*.json")):
        parse = {"actor": parse_actor, "like": parse_activity}.get(path.stem.split("-")[0], parse_note)
        assert parse(document(path.stem))


# ----------------------------------------------------------------------------------------------------------------- words


@pytest.mark.row(68)
@given(
    st.lists(
        st.sampled_from(
            ["<", ">", "/", "p", "a", " href=", '"', "'", "script", "on", "=", "&", "#", "javascript:", "x", "<!--", "-->"]
        ),
        max_size=60,
    )
)
def test_any_html_is_sanitised_without_an_error(parts: list[str]) -> None:
    cleaned = clean_html("".join(parts))
    assert "<script" not in cleaned
    assert clean_html(cleaned) == cleaned, "what was sanitised stays as it is"
    plain_text("".join(parts))


@pytest.mark.parametrize(
    "href", ["/sign-out", "//evil.example/", "#x", "?x=1", "javascript:alert(1)", "works/1/delete", "\\\\evil.example"]
)
def test_a_link_of_a_stranger_that_would_lead_into_our_pages_loses_its_address(href: str) -> None:
    assert "href" not in clean_html(f'<a href="{href}">here</a>')


def test_a_name_loses_what_would_imitate_another() -> None:
    assert clean_name("mira\u202e\u200b\u2066 \n\tsol\x00\x7f\ufeff") == "mira sol"
    assert len(clean_name("x" * 5_000)) == 120


# ------------------------------------------------------------------------------------------------- what it costs at the bounds

TAGS = [
    "<div>", "<p>", "<b>", "<ul><li>", "<a href='https://a.example/?q=1&amp;b'>", "<table><tr><td>", "<svg><foreignObject>",
    "<math><mi>", "<span class='u-url mention x'>", "<!--", "-->", "</p>", "</", "<", "&lt;", "&#x3c;", "<ruby><rt>",
    "<select><option>", "<form>", "<script>", "<style>", "<template>", "<noscript>", "<textarea>", '<a title="', "x=y ", ">",
    "\u202e", "\U0001f3a8", "words ",
]  # fmt: skip


def tag_patterns(count: int) -> Iterator[str]:
    """Patterns of one to four parts, nested as deep as the bounds of the sanitiser let them be: always the same ones."""
    choose = random.Random(22)
    for number in range(count):
        unit = TAGS[number] if number < len(TAGS) else "".join(choose.choices(TAGS, k=choose.randint(1, 4)))
        times = min(MAX_CHARS // len(unit), MAX_TAGS // max(1, unit.count("<")))
        yield unit * times


@pytest.mark.row(22)
def test_no_pattern_within_the_bounds_costs_more_than_fifty_milliseconds_of_a_processor() -> None:
    """Of the processor's time, not the clock's: how busy this machine is has nothing to do with it."""

    def cost(raw: str) -> float:
        began = time.thread_time()
        clean_html(raw)
        return time.thread_time() - began

    dear = {raw[:60]: took for raw in tag_patterns(EXAMPLES) if (took := min(cost(raw) for _ in range(3))) > 0.05}
    assert dear == {}


@pytest.mark.row(22)
@pytest.mark.parametrize("unit", ["<div>", "<ul><li>", "<a href=x>", "<b>words", "<svg><p>", "&lt;<"])
def test_a_megabyte_of_tags_is_kept_as_words_alone(unit: str) -> None:
    cleaned = clean_html(unit * (1_000_000 // len(unit)))
    assert (cleaned[:3], cleaned[-4:]) == ("<p>", "</p>")
    assert "<" not in cleaned[3:-4]
    assert len(cleaned.encode()) <= MAX_HTML
