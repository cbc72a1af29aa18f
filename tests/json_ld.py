"""PyLD with the contexts of others as Fedify's package carries them: nothing is fetched."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

_CONTEXTS = Path(__file__).with_name("peer") / "node_modules" / "@fedify" / "vocab-runtime" / "src" / "contexts"
_FILES = {
    "https://www.w3.org/ns/activitystreams": "activitystreams.json",
    "https://w3id.org/security/v1": "security-v1.json",
    "https://w3id.org/security/data-integrity/v2": "security-data-integrity-v2.json",
}


def _load(url: str, _options: Any) -> dict[str, Any]:
    document = json.loads((_CONTEXTS / _FILES[url]).read_text())
    return {"contextUrl": None, "documentUrl": url, "document": document, "contentType": "application/ld+json"}


def expanded(document: dict[str, Any]) -> dict[str, Any]:
    """A document with its terms as full addresses."""
    jsonld: Any = importlib.import_module("pyld").jsonld
    (found,) = jsonld.expand(document, {"documentLoader": _load})
    result: dict[str, Any] = found
    return result
