"""What it looks like when memory runs out: not every library says MemoryError."""

from __future__ import annotations

_WORDS = ("bad_alloc", "allocate memory", "failed to map segment")
"""Of onnxruntime (whether a buffer or an operator's own memory), of the C library, and of a library that cannot be loaded."""


def is_shortage(problem: BaseException) -> bool:
    """Is this about memory, whatever it calls itself?"""
    return isinstance(problem, MemoryError) or any(words in str(problem) for words in _WORDS)
