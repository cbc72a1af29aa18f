"""A verb from another server."""

from __future__ import annotations

from typing import Any

from fediart.activitypub.parsers import fields
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.errors import ParseError

# Documents that reshape themselves by JSON-LD are not understood here, on purpose (CVE-2026-46349).
_RESHAPING = ("@graph", "@included", "@reverse")


def parse_activity(document: dict[str, Any]) -> ParsedActivity:
    """Raises ParseError when it has no id, type or actor."""
    if any(word in document for word in _RESHAPING):
        raise ParseError("Documents with @graph, @included or @reverse are not read.")
    uri, kind, actor = fields.uri(document.get("id")), fields.kind(document.get("type")), fields.uri(document.get("actor"))
    if uri is None or not kind or actor is None:
        raise ParseError("An activity needs an id, a type and an actor.")
    inner = fields.first(document.get("object"))
    return ParsedActivity(
        uri=uri,
        type=kind,
        actor=actor,
        object_uri=fields.uri(inner),
        object=inner if isinstance(inner, dict) else None,
        target=fields.uri(document.get("target")),
        to=fields.addresses(document.get("to")),
        cc=fields.addresses(document.get("cc")),
        published_ms=fields.moment(document.get("published")),
        raw=document,
    )
