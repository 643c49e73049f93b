"""A GGUF model in llama.cpp's low-level API: text to tokens, tokens to logits.

Every sequence has a key-value cache of its own (`kv_unified` off), so a token's place in
memory, and with it the last bits of every number, depends on its own prompt alone and not
on what was asked before.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import llama_cpp.llama_cpp as ll
import numpy as np
from numpy.typing import NDArray

from bot.errors import UnusableModel

CHUNK = 512  # tokens evaluated by one call of the library
ABORTED = 2  # what llama_decode returns when the abort callback said yes
ERROR = 4  # GGML_LOG_LEVEL_ERROR
GGUF_MAGIC = b"GGUF"
LIBC = ctypes.CDLL(None)


class Aborted(Exception):
    """The abort flag was raised while the library was computing."""


class Model:
    """Weights, vocabulary and one context of `sequences` times `context_tokens` tokens.

    Raises UnusableModel if the file is missing, no GGUF, cut short, of an architecture
    that llama.cpp does not know, or too big for the memory of this machine.
    """

    def __init__(
        self, path: Path, *, context_tokens: int, sequences: int, threads: int
    ) -> None:
        _check_file(path)
        ll.llama_log_set(_note, None)
        self.weights = ll.llama_model_load_from_file(
            str(path).encode(), ll.llama_model_default_params()
        )
        if not self.weights:
            raise UnusableModel(
                f"{path.name}: llama.cpp cannot load this model ({_words()}): check it with"
                " strop model verify, or choose another"
            )
        self.context_tokens = min(
            context_tokens, ll.llama_model_n_ctx_train(self.weights) or context_tokens
        )
        self.vocab = ll.llama_model_get_vocab(self.weights)
        self.vocab_size = ll.llama_vocab_n_tokens(self.vocab)
        self.context = ll.llama_init_from_model(
            self.weights, _parameters(self.context_tokens, sequences, threads)
        )
        if not self.context:
            raise UnusableModel(
                f"{path.name}: no room for {sequences} contexts of {self.context_tokens} tokens"
                f" ({_words()}): lower model.parallel or model.context_tokens"
            )
        self.memory = ll.llama_get_memory(self.context)
        self._batch = ll.llama_batch_init(CHUNK, 0, 1)
        self._flag = ctypes.create_string_buffer(2)

    def tokens(self, text: str, *, special: bool = False) -> list[int]:
        """The tokens of `text`; control tokens are read as such only if `special`. May be
        called from any thread."""
        data = text.encode("utf-8", "replace")
        found = (ll.llama_token * (len(data) + 8))()
        count = ll.llama_tokenize(
            self.vocab, data, len(data), found, len(found), False, special
        )
        return found[:count]

    def bytes_of(self, token: int) -> bytes:
        """What a token adds to a text; nothing if it is a control token."""
        buffer = ctypes.create_string_buffer(512)
        size = ll.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, False)
        return buffer.raw[: max(size, 0)]

    def ends(self, token: int) -> bool:
        """Whether the model says with this token that its answer is over."""
        return bool(ll.llama_vocab_is_eog(self.vocab, token))

    def metadata(self, key: str) -> str | None:
        """A text of the GGUF header, or None."""
        buffer = ctypes.create_string_buffer(1 << 16)
        size = ll.llama_model_meta_val_str(self.weights, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace") if size >= 0 else None

    def token_text(self, token: int) -> str:
        """The name of a token, control tokens included; empty if there is no such token."""
        return "" if token < 0 else ll.llama_vocab_get_text(self.vocab, token).decode()

    def abort_when(self, flag: ctypes.Array[ctypes.c_char]) -> None:
        """Let the library stop in the middle of a computation once `flag[0]` is not zero.

        The callback is C's own `strlen`: no Python runs, so the interpreter lock is not
        taken a thousand times a token.
        """
        self._flag = flag
        callback = ctypes.cast(LIBC.strlen, ll.ggml_abort_callback)
        ll.llama_set_abort_callback(self.context, callback, ctypes.cast(flag, ctypes.c_void_p))

    def evaluate(self, sequence: int, start: int, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Append tokens to a sequence that has `start` of them; the logits after the last.

        Raises Aborted; the sequence then holds an unknown part of them.
        """
        for offset in range(0, len(tokens), CHUNK):
            chunk = tokens[offset : offset + CHUNK]
            rows = [(token, start + offset + n, sequence) for n, token in enumerate(chunk)]
            self._decode(rows, {len(rows) - 1})
        return self._logits(-1)

    def step(self, rows: Sequence[tuple[int, int, int]]) -> list[NDArray[np.float32]]:
        """One token each (token, position, sequence) for several sequences at once; the
        logits after each. Raises Aborted."""
        self._decode(rows, set(range(len(rows))))
        return [self._logits(row) for row in range(len(rows))]

    def keep(self, sequence: int, tokens: int) -> bool:
        """Forget all but the first tokens of a sequence. False (and all is forgotten) if
        this kind of model cannot go back."""
        if ll.llama_memory_seq_rm(self.memory, sequence, tokens, -1):
            return True
        ll.llama_memory_seq_rm(self.memory, sequence, -1, -1)
        return False

    def copy(self, source: int, target: int) -> None:
        """Make a sequence equal to another one."""
        ll.llama_memory_seq_rm(self.memory, target, -1, -1)
        ll.llama_memory_seq_cp(self.memory, source, target, -1, -1)

    def _decode(self, rows: Sequence[tuple[int, int, int]], wanted: set[int]) -> None:
        if self._flag.value:  # not every backend asks the callback
            raise Aborted
        batch = self._batch
        batch.n_tokens = len(rows)
        for n, (token, position, sequence) in enumerate(rows):
            batch.token[n] = token
            batch.pos[n] = position
            batch.n_seq_id[n] = 1
            batch.seq_id[n][0] = sequence
            batch.logits[n] = n in wanted
        result = ll.llama_decode(self.context, batch)
        if result == ABORTED:
            raise Aborted
        if result:
            raise RuntimeError(f"llama_decode returned {result}")

    def _logits(self, row: int) -> NDArray[np.float32]:
        pointer = ll.llama_get_logits_ith(self.context, row)
        return np.ctypeslib.as_array(pointer, shape=(self.vocab_size,)).copy()


def _parameters(context_tokens: int, sequences: int, threads: int) -> ll.llama_context_params:
    chosen: ll.llama_context_params = ll.llama_context_default_params()
    chosen.n_ctx = context_tokens * sequences
    chosen.n_seq_max = sequences
    chosen.n_batch = chosen.n_ubatch = CHUNK
    chosen.n_threads = chosen.n_threads_batch = threads
    chosen.kv_unified = False
    return chosen


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(len(GGUF_MAGIC))
    except OSError as error:
        raise UnusableModel(f"{path}: cannot read the model: {error.strerror}") from None
    if magic != GGUF_MAGIC:
        raise UnusableModel(f"{path.name}: not a GGUF file; get a model: strop model pull")


_said: deque[str] = deque(maxlen=20)


@ll.llama_log_callback  # type: ignore[untyped-decorator]
def _note(level: int, text: bytes, _data: object) -> None:
    """Swallow what the library prints, and keep its last errors."""
    if level == ERROR:
        _said.append(text.decode("utf-8", "replace").strip())


def _words() -> str:
    return next((line for line in _said if line), "llama.cpp gave no reason")[:200]
