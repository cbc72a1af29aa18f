"""How long a connection may take to say what it wants: uvicorn's HTTP protocol, with an end for whoever drips or says nothing.

Without it a handful of addresses could hold every connection that there is, for ever. How much a whole body may have is said
in `web/security`.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

_ANSWERS = {408: b"This request took too long.", 431: b"The headers of this request are too long."}


class Deadlines(HttpToolsProtocol):
    """Closes a connection whose request has no whole head in `HEAD_S` or in `HEAD_BYTES`, or whose body all but stands still.

    While it is this server that does not read on, no time counts.
    """

    HEAD_S = 10.0
    HEAD_BYTES = 65_536
    """Also of what follows a body in chunks."""

    BODY_S = 30.0
    BODY_BYTES = 30_000
    """So much of a body must come in any `BODY_S`, unless it ends: a kilobyte a second. Uploads in parts go on afterwards."""

    _deadline: asyncio.TimerHandle | None = None
    _came = 0
    _pending = 0
    _went_on = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.HEAD_S, self._end, 0)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._went_on = False
        super().data_received(data)
        self._pending = 0 if self._went_on else self._pending + len(data)
        if self._pending > self.HEAD_BYTES:
            self._end(431)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._cancel()
        self._deadline = self.loop.call_later(self.HEAD_S, self._end, 408)

    def on_headers_complete(self) -> None:
        self._went_on = True
        super().on_headers_complete()
        self._await_body()

    def on_body(self, body: bytes) -> None:
        self._went_on = True
        self._came += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._went_on = True
        self._cancel()
        super().on_message_complete()

    def _await_body(self) -> None:
        self._cancel()
        self._came = 0
        self._deadline = self.loop.call_later(self.BODY_S, self._look_at_body)

    def _look_at_body(self) -> None:
        if self._came >= self.BODY_BYTES or self.flow.read_paused:
            self._await_body()
        else:
            self._end(408)

    def _cancel(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self, status: int) -> None:
        """Close, with an answer where one can still be given. 0: nothing was said, so nothing is answered."""
        self._cancel()
        if self.transport.is_closing():
            return
        is_asked = self.cycle is not None and not self.cycle.response_complete
        if is_asked:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if status and not (is_asked and self.cycle.response_started):
            words = _ANSWERS[status]
            head = b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(words)
            self.transport.write(STATUS_LINE[status] + head + words)
        self.transport.close()
