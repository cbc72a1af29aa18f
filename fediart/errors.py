"""Every error that fediart raises on purpose, in one tree.

FediartError
├── BadInput            422  what a person or a server sent cannot be used; the message says why
│   ├── ParseError      400  a document from elsewhere does not have the shape it must have
│   ├── BadPicture      422  a file is not a picture that we take
│   └── TooLarge        413  more than we read of anything of that kind
├── SignInNeeded        401
├── SignatureNeeded     401  a document is for servers that sign their requests
├── NotAllowed          403
├── NotFound            404  also what a stranger hears of a thing that is not for them
├── Gone                410
├── Conflict            409
├── TooMany             429
├── Unavailable         503  this server cannot do it now (disk full, database away)
│   └── NoRoom          507  … because the little that is left on the disk is kept for reading and for words
├── ConfigError              the configuration or the machine must be changed first
├── CloakFailed              a picture was not cloaked, so it stays here
│   └── EncoderFailed        … because of one of the encoders that were to steer its cloak (`encoder`: its name)
├── Interrupted              the process that prepared a picture was killed: the same again may go well
├── BadArchive               a backup is not one, is damaged, or cannot be taken up where it should be
├── BadEncoder               a file is not an encoder that a cloak can use, or not the one it should be
└── RemoteError              something about another server
    ├── AddressRefused       the dialled address is not on the public internet
    │   └── HostBlocked      the admin blocks that host
    ├── Unreachable          no answer (name, connection, TLS, time)
    ├── RefusedByRemote      an answer with an error status (`status`)
    ├── RemoteGone           the answer was 404 or 410
    └── BadAnswer            an answer that is too long, of a wrong type, or not what was asked for

`message` is safe to show to a stranger. `detail` goes to the log only.
"""

from __future__ import annotations

import re


class FediartError(Exception):
    """Base. `status` is the HTTP status a door answers with."""

    status = 500

    def __init__(self, message: str, *, detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail

    @property
    def name(self) -> str:
        """By which it is counted: `too_large`."""
        return re.sub(r"(?<=.)(?=[A-Z])", "_", type(self).__name__).lower()


class BadInput(FediartError):
    status = 422


class ParseError(BadInput):
    status = 400


class BadPicture(BadInput):
    status = 422


class TooLarge(BadInput):
    status = 413


class SignInNeeded(FediartError):
    status = 401


class SignatureNeeded(FediartError):
    status = 401


class NotAllowed(FediartError):
    status = 403


class NotFound(FediartError):
    status = 404


class Gone(FediartError):
    status = 410


class Conflict(FediartError):
    status = 409


class TooMany(FediartError):
    """`retry_after` in seconds."""

    status = 429

    def __init__(self, message: str, *, retry_after: int, detail: str | None = None) -> None:
        super().__init__(message, detail=detail)
        self.retry_after = retry_after


class Unavailable(FediartError):
    """`retry_after` in seconds."""

    status = 503

    def __init__(self, message: str, *, retry_after: int = 60, detail: str | None = None) -> None:
        super().__init__(message, detail=detail)
        self.retry_after = retry_after


class NoRoom(Unavailable):
    status = 507


class ConfigError(FediartError):
    pass


class CloakFailed(FediartError):
    pass


class EncoderFailed(CloakFailed):
    def __init__(self, message: str, *, encoder: str, detail: str | None = None) -> None:
        super().__init__(message, detail=detail)
        self.encoder = encoder


class Interrupted(FediartError):
    pass


class BadArchive(FediartError):
    pass


class BadEncoder(FediartError):
    pass


class RemoteError(FediartError):
    status = 502


class AddressRefused(RemoteError):
    pass


class HostBlocked(AddressRefused):
    pass


class Unreachable(RemoteError):
    pass


class RefusedByRemote(RemoteError):
    """`remote_status` is what the other server answered; `retry_after` in seconds where it named one."""

    def __init__(self, message: str, *, remote_status: int, retry_after: int | None = None, detail: str | None = None) -> None:
        super().__init__(message, detail=detail)
        self.remote_status = remote_status
        self.retry_after = retry_after


class RemoteGone(RefusedByRemote):
    pass


class BadAnswer(RemoteError):
    pass
