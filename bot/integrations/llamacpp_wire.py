"""What the engine and its process say to each other: JSON, a message a line.

To the process: `complete` (id, prompts, time_limit_s), `cancel` (id), `count` (id, text);
the end of the stream means that nobody needs it any more. From the process: first `ready`
(context_tokens) or `unusable` (message), then for each id `completions`, `tokens` or
`refused` (the name of an error and its message).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any


def write(stream: IO[bytes], message: dict[str, Any]) -> None:
    """Send one message. Raises OSError if nobody listens."""
    stream.write(json.dumps(message).encode() + b"\n")
    stream.flush()


def read(stream: IO[bytes]) -> Iterator[dict[str, Any]]:
    """All messages until the other side is gone; a line it did not finish is dropped."""
    for line in stream:
        if line.endswith(b"\n"):
            yield json.loads(line)
