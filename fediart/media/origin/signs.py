"""Which words in a file's metadata say what: the marks of standards and of image generators, as their programs write them.

Field names and shapes are facts of those formats (C2PA, IPTC Photo Metadata 2025.1, GB 45438-2025 with TC260's practice guide,
and the generators' own files). A word is never enough where people write too: a title may well be "Midjourney sunset".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fediart.domain.origin import Level, Signal

# --- standards

_SOURCE_TYPES: Mapping[str, tuple[Level, str]] = {
    "trainedAlgorithmicMedia": (Level.DECLARED, "made by a trained AI model"),
    "compositeWithTrainedAlgorithmicMedia": (Level.ASSISTED, "composed or edited with a trained AI model"),
    "algorithmicMedia": (Level.INFO, "made by an algorithm that was not trained, which is code art and not AI"),
    **dict.fromkeys(("digitalCreation", "digitalArt", "humanEdits"), (Level.INFO, "made by a person with digital tools")),
    **dict.fromkeys(("digitalCapture", "negativeFilm", "positiveFilm", "print"), (Level.INFO, "photographed or scanned")),
}
"""The last word of an address of the IPTC vocabulary (cv.iptc.org/newscodes/digitalsourcetype). What is not here says nothing."""


def source_type(address: str) -> tuple[Level, str] | None:
    """(level, in words) of a digital source type."""
    return _SOURCE_TYPES.get(address.strip().rpartition("/")[2])


def of_source_type(address: str) -> Iterator[Signal]:
    found = source_type(address)
    if found is not None:
        yield Signal(found[0], "iptc", f"The IPTC field “Digital Source Type” of this file says: {found[1]}.")


def of_ai_system() -> Signal:
    return Signal(Level.DECLARED, "iptc", "The IPTC field “AI System Used” of this file names a system that generated it.")


_LABEL = re.compile(r"""["']?Label["']?\s{0,9}[:=]\s{0,9}["']?([123])\b""")


def of_aigc(text: str, where: str) -> Iterator[Signal]:
    """China's label: 1 is generated, 2 perhaps, 3 suspected by whoever passed it on."""
    found = _LABEL.search(text)
    if found is None:
        return
    if found[1] == "1":
        yield Signal(Level.DECLARED, "tc260", f"The label “AIGC” (GB 45438-2025) in {where} says that AI generated this picture.")
    else:
        yield Signal(
            Level.HINT, "tc260", f"The label “AIGC” (GB 45438-2025) in {where} says that AI may have generated this picture."
        )


# --- settings of generators

_A1111 = re.compile(r"\bSteps: ?\d{1,5}\b")
_A1111_MORE = [
    re.compile(pattern)
    for pattern in (
        r"\bSampler: ?\w",
        r"\bCFG scale: ?\d",
        r"\bSeed: ?-?\d",
        r"\bSize: ?\d{2,5}x\d",
        r"\bModel(?: hash)?: ?\w",
        r"\bSchedule type: ?\w",
    )
]
_UPSCALED = re.compile(r"\bPostprocess upscale|\bUpscaler\b|\bUpscale: ?\d", re.IGNORECASE)
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_MIDJOURNEY = re.compile(rf"\bJob ID: ?{_UUID}\s*\Z", re.IGNORECASE)
_DREAM = re.compile(r"(?:^|\s)-([sSWHCA]) ?[\w.]+")
_GRAPH_TEXT = re.compile(r'"class_type"\s{0,4}:\s{0,4}"([^"]{1,100})"')
_SAMPLER_NODE = re.compile(r"Sampler|\bk?sampler\b")
"""In the name of a ComfyUI node, as its words begin: not Resampler, not Upsampler."""

_SETTINGS = {
    "sampler": ("sampler", "sampler_name", "sampler_index", "scheduler", "noise_schedule"),
    "guidance": ("cfg", "cfg_scale", "guidance", "guidance_scale", "uncond_scale", "unconditional_guidance_scale"),
    "negative": ("negative_prompt", "negative", "uc", "v4_negative_prompt"),
    "denoising": ("denoise", "denoising_strength"),
    "steps": ("steps", "num_inference_steps", "sampling_steps", "ddim_steps"),
    "seed": ("seed", "noise_seed"),
    "model": ("use_stable_diffusion_model", "base_model", "model_hash", "model_weights", "sd_model_name"),
}
"""What a sampler is told, by any of its names. Seed and steps alone are code art's as well."""

_OWN = ("sampler", "guidance", "negative", "denoising")
"""Of those the ones that only a diffusion model has."""

_NAMES = {
    "a1111": "Stable Diffusion web UI",
    "comfyui": "ComfyUI",
    "invokeai": "InvokeAI",
    "novelai": "NovelAI",
    "fooocus": "Fooocus",
    "swarmui": "SwarmUI",
    "drawthings": "Draw Things",
    "easydiffusion": "Easy Diffusion",
}

_MAKERS = (
    ("swarmui", ("sui_image_params", "swarm_version")),
    ("novelai", ("v4_prompt", "noise_schedule", "uncond_scale")),
    ("easydiffusion", ("use_stable_diffusion_model",)),
    ("fooocus", ("adm_guidance", "base_model")),
)
"""Whose settings these are, by a key that only they have."""

_LONGEST = 1 << 20


def of_settings(where: str, source: str) -> Signal:
    name = _NAMES.get(source, "an image generator")
    return Signal(Level.GENERATOR, source, f"{where} holds settings of {name}.")


def of_text(text: str, where: str, key: str = "", depth: int = 0) -> Iterator[Signal]:
    """What a field of free text says. `where` begins a sentence: "The text field …"; `key` is the field's name in the file."""
    held = _object(text)
    if held is not None:
        yield from of_object(held, where, key, depth)
        return
    if _A1111.search(text) and sum(1 for pattern in _A1111_MORE if pattern.search(text)) >= 2:
        yield of_settings(where, "a1111")
    elif key in ("extras", "postprocessing") and _UPSCALED.search(text):
        yield Signal(Level.HINT, "a1111", f"{where} says that Stable Diffusion web UI enlarged this picture.")
    elif key == "Dream" and len(set(_DREAM.findall(text))) >= 3:
        yield of_settings(where, "invokeai")
    elif key == "prompt" and len(text) >= _LONGEST:  # a graph that was cut: its nodes are still there to be read
        yield _of_graph(_GRAPH_TEXT.findall(text), where)
    if _MIDJOURNEY.search(text):
        yield Signal(Level.GENERATOR, "midjourney", f"{where} ends with a job number as Midjourney writes it.")


def _object(text: str) -> dict[str, Any] | None:
    text = text.strip("\0\ufeff \t\r\n")
    if not text.startswith("{") or len(text) > _LONGEST:
        return None
    try:
        held = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return held if isinstance(held, dict) else None


def of_object(held: dict[str, Any], where: str, key: str = "", depth: int = 0) -> Iterator[Signal]:
    """What a JSON object in a field says; objects and texts in it are looked into, three deep."""
    graph = nodes_of(held)
    if graph is not None:
        yield _of_graph(graph, where)
        return
    if "AIGC" in held:
        yield from of_aigc(held["AIGC"] if isinstance(held["AIGC"], str) else json.dumps(held["AIGC"]), _within(where))
    keys = {_snake(name) for name in list(held)[:256]}
    maker = next((source for source, marks in _MAKERS if keys & set(marks)), "")
    if is_settings(keys) or maker == "swarmui":
        yield of_settings(where, _BY_KEY.get(key) or maker or "json")
        return
    if maker == "easydiffusion":
        yield Signal(Level.HINT, maker, f"{where} names a model of Easy Diffusion, and no settings.")
    if depth >= 3:
        return
    for name, value in list(held.items())[:64]:
        # A workflow beside a prompt is what was open in the editor; the prompt is what was run.
        if name == "workflow" and "prompt" in held:
            continue
        if isinstance(value, dict):
            yield from of_object(value, where, key, depth + 1)
        elif isinstance(value, str) and len(value) > 20:
            yield from of_text(value, where, key, depth + 1)


def _within(where: str) -> str:
    return where[:1].lower() + where[1:]


_BY_KEY = {"invokeai_metadata": "invokeai", "sd-metadata": "invokeai"}


def is_settings(keys: set[str]) -> bool:
    """Do these keys, in snake case, say what a sampler is told: three things, one of them only such a model's?"""
    said = {what for what, names in _SETTINGS.items() if keys.intersection(names)}
    return len(said) >= 3 and not said.isdisjoint(_OWN)


def snake_keys(names: Iterator[str]) -> set[str]:
    return {_snake(name) for name in names}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[ -]", "_", name[:60]).lower()


def nodes_of(held: dict[str, Any]) -> list[str] | None:
    """The kinds of nodes in a graph of ComfyUI, as it is run or as it is edited (there without those that are off)."""
    run = [node["class_type"] for node in held.values() if isinstance(node, dict) and isinstance(node.get("class_type"), str)]
    if run:
        return run
    nodes = held.get("nodes")
    if not isinstance(nodes, list) or "links" not in held:
        return None
    return [
        node["type"]
        for node in nodes
        if isinstance(node, dict) and isinstance(node.get("type"), str) and node.get("mode", 0) not in (2, 4)
    ]


def _of_graph(nodes: list[str], where: str) -> Signal:
    if any(_SAMPLER_NODE.search(node[:200]) for node in nodes):
        return Signal(Level.GENERATOR, "comfyui", f"{where} holds a graph of ComfyUI in which a sampler makes a picture.")
    return Signal(Level.HINT, "comfyui", f"{where} holds a graph of ComfyUI, without a sampler.")
