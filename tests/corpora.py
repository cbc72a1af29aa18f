"""Documents that others wrote to try receivers with: two packages, and folders of JSON. Nothing of them is kept here.

The packages bring whole servers along for their own tools. They are installed without those (`pip install --no-deps`), and
what their documents import of them has a stand-in below.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from fediart.activitypub.vocabulary import AS, AS_PUBLIC

PACKAGES = ("fediverse-pasture-inputs", "funfedi-parsing-test-cases")
STAMP = "2026-11-25T12:00:00Z"

_STAND_INS: dict[str, dict[str, Any]] = {
    "fediverse_pasture": {},
    "fediverse_pasture.runner": {},
    "fediverse_pasture.runner.entry": {"Entry": object},
    "bovine": {},
    "bovine.utils": {"now_isoformat": lambda: STAMP},
    "jsonschema": {"ValidationError": ValueError, "validate": lambda *_: None},
}


@dataclass(frozen=True, slots=True)
class Sent:
    """`document` is an activity to be told, or (`asked`) an object that stands at its own address and is asked for."""

    corpus: str
    part: str
    name: str
    document: dict[str, Any]
    asked: bool = False


def _stand_in() -> None:
    for name, parts in _STAND_INS.items():
        if name not in sys.modules:
            module = ModuleType(name)
            vars(module).update(parts)
            sys.modules[name] = module


def pasture_inputs(origin: str, reader: str) -> Iterator[Sent]:
    """`fediverse-pasture-inputs`: each example as the object itself and inside of a Create.

    They are by `{origin}/actor`, which stands for the sender of that project; `reader` is addressed.
    """
    _stand_in()
    available = import_module("fediverse_pasture_inputs").available

    sender = f"{origin}/actor"
    for part, inputs in sorted(available.items()):
        for number, example in enumerate(inputs.examples):
            said = json.loads(json.dumps(example).replace("http://pasture-one-actor", origin))
            for asked in (True, False):
                at = f"{'object' if asked else 'told'}/{part}/{number}"
                context = said.get("@context", [AS, {"Hashtag": "as:Hashtag", "sensitive": "as:sensitive"}])
                skeleton = {"type": "Note", "attributedTo": sender, "to": [AS_PUBLIC], "id": f"{origin}/{at}", "published": STAMP}
                note = {**skeleton, **said, "@context": context}
                name = f"{part} {number}"
                if asked:
                    yield Sent("fediverse-pasture-inputs", "object", name, note, asked=True)
                    continue
                note["to"] = [*note["to"], reader]
                to = {"to": [reader, AS_PUBLIC], "published": STAMP}
                told = {name: value for name, value in note.items() if name != "@context"}
                create = {"@context": context, "type": "Create", "actor": sender, "id": f"{origin}/create/{part}/{number}", **to}
                yield Sent("fediverse-pasture-inputs", "activity", name, {**create, "object": told})


def parsing_test_cases(profile: dict[str, Any], reader: str) -> Iterator[Sent]:
    """`funfedi-parsing-test-cases`: activities of every shape. `profile` is the actor document of who sends them."""
    _stand_in()
    cases = import_module("funfedi_parsing_test_cases")

    world = cases.Environment(sending_actor_profile=profile, receiving_actor=reader)
    for suite in (cases.activity_suite, cases.event_suite, cases.notes_suite, cases.poll_suite):
        for part, name in suite.names:
            made = suite.retrieve(part, name).maker.activity_and_object(world)[0]
            yield Sent("funfedi-parsing-test-cases", suite.name, f"{part}: {name}", made)


_ACTORS = ("Person", "Service", "Application", "Group", "Organization")


def folder_of_documents(folder: Path, origin: str, reader: str, work: str) -> Iterator[Sent]:
    """Every JSON file below `folder`, moved to `origin` with all that stands on its sender's host.

    What is followed becomes `reader`, what is liked or boosted becomes `work`: of strangers' works nothing would be kept.
    """
    seen: list[str] = []
    for path in sorted(folder.rglob("*.json")):
        try:
            document = json.loads(path.read_text())
        except ValueError:
            continue
        if not isinstance(document, dict):
            continue
        name = str(path.relative_to(folder))
        document = _moved(document, origin)
        document = _whole(document, f"{origin}/documents/{len(seen)}", f"{origin}/actor", reader)
        seen.append(name)
        kind = document.get("type")
        if kind == "Follow":
            document["object"] = _aimed(document.get("object"), reader)
        elif kind in ("Like", "Announce", "EmojiReact"):
            document["object"] = _aimed(document.get("object"), work)
        asked = "actor" not in document
        yield Sent(folder.name, str(kind if not asked or kind in _ACTORS else f"object {kind}"), name, document, asked=asked)


def _moved(document: dict[str, Any], origin: str) -> dict[str, Any]:
    for place in ("actor", "attributedTo", "id"):
        said = document.get(place)
        said = said[0] if isinstance(said, list) and said else said
        said = said.get("id") if isinstance(said, dict) else said
        if isinstance(said, str) and said.startswith(("http://", "https://")):
            host = said.split("/")[2]
            text = json.dumps(document)
            moved: dict[str, Any] = json.loads(text.replace(f"https://{host}", origin).replace(f"http://{host}", origin))
            return moved
    return document


def _whole(document: dict[str, Any], id_: str, sender: str, reader: str) -> dict[str, Any]:
    """An excerpt gets what every server sends with it: an id, who says it, and somebody here to whom it is said."""
    kind = document.get("type")
    if kind is None or kind in _ACTORS or str(kind).endswith(("Collection", "CollectionPage")):
        return document
    is_verb = "object" in document or "actor" in document
    whole = {"id": id_, ("actor" if is_verb else "attributedTo"): sender, **document}
    if is_verb and isinstance(inner := whole.get("object"), dict) and kind == "Create":
        whole["object"] = _whole(inner, f"{id_}/object", whole["actor"], reader)
    if not is_verb:
        cc = document.get("cc") or []
        whole["cc"] = [*(cc if isinstance(cc, list) else [cc]), reader]
    return whole


def _aimed(of: Any, at: str) -> Any:
    return {**of, "id": at} if isinstance(of, dict) else at
