"""Files as image generators and people's own programs write them: each field where the real program puts it."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

A1111_TEXT = (
    "a castle in the clouds, oil painting\nNegative prompt: blurry, lowres\n"
    "Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 1234567890, Size: 512x768, "
    "Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, Version: v1.10.1"
)

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def picture(mode: str = "RGB") -> Image.Image:
    return Image.linear_gradient("L").resize((160, 128)).convert(mode)


def saved(shown: Image.Image, kind: str, **more: Any) -> bytes:
    out = io.BytesIO()
    shown.save(out, kind, **more)
    return out.getvalue()


def jpeg(**more: Any) -> bytes:
    return saved(picture(), "JPEG", **more)


def png(texts: dict[str, str], *, packed: bool = False, international: bool = False, **more: Any) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        if international:
            info.add_itxt(key, text, zip=packed)
        else:
            info.add_text(key, text, zip=packed)
    return saved(more.pop("shown", picture()), "PNG", pnginfo=info, **more)


def xmp(body: str, attributes: str = "") -> bytes:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
        'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/" '
        f'xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" {attributes}>{body}</rdf:Description></rdf:RDF></x:xmpmeta>'
        '<?xpacket end="w"?>'
    ).encode()


def ai_xmp(kind: str = "trainedAlgorithmicMedia") -> bytes:
    return xmp(f"<Iptc4xmpExt:DigitalSourceType>{IPTC}{kind}</Iptc4xmpExt:DigitalSourceType>")


def exif(fields: Mapping[int, str | bytes], inner: Mapping[int, bytes] | None = None) -> bytes:
    made = Image.Exif()
    for tag, value in fields.items():
        made[tag] = value
    for tag, data in (inner or {}).items():
        made.get_ifd(0x8769)[tag] = data
    return made.tobytes()


COMMENT, MAKER_NOTE, DESCRIPTION, MAKE, MODEL, SOFTWARE, ARTIST = 0x9286, 0x927C, 0x010E, 0x010F, 0x0110, 0x0131, 0x013B


def comment(text: str, *, order: str = "be") -> bytes:
    """Exif's User Comment, as piexif and ExifTool write it."""
    return exif({}, {COMMENT: b"UNICODE\0" + text.encode(f"utf-16-{order}")})


def graph(*kinds: str) -> str:
    """A graph of ComfyUI as it was run."""
    return json.dumps({str(i): {"class_type": kind, "inputs": {"text": "a castle"}} for i, kind in enumerate(kinds, 1)})


def workflow(*kinds: str, mode: int = 0) -> str:
    """The same as it stands in the editor."""
    nodes = [{"id": i, "type": kind, "mode": mode, "pos": [0, 0]} for i, kind in enumerate(kinds, 1)]
    return json.dumps({"last_node_id": len(nodes), "nodes": nodes, "links": [], "version": 0.4})


MAKES = ("CheckpointLoaderSimple", "CLIPTextEncode", "KSampler", "VAEDecode", "SaveImage")
ENLARGES = ("LoadImage", "UpscaleModelLoader", "ImageUpscaleWithModel", "SaveImage")


def stealthy(kind: str, **more: Any) -> bytes:
    """Settings in the lowest bits of alpha, down the columns."""
    body = gzip.compress(json.dumps({"Description": "a castle"}).encode(), mtime=0)
    data = b"stealth_pngcomp" + (8 * len(body)).to_bytes(4) + body
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    shown = np.asarray(picture("RGBA")).copy()
    alpha = shown[..., 3].T.reshape(-1).copy()
    alpha[: len(bits)] = alpha[: len(bits)] & 0xFE | bits
    shown[..., 3] = alpha.reshape(shown.shape[1], shown.shape[0]).T
    return saved(Image.fromarray(shown), kind, **more)


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2) + body


def jpeg_with(*segments: bytes) -> bytes:
    data = jpeg()
    return data[:2] + b"".join(segments) + data[2:]


def extended_xmp(packet: bytes) -> list[bytes]:
    """A packet in two pieces, the second one first, as a JPEG may hold it."""
    half = len(packet) // 2
    begin = b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32 + len(packet).to_bytes(4)
    return [segment(0xE1, begin + at.to_bytes(4) + part) for at, part in ((half, packet[half:]), (0, packet[:half]))]


def caption(text: str) -> bytes:
    """IPTC-IIM's caption among Photoshop's image resources."""
    held = text.encode()
    record = b"\x1c\x02\x78" + len(held).to_bytes(2) + held
    resource = b"8BIM\x04\x04\0\0" + len(record).to_bytes(4) + record
    return segment(0xED, b"Photoshop 3.0\0" + b"8BIM\x04\x25\0\0\0\0\0\x03abc\0" + resource)


def gif_with_xmp(packet: bytes) -> bytes:
    """The packet stands as it is, led out of by 258 bytes (XMP Part 3, 1.1.2)."""
    data = saved(picture("P"), "GIF")
    trailer = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    return data[:-1] + b"\x21\xff\x0bXMP DataXMP" + packet + trailer + data[-1:]


JSON_SETTINGS = {"prompt": "a castle", "negative_prompt": "blurry", "num_inference_steps": 30, "guidance_scale": 7.5, "seed": 42}
FOOOCUS = {
    "adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "juggernautXL_v8", "guidance_scale": 4, "prompt": "a castle",
    "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras", "seed": "77", "steps": 30, "version": "Fooocus v2.5.5",
}  # fmt: skip
SWARM = {
    "sui_image_params": {"prompt": "a castle", "model": "flux", "seed": 1, "steps": 20, "cfgscale": 7, "swarm_version": "0.9"}
}
INVOKE = {"app_version": "5.4.2", "generation_mode": "txt2img", "positive_prompt": "a castle", "negative_prompt": "", "seed": 3,
          "cfg_scale": 7, "steps": 30, "scheduler": "euler", "model": {"key": "k"}}  # fmt: skip
SD_METADATA = {"model": "stable diffusion", "model_hash": "cc6c", "app_id": "invoke-ai/InvokeAI", "image": {"prompt": [
    {"prompt": "a castle", "weight": 1}], "steps": 50, "cfg_scale": 7.5, "seed": 4, "sampler": "k_lms"}}  # fmt: skip
NOVELAI = {
    "prompt": "a castle",
    "steps": 28,
    "scale": 5,
    "uncond_scale": 0,
    "seed": 5,
    "sampler": "k_euler",
    "noise_schedule": "karras",
}
DRAW_THINGS = {
    "c": "a castle",
    "uc": "blurry",
    "model": "sd_xl.ckpt",
    "sampler": "DPM++ 2M Karras",
    "scale": 7,
    "seed": 6,
    "steps": 30,
}
EASY = {"prompt": "a castle", "seed": "8", "use_stable_diffusion_model": "sd-v1-5", "num_inference_steps": "25",
        "guidance_scale": "7.5", "sampler_name": "euler_a"}  # fmt: skip
TC260 = {"Label": "1", "ContentProducer": "001191110108MA01KP2T5U00000", "ProduceID": "a1", "ReservedCode1": ""}
JOB = "a castle in the clouds --ar 2:3 --v 6.1 Job ID: 0f1b2c3d-1111-4222-8333-444455556666"


def _quoted(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def _alt(name: str, text: str) -> str:
    return f'<{name}><rdf:Alt><rdf:li xml:lang="x-default">{_quoted(text)}</rdf:li></rdf:Alt></{name}>'


def generated() -> dict[str, tuple[bytes, str, str]]:
    """What machines made: name → (file, level, source)."""
    draw_things = xmp("<xmp:CreatorTool>Draw Things</xmp:CreatorTool>" + _alt("exif:UserComment", json.dumps(DRAW_THINGS)))
    signed = exif({DESCRIPTION: "Signature: " + "Qm9v" * 20, ARTIST: "0f1b2c3d-1111-4222-8333-444455556666"})
    fields = {MODEL: f"prompt:{graph(*MAKES)}", MAKE: f"workflow:{workflow(*MAKES)}"}
    fooocus = exif({SOFTWARE: "Fooocus v2.5.5"}, {COMMENT: json.dumps(FOOOCUS).encode(), MAKER_NOTE: b"fooocus"})
    tiff_xmp = {700: ai_xmp()}
    return {
        "IPTC in a JPEG": (jpeg(xmp=ai_xmp()), "declared", "iptc"),
        "IPTC as an attribute": (
            jpeg(xmp=xmp("", f'Iptc4xmpExt:DigitalSourceType="{IPTC}trainedAlgorithmicMedia"')), "declared", "iptc"),
        "IPTC as a resource, under another prefix": (
            jpeg(xmp=xmp(f'<i:DigitalSourceType rdf:resource="{IPTC}trainedAlgorithmicMedia"/>',
                         "xmlns:i='http://iptc.org/std/Iptc4xmpExt/2008-02-29/'")), "declared", "iptc"),
        "IPTC in UTF-16": (jpeg_with(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + ai_xmp().decode().encode("utf-16"))),
                           "declared", "iptc"),
        "IPTC in extended XMP": (jpeg_with(*extended_xmp(ai_xmp())), "declared", "iptc"),
        "IPTC in a PNG": (png({"XML:com.adobe.xmp": ai_xmp().decode()}, international=True), "declared", "iptc"),
        "IPTC in a PNG, packed": (
            png({"XML:com.adobe.xmp": ai_xmp().decode()}, international=True, packed=True), "declared", "iptc"),
        "IPTC in a WebP": (saved(picture(), "WEBP", xmp=ai_xmp()), "declared", "iptc"),
        "IPTC in an AVIF": (saved(picture(), "AVIF", xmp=ai_xmp()), "declared", "iptc"),
        "IPTC in a GIF": (gif_with_xmp(ai_xmp()), "declared", "iptc"),
        "IPTC in a TIFF": (saved(picture(), "TIFF", tiffinfo=tiff_xmp), "declared", "iptc"),
        "IPTC: parts": (jpeg(xmp=ai_xmp("compositeWithTrainedAlgorithmicMedia")), "assisted", "iptc"),
        "IPTC: the system": (jpeg(xmp=xmp("<Iptc4xmpExt:AISystemUsed>Imager 3</Iptc4xmpExt:AISystemUsed>")), "declared", "iptc"),
        "TC260 in XMP": (jpeg(xmp=xmp("", f'TC260:AIGC="{_quoted(json.dumps(TC260))}"')), "declared", "tc260"),
        "TC260 in a PNG": (png({"AIGC": json.dumps(TC260)}), "declared", "tc260"),
        "TC260 in Exif": (jpeg(exif=comment(json.dumps({"AIGC": TC260}))), "declared", "tc260"),
        "A1111 in a PNG": (png({"parameters": A1111_TEXT}), "generator", "a1111"),
        "A1111 in a PNG, packed, in Japanese": (
            png({"parameters": "城 " + A1111_TEXT}, packed=True, international=True), "generator", "a1111"),
        "A1111 in a JPEG": (jpeg(exif=comment(A1111_TEXT)), "generator", "a1111"),
        "A1111 in a WebP": (saved(picture(), "WEBP", exif=comment("城" * 40 + A1111_TEXT, order="le")), "generator", "a1111"),
        "A1111 in an AVIF": (saved(picture(), "AVIF", exif=comment(A1111_TEXT)), "generator", "a1111"),
        "A1111 in a GIF": (saved(picture("P"), "GIF", comment=A1111_TEXT.encode()), "generator", "a1111"),
        "A1111 as ImageMagick keeps Exif": (png({"Raw profile type exif": _raw(b"Exif\0\0" + comment(A1111_TEXT)[6:])},
                                                packed=True), "generator", "a1111"),
        "ComfyUI in a PNG": (png({"prompt": graph(*MAKES), "workflow": workflow(*MAKES)}), "generator", "comfyui"),
        "ComfyUI in a WebP": (saved(picture(), "WEBP", exif=exif(fields)), "generator", "comfyui"),
        "ComfyUI's editor alone": (png({"workflow": workflow(*MAKES)}), "generator", "comfyui"),
        "InvokeAI": (png({"invokeai_metadata": json.dumps(INVOKE)}), "generator", "invokeai"),
        "InvokeAI 2": (png({"sd-metadata": json.dumps(SD_METADATA)}), "generator", "invokeai"),
        "InvokeAI 1": (png({"Dream": '"a castle" -s 50 -S 42 -W 512 -H 512 -C 7.5 -A k_lms'}), "generator", "invokeai"),
        "NovelAI": (png({"Title": "AI generated image", "Software": "NovelAI", "Source": "Stable Diffusion XL 7BCCAA2C",
                         "Comment": json.dumps(NOVELAI)}), "generator", "novelai"),
        "Fooocus in a PNG": (png({"fooocus_scheme": "fooocus", "parameters": json.dumps(FOOOCUS)}), "generator", "fooocus"),
        "Fooocus in a JPEG": (jpeg(exif=fooocus), "generator", "fooocus"),
        "SwarmUI in a PNG": (png({"parameters": json.dumps(SWARM)}), "generator", "swarmui"),
        "SwarmUI in a JPEG": (jpeg(exif=comment(json.dumps(SWARM))), "generator", "swarmui"),
        "Draw Things": (png({"XML:com.adobe.xmp": draw_things.decode()}, international=True), "generator", "drawthings"),
        "Midjourney in a PNG": (png({"Description": JOB, "Author": "somebody"}), "generator", "midjourney"),
        "Midjourney in XMP": (jpeg(xmp=xmp(_alt("dc:description", JOB))), "generator", "midjourney"),
        "Midjourney in IPTC": (jpeg_with(caption(JOB)), "generator", "midjourney"),
        "Midjourney in Exif": (jpeg(exif=exif({DESCRIPTION: JOB})), "generator", "midjourney"),
        "Easy Diffusion in a PNG": (png(EASY), "generator", "easydiffusion"),
        "Easy Diffusion in a JPEG": (jpeg(exif=comment(json.dumps(EASY))), "generator", "easydiffusion"),
        "settings in JSON": (png({"Comment": json.dumps(JSON_SETTINGS)}), "generator", "json"),
        "settings in a JPEG's comment": (jpeg(comment=json.dumps(JSON_SETTINGS).encode()), "generator", "json"),
        "Grok": (jpeg(exif=signed), "generator", "xai"),
    }  # fmt: skip


HIDDEN: dict[str, dict[str, Any]] = {"PNG": {}, "WEBP": {"lossless": True, "exact": True}}
"""Files with settings hidden in alpha, by their kind: how each is saved."""


def _raw(data: bytes) -> str:
    return f"\nexif\n{len(data):8}\n{data.hex()}\n"


def human() -> dict[str, tuple[bytes, str | None]]:
    """What people made, with metadata that misleads: name → (file, level)."""
    pantry = (
        f"<xmp:CreatorTool>Adobe Photoshop 27.0 (Windows)</xmp:CreatorTool><xmpMM:Pantry><rdf:Bag><rdf:li><rdf:Description>"
        f"<Iptc4xmpExt:DigitalSourceType>{IPTC}trainedAlgorithmicMedia</Iptc4xmpExt:DigitalSourceType>"
        f"<Iptc4xmpExt:AISystemUsed>Imager</Iptc4xmpExt:AISystemUsed></rdf:Description></rdf:li></rdf:Bag></xmpMM:Pantry>"
    )
    attributes = (
        f'<xmpMM:Pantry><rdf:Bag><rdf:li><rdf:Description Iptc4xmpExt:DigitalSourceType="{IPTC}trainedAlgorithmicMedia"/>'
        f'</rdf:li></rdf:Bag></xmpMM:Pantry><xmpMM:DerivedFrom Iptc4xmpExt:DigitalSourceType="{IPTC}trainedAlgorithmicMedia"/>'
    )
    history = (
        '<xmpMM:History><rdf:Seq><rdf:li rdf:parseType="Resource" xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#">'
        "<stEvt:action>saved</stEvt:action><stEvt:parameters>converted from image/tiff, Steps: 3</stEvt:parameters></rdf:li>"
        "</rdf:Seq></xmpMM:History>"
    )
    camera = exif(
        {MAKE: "NIKON CORPORATION", MODEL: "NIKON Z 8", SOFTWARE: "Ver.02.01",
         DESCRIPTION: "Prompt: a castle. Answer to the weekly prompt of our photo club; seed heads, steps: 40"},
        {COMMENT: b"ASCII\0\0\0" + b" " * 36},
    )  # fmt: skip
    tags = "<dc:subject><rdf:Bag>" + "".join(
        f"<rdf:li>{tag}</rdf:li>" for tag in ("noai", "not Stable Diffusion", "no Midjourney", "AIGC", "trainedAlgorithmicMedia")
    )
    clear = picture("RGBA")
    clear.putalpha(Image.radial_gradient("L").resize(clear.size))
    code_art = json.dumps({"seed": 1234, "steps": 400, "palette": ["#fff"], "noise": "simplex", "model": "flow field"})
    return {
        "Photoshop, with an ingredient that a machine made": (jpeg(xmp=xmp(pantry)), None),
        "Photoshop, the ingredient told in attributes": (jpeg(xmp=xmp(attributes)), None),
        "Photoshop's history": (jpeg(xmp=xmp(history)), None),
        "GIMP": (jpeg(comment=b"Created with GIMP"), None),
        "Krita": (png({"Software": "Krita", "Author": "Ana", "Comment": "model: my sister, sampler of brushes"}), None),
        "ComfyUI, only enlarged": (png({"prompt": graph(*ENLARGES), "workflow": workflow(*ENLARGES)}), "hint"),
        "ComfyUI, enlarged with a sampler left open in the editor": (
            png({"prompt": graph(*ENLARGES), "workflow": workflow(*MAKES)}), "hint"),
        "ComfyUI's editor with the sampler switched off": (png({"workflow": workflow(*MAKES, mode=4)}), "hint"),
        "A1111, only enlarged": (
            png({"postprocessing": "Postprocess upscale by: 2, Postprocess upscaler: R-ESRGAN 4x+"}), "hint"),
        "a model's name alone": (png({"use_stable_diffusion_model": "sd-v1-5"}), "hint"),
        "a camera, and the word prompt": (jpeg(exif=camera), None),
        "parameters of something else": (png({"parameters": "Steps: 12 layers of glaze, Size: A3, brush: round 4"}), None),
        "settings of a scanner": (png({"parameters": json.dumps({"model": "V600", "dpi": 600, "steps": 3, "seed": 0})}), None),
        "code art": (jpeg(xmp=ai_xmp("algorithmicMedia")), "info"),
        "code art with its seed": (png({"Comment": code_art}), None),
        "code art that grows from a form": (png({"Comment": json.dumps({"seed": 1, "steps": 400, "base_model": "fern"})}), None),
        "drawn by hand, and says so": (jpeg(xmp=ai_xmp("digitalCreation")), "info"),
        "a title": (
            jpeg(xmp=xmp(_alt("dc:title", "Midjourney sunset") + _alt("dc:description", "Our Midjourney, job ID 4711"))), None),
        "a printer's job": (png({"Description": "Giclée, Job ID: 2026-11-25-17"}), None),
        "keywords against AI": (jpeg(xmp=xmp(tags + "</rdf:Bag></dc:subject>")), None),
        "an empty AI system": (jpeg(xmp=xmp("<Iptc4xmpExt:AISystemUsed> </Iptc4xmpExt:AISystemUsed>")), None),
        "a word of the vocabulary that nobody knows": (jpeg(xmp=ai_xmp("madeOnTheMoon")), None),
        "soft edges": (saved(clear, "PNG"), None),
    }  # fmt: skip
