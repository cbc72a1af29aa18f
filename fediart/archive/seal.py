"""A file that only who knows a passphrase can read, written and read as a stream.

The construction is STREAM (https://eprint.iacr.org/2015/189), as `age` uses it: chunks of 64 KiB, each sealed with
ChaCha20-Poly1305 under a number that counts them and says which one is the last. So a chunk that was changed, left out,
repeated, moved or put behind the end is noticed, and memory holds one chunk. The key comes from the passphrase by scrypt
(RFC 7914) with a salt of the file's own; a code over the header tells a wrong passphrase from a damaged file.
"""

from __future__ import annotations

import hmac
import secrets
import struct
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from fediart.archive.pack import Sink
from fediart.errors import BadArchive

MAGIC = b"fediart-sealed-1\n"
_HEAD = struct.Struct(">B16s")
"""Logarithm of scrypt's N; salt."""
_CODE = 32
_LOG_N, _LEAST_LOG_N, _MOST_LOG_N = 16, 10, 18
"""64 MiB and some 0.2 s for each try. What a file may ask of its reader ends at 256 MiB."""
CHUNK = 1 << 16
_TAG = 16


def _keys(passphrase: str, log_n: int, salt: bytes) -> tuple[bytes, bytes]:
    """(key of the chunks, key of the header's code)."""
    both = Scrypt(salt=salt, length=64, n=1 << log_n, r=8, p=1).derive(passphrase.encode())
    return both[:32], both[32:]


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if is_last else b"\x00")


class SealingWriter:
    """Takes plain bytes, writes sealed ones to `out`. Whole only after `finish`."""

    def __init__(self, out: Sink, passphrase: str, log_n: int = _LOG_N) -> None:
        head = MAGIC + _HEAD.pack(log_n, secrets.token_bytes(16))
        key, code_key = _keys(passphrase, log_n, head[-16:])
        self._head = head
        self._cipher = ChaCha20Poly1305(key)
        self._out = out
        self._held = bytearray()
        self._number = 0
        out.write(head + hmac.digest(code_key, head, "sha256"))

    def write(self, data: bytes) -> int:
        self._held += data
        # The last chunk is marked, so one is held back until it is known whether more comes.
        if len(self._held) > CHUNK:
            whole = (len(self._held) - 1) // CHUNK * CHUNK
            with memoryview(self._held) as held:
                for at in range(0, whole, CHUNK):
                    self._seal(held[at : at + CHUNK], is_last=False)
            del self._held[:whole]
        return len(data)

    def finish(self) -> None:
        """The end, which nobody can move. `out` stays open."""
        self._seal(bytes(self._held), is_last=True)
        self._held.clear()

    def _seal(self, chunk: bytes | memoryview, *, is_last: bool) -> None:
        self._out.write(self._cipher.encrypt(_nonce(self._number, is_last=is_last), chunk, self._head))
        self._number += 1


class SealedReader:
    """Gives the plain bytes of a sealed file. Raises BadArchive for a wrong passphrase and for whatever is not as it was."""

    def __init__(self, source: BinaryIO, passphrase: str) -> None:
        head = source.read(len(MAGIC) + _HEAD.size)
        code = source.read(_CODE)
        if len(code) != _CODE or not head.startswith(MAGIC):
            raise BadArchive("This backup ends in its first bytes: it was cut off.")
        log_n, salt = _HEAD.unpack(head[len(MAGIC) :])
        if not _LEAST_LOG_N <= log_n <= _MOST_LOG_N:
            raise BadArchive("The first bytes of this backup were changed.")
        key, code_key = _keys(passphrase, log_n, salt)
        if not hmac.compare_digest(hmac.digest(code_key, head, "sha256"), code):
            raise BadArchive("The passphrase is not the one of this backup (or the first bytes of the file were changed).")
        self._head = head
        self._cipher = ChaCha20Poly1305(key)
        self._source = source
        self._number = 0
        self._plain = b""
        self._at = 0
        self._next = source.read(CHUNK + _TAG)
        self._is_over = False

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes; fewer only at the end of the file, which was then seen to be the true one."""
        parts: list[bytes] = []
        wanted = size
        while wanted:
            if self._at == len(self._plain):
                if self._is_over:
                    break
                self._open_next()
            part = self._plain[self._at : self._at + wanted]
            self._at += len(part)
            wanted -= len(part)
            parts.append(part)
        return b"".join(parts)

    def _open_next(self) -> None:
        sealed, self._next = self._next, self._source.read(CHUNK + _TAG)
        is_last = not self._next
        try:
            plain = self._cipher.decrypt(_nonce(self._number, is_last=is_last), sealed, self._head)
        except InvalidTag:
            place = f"{self._number * CHUNK / 1e6:.1f} MB from its beginning"
            end = "it was cut off there, or changed" if is_last else "it was changed or damaged there"
            raise BadArchive(f"This backup is not as it was written: {end} ({place}).") from None
        self._number += 1
        self._plain, self._at, self._is_over = plain, 0, is_last
