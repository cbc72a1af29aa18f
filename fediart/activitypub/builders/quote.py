"""Leave to quote: the answer to a QuoteRequest, and the stamp that others ask for (FEP-044f)."""

from __future__ import annotations

from typing import Any

from fediart.activitypub.vocabulary import AS_PUBLIC, QUOTE_CONTEXT


def build_stamp(uri: str, artist_uri: str, work_uri: str, quote_uri: str) -> dict[str, Any]:
    """The post `quote_uri` may quote the work. Neither is embedded: who asks may not be allowed to see them."""
    return {
        "@context": QUOTE_CONTEXT,
        "id": uri,
        "type": "QuoteAuthorization",
        "attributedTo": artist_uri,
        "interactingObject": quote_uri,
        "interactionTarget": work_uri,
    }


def build_quote_answer(uri: str, artist_uri: str, quoter_uri: str, request: dict[str, Any], stamp: str | None) -> dict[str, Any]:
    """`stamp`: the address of one, with which the answer is yes."""
    document = {
        "@context": QUOTE_CONTEXT,
        "id": uri,
        "type": "Accept" if stamp is not None else "Reject",
        "actor": artist_uri,
        "to": [quoter_uri],
        "object": {"type": "QuoteRequest", **request},
    }
    return document | ({"result": stamp} if stamp is not None else {})


def build_stamp_removal(stamp: dict[str, Any]) -> dict[str, Any]:
    return {
        "@context": stamp["@context"],
        "id": f"{stamp['id']}#delete",
        "type": "Delete",
        "actor": stamp["attributedTo"],
        "to": [AS_PUBLIC],
        "object": {name: value for name, value in stamp.items() if name != "@context"},
    }
