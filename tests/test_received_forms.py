"""What each server sends of pictures, polls, films and the like: written by hand after what was seen, and what is shown of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from fediart.activitypub.addressing import read_visibility
from fediart.activitypub.vocabulary import AS_PUBLIC
from fediart.domain.works import Visibility
from fediart.errors import ParseError
from fediart.inbox.handlers.keep_note import ReadNote, read_note

FAR = "https://far.example"
FOLLOWERS = f"{FAR}/users/ana/followers"


def said(**more: Any) -> dict[str, Any]:
    """A public note of ana's; None leaves something out."""
    whole = {
        "id": f"{FAR}/notes/1",
        "type": "Note",
        "attributedTo": f"{FAR}/users/ana",
        "published": "2026-11-20T10:00:00Z",
        "to": [AS_PUBLIC],
        "content": "<p>evening</p>",
        **more,
    }
    return {name: value for name, value in whole.items() if value is not None}


def pictures(read: ReadNote) -> list[tuple[str, str]]:
    """(file name, description) of each."""
    return [(picture.url.rsplit("/", 1)[1], picture.alt) for picture in read.pictures]


@dataclass(frozen=True)
class Seen:
    """`shown`: pieces of the HTML, in their order. `pictures`: as of `pictures`."""

    name: str
    document: dict[str, Any]
    pictures: tuple[tuple[str, str], ...] = ()
    shown: tuple[str, ...] = ("<p>evening</p>",)


def at(path: str, /, **more: Any) -> dict[str, Any]:
    return {"url": f"{FAR}/{path}", **more}


SEEN = [
    Seen(
        "mastodon",
        said(attachment=[at("a.png", type="Document", mediaType="image/png", name="a lamp", focalPoint=[0, 0])]),
        (("a.png", "a lamp"),),
    ),
    Seen(
        "gotosocial",
        said(attachment=at("a.jpg", type="Image", mediaType="image/jpeg", summary="a lamp", name=None)),
        (("a.jpg", "a lamp"),),
    ),
    Seen(
        "misskey", said(attachment=[at("f/1", type="Document", mediaType="image/webp", name=None, sensitive=True)]), (("1", ""),)
    ),
    Seen(
        "pixelfed",
        said(
            attachment=[
                at(f"{n}.jpg", type="Image", mediaType="image/jpeg", name=f"no {n}", license="CC", width=1, height=1)
                for n in range(12)
            ]
        ),
        tuple((f"{n}.jpg", f"no {n}") for n in range(12)),
    ),
    Seen(
        "akkoma",
        said(
            attachment=[
                {"type": "Document", "name": "lamp", "url": [{"type": "Link", "href": f"{FAR}/m/1", "mediaType": "image/jpeg"}]}
            ]
        ),
        (("1", "lamp"),),
    ),
    Seen(
        "friendica", said(attachment=[at("photo/1-0.jpeg", type="Document", mediaType="image/jpg", name="")]), (("1-0.jpeg", ""),)
    ),
    Seen("bookwyrm", said(attachment=[at("covers/b.jpg", type="Document", name="A book")], tag=[]), (("b.jpg", "A book"),)),
    Seen(
        "owncast",
        said(attachment=[{"type": "Image", "url": f"{FAR}/preview.gif?us=1", "mediaType": "image/gif"}]),
        (("preview.gif?us=1", ""),),
    ),
    Seen(
        "threads",
        said(attachment=[{"type": "Image", "url": {"type": "Link", "href": f"{FAR}/v/x.heic", "mediaType": "image/heic"}}]),
        (("x.heic", ""),),
    ),
    Seen("only an address", said(attachment=[f"{FAR}/a.jpg"]), (("a.jpg", ""),)),
    Seen(
        "as an old server writes types", said(type="as:Note", attachment={"type": "as:Image", "href": f"{FAR}/a"}), (("a", ""),)
    ),
    Seen("a type by its whole address", said(type="https://www.w3.org/ns/activitystreams#Note"), ()),
    Seen("several types", said(type=["toot:Post", "Note"]), ()),
    Seen(
        "lemmy",
        said(
            type="Page",
            name="A find",
            content=None,
            attachment=[{"type": "Link", "href": "https://elsewhere.example/x"}],
            image=at("t.jpg", type="Image"),
        ),
        (("t.jpg", ""),),
        ("A find", "https://elsewhere.example/x"),
    ),
    Seen(
        "ghost",
        said(
            type="Article",
            name="On light",
            summary="What light does",
            image=f"{FAR}/top.png",
            preview={"type": "Note", "content": "x"},
        ),
        (("top.png", ""),),
        ("On light", "evening"),
    ),
    Seen(
        "wordpress",
        said(
            type="Article",
            name="On light",
            content=f'<p>one</p><img src="{FAR}/in.jpg" alt="a &quot;lamp&quot;"><img class="emoji" src="{FAR}/e.png">',
        ),
        (("in.jpg", 'a "lamp"'),),
        ("On light", "<p>one</p>"),
    ),
    Seen(
        "peertube",
        said(
            type="Video",
            name="A film",
            mediaType="text/markdown",
            content="About *light*\n\n<script>",
            icon=[at("s.jpg", width=100), at("l.jpg", width=900)],
            url=[
                {"type": "Link", "mediaType": "application/x-mpegURL", "href": f"{FAR}/1.m3u8"},
                {"type": "Link", "mediaType": "text/html", "href": f"{FAR}/w/1"},
            ],
        ),
        (("l.jpg", ""),),
        (f'href="{FAR}/w/1"', "A film", "About *light*", "&lt;script&gt;"),
    ),
    Seen(
        "funkwhale",
        said(
            type="Audio", name="A song", content=None, url=[{"type": "Link", "mediaType": "audio/mpeg", "href": f"{FAR}/1.mp3"}]
        ),
        (),
        ("A song",),
    ),
    Seen(
        "a picture as a post of its own",
        said(type="Image", name="a lamp", content=None, url={"type": "Link", "href": f"{FAR}/a.jpg", "mediaType": "image/jpeg"}),
        (("a.jpg", "a lamp"),),
        ("a lamp",),
    ),
    Seen(
        "a film",
        said(attachment=at("a.mp4", type="Document", mediaType="video/mp4", name="waves")),
        (),
        ("evening", f'href="{FAR}/a.mp4"', "waves"),
    ),
    Seen(
        "a song without a name",
        said(attachment=at("a.mp3", type="Audio", mediaType="audio/mpeg")),
        (),
        ("evening", f">{FAR}/a.mp3<"),
    ),
    Seen(
        "a drawing that no browser is trusted with",
        said(attachment=at("a.svg", type="Image", mediaType="image/svg+xml")),
        (),
        (f'href="{FAR}/a.svg"',),
    ),
    Seen(
        "an address of another kind",
        said(attachment=[{"type": "Link", "href": "payto://iban/DE1"}, {"type": "Image", "url": "data:image/png;base64,AA"}]),
        (),
        ("<p>evening</p>",),
    ),
    Seen(
        "mobilizon",
        said(
            type="Event",
            name="Opening",
            startTime="2026-12-01T18:00:00Z",
            endTime="2026-12-01T20:00:00Z",
            location={"type": "Place", "name": "Hall", "address": {"streetAddress": "Quay 1", "addressLocality": "Port"}},
        ),
        (),
        ("Opening", "evening", "2026-12-01 18:00 UTC – 2026-12-01 20:00 UTC", "Hall, Quay 1, Port"),
    ),
    Seen(
        "a poll",
        said(
            type="Question",
            endTime="2026-12-01T18:00:00Z",
            oneOf=[{"type": "Note", "name": "red"}, {"type": "Note", "nameMap": {"en": "bl<u>e"}}],
        ),
        (),
        ("evening", "<li>red</li><li>bl&lt;u&gt;e</li>", f'href="{FAR}/notes/1"', "Answer at far.example"),
    ),
    Seen("a poll of many answers", said(type="Question", anyOf={"type": "Note", "name": "only one"}), (), ("<li>only one</li>",)),
    Seen(
        "a kind nobody knows",
        said(type="Recipe", name="Soup", content=None),
        (),
        (f'<a href="{FAR}/notes/1" rel="nofollow noopener noreferrer">Soup</a>',),
    ),
    Seen("a kind nobody knows, without words", said(type=["x:Walk"], content=None), (), (f">{FAR}/notes/1</a>",)),
    Seen(
        "a quote",
        said(quoteUrl=f"{FAR}/notes/0", _misskey_quote=f"{FAR}/notes/0"),
        (),
        ("evening", f'href="{FAR}/notes/0"', "A post that is quoted"),
    ),
    Seen(
        "a quote that the words name",
        said(content=f"<p>RE: {FAR}/notes/0</p>", quote=f"{FAR}/notes/0"),
        (),
        (f"<p>RE: {FAR}/notes/0</p>",),
    ),
    Seen("words by language only", said(content=None, contentMap={"nl": "<p>avond</p>"}), (), ("<p>avond</p>",)),
    Seen(
        "words as they were typed only",
        said(content=None, source={"content": "a < b\nc\n\nd", "mediaType": "text/plain"}),
        (),
        ("<p>a &lt; b<br>c</p><p>d</p>",),
    ),
    Seen("plain words", said(content="a <b>", mediaType="text/plain"), (), ("<p>a &lt;b&gt;</p>",)),
    Seen("a title only", said(content=None, name="Just a title"), (), ("<p>Just a title</p>",)),
    Seen(
        "an article with a summary only",
        said(type="Article", name="On light", content="", summary="<p>What it does</p>"),
        (),
        ("On light", "<p>What it does</p>"),
    ),
]


@pytest.mark.parametrize("seen", SEEN, ids=lambda seen: seen.name)
def test_what_is_sent_in_this_form_is_shown(seen: Seen) -> None:
    read = read_note(seen.document)
    assert pictures(read) == list(seen.pictures)
    content, place = read.words["content"], 0
    for piece in seen.shown:
        assert piece in content[place:], f"{piece} is not in {content}"
        place = content.index(piece, place)
    assert "<script" not in content
    assert "<img" not in content


def test_a_plain_note_is_shown_as_it_is() -> None:
    assert read_note(said()).words["content"] == "<p>evening</p>"


@pytest.mark.parametrize("kind", ["Person", "Group", "Tombstone", "Collection", "OrderedCollectionPage", "Link"])
def test_what_is_no_post_is_refused_by_its_name(kind: str) -> None:
    with pytest.raises(ParseError, match="not a post"):
        read_note(said(type=kind))


@pytest.mark.parametrize("missing", ["id", "type"])
def test_a_post_without_an_id_or_a_type_is_refused_by_its_name(missing: str) -> None:
    with pytest.raises(ParseError, match="an id and a type"):
        read_note(said(**{missing: None}))


@pytest.mark.parametrize(
    "author",
    [
        f"{FAR}/users/ana",
        [f"{FAR}/users/ana"],
        {"type": "Person", "id": f"{FAR}/users/ana"},
        [{"type": "Group", "id": f"{FAR}/c/1"}, {"type": ["Person"], "id": f"{FAR}/users/ana"}],
        [f"{FAR}/users/ana", f"{FAR}/c/1"],
    ],
)
def test_who_made_it_is_understood_in_every_form(author: Any) -> None:
    assert read_note(said(attributedTo=author)).note.attributed_to == f"{FAR}/users/ana"


@pytest.mark.parametrize(
    ("to", "cc", "seen_by"),
    [
        (AS_PUBLIC, None, Visibility.PUBLIC),
        ("as:Public", [], Visibility.PUBLIC),
        ([{"id": AS_PUBLIC}], None, Visibility.PUBLIC),
        (FOLLOWERS, "Public", Visibility.UNLISTED),
        ([FOLLOWERS], None, Visibility.FOLLOWERS),
        ({"id": FOLLOWERS, "type": "Collection"}, [None, 5], Visibility.FOLLOWERS),
        (["https://art.example/users/mira"], "", Visibility.MENTIONED),
        (None, None, Visibility.MENTIONED),
    ],
)
def test_to_whom_it_is_said_is_understood_in_every_form(to: Any, cc: Any, seen_by: Visibility) -> None:
    note = read_note(said(to=to, cc=cc)).note
    assert read_visibility(note.to, note.cc, FOLLOWERS) == seen_by


@pytest.mark.parametrize(
    "when",
    [
        "2026-11-20T10:00:00Z",
        "2026-11-20T10:00:00.000Z",
        "2026-11-20t10:00:00z",
        "2026-11-20T10:00:00.000000000Z",
        "2026-11-20T12:00:00+02:00",
        "2026-11-20T10:00:00+00:00",
        "2026-11-20 10:00:00",
        "2026-11-20T10:00:00",
        "20261120T100000Z",
        " 2026-11-20T10:00:00Z ",
        ["2026-11-20T10:00:00Z"],
        {"@type": "xsd:dateTime", "@value": "2026-11-20T10:00:00Z"},
    ],
)
def test_when_it_was_published_is_understood_in_every_form(when: Any) -> None:
    assert read_note(said(published=when)).note.published_ms == 1_795_168_800_000


@pytest.mark.parametrize("when", [None, "", "yesterday", "2026-13-40T00:00:00Z", 1_795_168_800, {}, [], "0001-01-01T00:00:00Z"])
def test_when_it_does_not_say_so_it_is_shown_where_it_arrives(when: Any) -> None:
    assert read_note(said(published=when)).note.published_ms is None


def test_tags_are_understood_in_every_form() -> None:
    hashtags = [{"type": "Hashtag", "name": "#Art"}, {"type": "Hashtag", "name": "light"}, {"type": "as:Hashtag", "name": "#air"}]
    others: list[Any] = [{"type": "Hashtag"}, {"type": "Hashtag", "name": 5}, {"type": "Emoji", "name": ":lamp:"}, "x", None, []]
    read = read_note(said(tag=[*hashtags, *others]))
    assert read.hashtags == ("art", "light", "air")
    mira = "https://art.example/users/mira"
    assert [mention.uri for mention in read_note(said(tag={"type": "Mention", "href": mira})).mentions] == [mira]
    assert read_note(said(tag=[{"type": "Mention", "name": "@mira@art.example"}])).mentions == ()
    assert read_note(said(tag={"type": "Mention", "href": mira, "name": "something else"})).mentions[0].uri == mira


def test_what_is_answered_is_understood_in_every_form() -> None:
    asked = f"{FAR}/notes/0"
    for form in (
        asked,
        [asked],
        {"type": "Note", "id": asked},
        {"type": "Link", "href": asked},
        [{"id": asked}, f"{FAR}/notes/9"],
    ):
        assert read_note(said(inReplyTo=form)).note.in_reply_to == asked
    assert read_note(said(inReplyTo={"type": "Collection", "items": [asked]})).note.in_reply_to is None


def test_what_stands_below_the_words_is_bounded() -> None:
    films = [at("x" * 1_900 + f"&{n}.mp4", type="Video", name="&" * 500) for n in range(32)]
    options = [{"type": "Note", "name": "&" * 500} for _ in range(100)]
    read = read_note(said(type="Question", content="\U0001f308" * 49_990, attachment=films, oneOf=options))
    assert len(read.words["content"].encode()) < 256_000
    assert read_note(said(attachment=films)).words["content"].count("<a ") == 8
    assert len(read_note(said(content=f'<img src="{FAR}/1.jpg">' * 5_000)).pictures) == 16
