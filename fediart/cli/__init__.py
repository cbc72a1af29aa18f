"""The `fediart` command: everything that is done from a shell."""

from __future__ import annotations

import errno
import sys

from fediart.errors import FediartError


def main() -> None:
    """Run a command. What it raises on purpose is told in a sentence, without a trace."""
    from fediart.cli.commands import fediart

    try:
        fediart(standalone_mode=True)
    except FediartError as problem:
        sys.stderr.write(f"fediart: {problem.message}\n")
        if problem.detail:
            sys.stderr.write(f"         ({problem.detail})\n")
        sys.exit(1)
    except OSError as problem:
        if problem.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES):
            raise
        sys.stderr.write(f"fediart: {problem.filename or 'The disk'} cannot be written: {problem.strerror}.\n")
        sys.exit(1)
