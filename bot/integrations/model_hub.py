"""A model from a hub, through huggingface_hub, which heeds HF_ENDPOINT, HF_TOKEN and
HF_HUB_OFFLINE."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Self

from huggingface_hub import get_hf_file_metadata, hf_hub_url
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from bot.errors import GiveUp
from bot.integrations.model_catalog import HubFile

FIRST_ANSWER_S = 5.0


def from_hub(source: HubFile, size: int, target: Path, progress: Callable[[int], None]) -> None:
    """Append to `target` the bytes it lacks of the `size` bytes of a file on the hub.

    A download that is cut is resumed at its byte. Raises GiveUp with a short reason, and
    OSError if the disk is full.
    """
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        _append(source, size, target, progress)
    except GiveUp:
        raise
    except Exception as error:
        # The hub's library has changed its HTTP library before; any trouble but ours means
        # that this source is of no use now.
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise GiveUp(_first_line(error)) from None


def _append(source: HubFile, size: int, target: Path, progress: Callable[[int], None]) -> None:
    """The hub is first asked about the file, once and briefly: where no hub can be reached,
    that costs seconds, and not the minute of retries that a download is worth."""
    url = hf_hub_url(source.repo, source.file, revision=source.revision)
    served = get_hf_file_metadata(url, timeout=FIRST_ANSWER_S).size
    if served not in (None, size):
        raise GiveUp(f"it serves {served} bytes, {size} are expected")
    with target.open("ab") as out:
        http_get(
            url,
            out,
            resume_size=out.tell(),
            headers=build_hf_headers(),
            expected_size=size,
            tqdm_class=_reporting(lambda: progress(out.tell())),
        )


def _reporting(report: Callable[[], None]) -> type:
    """A stand-in for the class tqdm that only says when bytes have come."""

    class Bar:
        def __init__(self, **_: object) -> None: ...

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None: ...

        def update(self, _: float | None = 1) -> None:
            report()

    return Bar


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
