"""The engine for GGUF models of 2023, by ctransformers: no compiler, no grammar, no LoRA.

Of the library only loading, evaluating and sampling are used. Its own text functions are
not safe here: the tokenizer's buffer is too short for characters of several bytes, and the
special tokens of a chat are read as plain text.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

from ctransformers import LLM
from ctransformers.llm import Config
from gguf import GGUFReader

from bot.domain import Capabilities, Completion, Finish, ModelIdentity, Prompt
from bot.errors import EngineFailed, PromptTooLong, UnusableModel

CHUNK = 16  # tokens evaluated between two looks at the clock; more is no faster on a CPU
ASK_EVERY_S = 0.25
NO_TOKEN = -1
CHAT_START, CHAT_END = b"<|im_start|>", b"<|im_end|>"


class CTransformersEngine:
    """One model in this process. Calls from several threads take turns; while the library
    computes, other threads of the process run."""

    def __init__(
        self, path: Path, *, model: ModelIdentity, context_tokens: int, threads: int = 0
    ) -> None:
        """Load the model. With `threads` 0 half of the cores are used: the library's threads
        spin while they wait for each other, and where cores are busy more of them are slower.

        Raises UnusableModel if the file is damaged or of a kind the library cannot run.
        """
        self._identity = model
        self._context_tokens = context_tokens
        self._threads = threads or max(1, (os.cpu_count() or 1) // 2)
        self._marks = _chat_marks(path)
        self._llm: LLM | None = _loaded(path, context_tokens)
        self._known: list[int] = []
        self._lock = threading.Lock()

    @property
    def model(self) -> ModelIdentity:
        """Which weights answer."""
        return self._identity

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do."""
        return Capabilities(
            grammar=False, logprobs=False, lora=False, batch=1, exact_tokens=True
        )

    @property
    def context_tokens(self) -> int:
        """How many tokens a prompt and its answer may have together."""
        return self._context_tokens

    def count_tokens(self, text: str) -> int:
        """The number of tokens of `text` alone."""
        return len(_tokens(self._open(), [text]))

    def complete(
        self,
        prompts: Sequence[Prompt],
        *,
        time_limit_s: float,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Completion]:
        """As `ports.Engine.complete`, one prompt after the other."""
        watch = _Watch(time.monotonic() + time_limit_s, cancelled)
        llm = self._open()
        inputs = [self._input(llm, prompt) for prompt in prompts]
        with self._turn(watch):
            return [
                self._answer(llm, prompt, tokens, watch)
                for prompt, tokens in zip(prompts, inputs, strict=True)
            ]

    def close(self) -> None:
        """Free the model, once nobody is using it. Calling it twice is harmless."""
        with self._lock:
            self._llm = None

    def _open(self) -> LLM:
        if self._llm is None:
            raise EngineFailed("the engine was closed; start it again")
        return self._llm

    def _input(self, llm: LLM, prompt: Prompt) -> list[int]:
        tokens = _tokens(llm, _pieces(llm, prompt, self._marks))
        if len(tokens) + prompt.max_tokens > self._context_tokens:
            raise PromptTooLong(
                f"a prompt of {len(tokens)} tokens and an answer of {prompt.max_tokens} exceed "
                f"the context of {self._context_tokens}; split the text, or raise "
                "model.context_tokens as far as the model allows"
            )
        return tokens

    @contextmanager
    def _turn(self, watch: _Watch) -> Iterator[None]:
        """Wait for the model until we have it or have to stop; then nothing touches it."""
        mine = False
        while not mine and not watch.verdict():
            mine = self._lock.acquire(timeout=ASK_EVERY_S)
        try:
            yield
        finally:
            if mine:
                self._lock.release()

    def _answer(self, llm: LLM, prompt: Prompt, tokens: list[int], watch: _Watch) -> Completion:
        started = time.monotonic()
        output: list[int] = []
        cached = 0
        finish = watch.verdict()
        if finish is None:
            cached = self._keep_shared(llm, tokens)
            finish = self._read(llm, tokens[cached:], watch) or self._generate(
                llm, prompt, output, watch
            )
        return Completion(
            text=llm.detokenize(output, decode=False).decode("utf-8", errors="ignore"),
            finish=finish,
            prompt_tokens=len(tokens),
            cached_tokens=cached,
            output_tokens=len(output),
            seconds=time.monotonic() - started,
        )

    def _keep_shared(self, llm: LLM, tokens: list[int]) -> int:
        """How many first tokens need not be evaluated, because the last prompt had them too.

        Only whole chunks count: in other company the same tokens come out a little
        different, and the same prompt must give the same answer.
        """
        pairs = zip(self._known, tokens[:-1], strict=False)
        equal = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        shared = equal // CHUNK * CHUNK
        del self._known[shared:]
        # The library keeps what is equal at the start of both; NO_TOKEN ends that here.
        llm.prepare_inputs_for_generation([*self._known, NO_TOKEN], reset=True)
        return shared

    def _read(self, llm: LLM, tokens: list[int], watch: _Watch) -> Finish | None:
        """Evaluate the rest of a prompt; a reason to stop, if there was one before its end."""
        for start in range(0, len(tokens), CHUNK):
            if stop := watch.verdict():
                return stop
            chunk = tokens[start : start + CHUNK]
            self._evaluate(llm, chunk)
            self._known += chunk if len(chunk) == CHUNK else []
        return None

    def _evaluate(self, llm: LLM, tokens: Sequence[int]) -> None:
        try:
            llm.eval(tokens, batch_size=CHUNK, threads=self._threads)
        except RuntimeError as error:
            raise EngineFailed(f"ctransformers failed: {error}; try again") from None

    def _generate(self, llm: LLM, prompt: Prompt, output: list[int], watch: _Watch) -> Finish:
        """Append tokens to `output` until there is a reason to stop."""
        while True:
            token = llm.sample(
                top_k=1 if prompt.temperature == 0 else 40,
                top_p=0.95,
                temperature=prompt.temperature,
                repetition_penalty=1.0,
                seed=prompt.seed + len(output),  # the library seeds anew for every token
            )
            if llm.is_eos_token(token) or (self._marks and token == self._marks[1]):
                return Finish.STOP
            output.append(token)
            if len(output) >= prompt.max_tokens:
                return Finish.LENGTH
            if stop := watch.verdict():
                return stop
            self._evaluate(llm, [token])


class _Watch:
    """Why to stop, once there is a reason. `cancelled` is asked four times a second and not
    at every token, for it may look into a database."""

    def __init__(self, end: float, cancelled: Callable[[], bool]) -> None:
        self._end = end
        self._cancelled = cancelled
        self._ask_at = 0.0
        self._verdict: Finish | None = None

    def verdict(self) -> Finish | None:
        now = time.monotonic()
        if self._verdict is None and now >= self._ask_at:
            self._ask_at = now + ASK_EVERY_S
            self._verdict = Finish.CANCELLED if self._cancelled() else None
        if self._verdict is None and now >= self._end:
            self._verdict = Finish.TIMEOUT
        return self._verdict


def _loaded(path: Path, context_tokens: int) -> LLM:
    try:
        return LLM(str(path), config=Config(context_length=context_tokens))
    except RuntimeError:
        raise UnusableModel(
            f"ctransformers cannot run {path.name}: it runs LLaMA and Falcon models in the "
            "GGUF of 2023; rewrite a newer LLaMA model with `strop model convert`, and for "
            'all others set model.engine to "llamacpp"'
        ) from None


def _chat_marks(path: Path) -> tuple[int, int] | None:
    """The ids of the two special tokens of ChatML, if the model knows them.

    Reading the file's own index also shows whether the file is whole: the library would
    take the process down with it if it were not.
    """
    try:
        field = GGUFReader(path).fields["tokenizer.ggml.tokens"]
    except OSError as error:
        raise UnusableModel(f"cannot read {path}: {error.strerror}") from None
    except (KeyError, IndexError, ValueError):
        raise UnusableModel(f"{path} is not a whole GGUF file; get it again") from None
    ids = {bytes(field.parts[part]): number for number, part in enumerate(field.data)}
    if CHAT_START in ids and CHAT_END in ids:
        return ids[CHAT_START], ids[CHAT_END]
    return None


def _pieces(llm: LLM, prompt: Prompt, marks: tuple[int, int] | None) -> Iterable[str | int]:
    """A chat as the model was taught to see it: texts, and ids of special tokens, which no
    text can produce. ChatML where the model knows it, else Alpaca's headings, which most
    models of that time were tuned on."""
    if marks is None:
        bos = [llm.bos_token_id] if llm.model_type == "llama" else []
        headed = f"### Instruction:\n{prompt.system}\n\n{prompt.user}\n\n### Response:\n"
        return [*bos, headed]
    start, end = marks
    return [
        *(start, f"system\n{prompt.system}", end, "\n"),
        *(start, f"user\n{prompt.user}", end, "\n"),
        *(start, "assistant\n"),
    ]


def _tokens(llm: LLM, pieces: Iterable[str | int]) -> list[int]:
    tokens: list[int] = []
    for piece in pieces:
        if isinstance(piece, int):
            tokens.append(piece)
            continue
        # The library reads to the first zero byte, and a token stands for at least a byte.
        text = piece.replace("\0", "\N{SYMBOL FOR NULL}").encode()
        buffer = (ctypes.c_int * (len(text) + 1))()
        count = llm.ctransformers_llm_tokenize(text, False, buffer)
        tokens += buffer[:count]
    return tokens
