"""Our engine against a bare llama.cpp loop: same file, tokens, threads and priority.

    python -m benchmarks.engine [MODEL.gguf] [--repeats N] [--threads N] [--cpu] [--json]

A rate is tokens divided by wall-clock seconds as the caller sees them, so ours includes its
process, its pipes and its bookkeeping. Both sides are asked in turn, the first one changing,
and the reported ratio is the median of the ratios of neighbours. With `--cpu` (Linux) the
seconds of both prefill and decode are those of processors at work on it, in all processes: a
fair comparison on a busy machine too, if there is one thread, for several wait by spinning.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import llama_cpp.llama_cpp as ll

from bot.config import ModelSettings
from bot.domain import ModelIdentity, Prompt
from bot.integrations.llamacpp import LlamaCppEngine
from bot.integrations.llamacpp_chat import Chat
from bot.integrations.llamacpp_model import CHUNK, Model
from bot.integrations.llamacpp_worker import NICENESS, cores
from bot.integrations.model_store import ModelStore

Clock = Callable[[], float]

CONTEXT = 2048
PARALLEL = 4
DECODED = 48
CODE = "def total(prices):\n    return sum(price.amount for price in prices)\n\n"
STORY = "Write a very long story about a river."
INSTRUCTIONS = "Read the change. Say what is wrong with it, in one sentence. " * 8


@dataclass(frozen=True)
class Rates:
    """Tokens a second of one round."""

    prefill: float
    decode: float


def prompt(number: int, user: str, max_tokens: int, system: str = INSTRUCTIONS) -> Prompt:
    """A prompt whose instructions are new for every `number`."""
    return Prompt("benchmark", "none", f"{number}. {system}", user, max_tokens)


class Bare:
    """The loop of llama.cpp's own `simple.cpp`: evaluate, take the best token, go on."""

    def __init__(self, path: Path, threads: int) -> None:
        self.model = Model(path, context_tokens=CONTEXT, sequences=1, threads=threads)
        self.chat = Chat(self.model)
        self.greedy = ll.llama_sampler_init_greedy()

    def __call__(self, asked: Prompt) -> int:
        """Answer; the number of tokens of the prompt."""
        tokens = self.chat.prefix(asked.system) + self.chat.rest(asked.user)
        ll.llama_memory_clear(self.model.memory, False)
        for start in range(0, len(tokens), CHUNK):
            self._decode(tokens[start : start + CHUNK])
        for _ in range(asked.max_tokens - 1):
            self._decode([self._best()])
        self._best()
        return len(tokens)

    def cpu(self) -> float:
        """Seconds that processors worked for us."""
        return time.process_time()

    def _best(self) -> int:
        return int(ll.llama_sampler_sample(self.greedy, self.model.context, -1))

    def _decode(self, tokens: list[int]) -> None:
        array = (ll.llama_token * len(tokens))(*tokens)
        assert (
            ll.llama_decode(self.model.context, ll.llama_batch_get_one(array, len(array))) == 0
        )


class Ours:
    """The engine as the pipeline uses it."""

    def __init__(self, path: Path, threads: int) -> None:
        self.engine = LlamaCppEngine(
            path,
            model=ModelIdentity(path.name, "benchmark"),
            context_tokens=CONTEXT,
            parallel=PARALLEL,
            threads=threads,
        )

    def cpu(self) -> float:
        """Seconds that processors worked for us, here and in the engine's process (`utime`
        and `stime` of proc(5))."""
        pid = self.engine._process.pid  # type: ignore[union-attr] # noqa: SLF001 - not for users
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")

    def __call__(self, asked: Prompt) -> int:
        """Answer; the number of tokens of the prompt."""
        (answer,) = self.engine.complete([asked], time_limit_s=600)
        assert answer.output_tokens == asked.max_tokens
        return answer.prompt_tokens


def seconds(work: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    started = clock()
    work()
    return clock() - started


def rates(ask: Ours | Bare, number: int, *, cpu: bool) -> Rates:
    """A long prompt with one token to answer; then what more tokens cost after a short one."""
    clock = ask.cpu if cpu else time.perf_counter
    long = prompt(number, CODE * 24, 1)
    size = 0

    def read() -> None:
        nonlocal size
        size = ask(long)

    prefill = seconds(read, clock)
    ask(prompt(number, STORY, 1, "Tell."))
    one = seconds(lambda: ask(prompt(number, STORY, 1, "Tell.")), clock)
    many = seconds(lambda: ask(prompt(number, STORY, 1 + DECODED, "Tell.")), clock)
    return Rates(size / prefill, DECODED / (many - one))


def rounds(ours: Ours, bare: Bare, repeats: int, *, cpu: bool) -> list[tuple[Rates, Rates]]:
    """Pairs (ours, bare), measured next to each other in alternating order."""
    pairs = []
    rates(ours, 0, cpu=cpu), rates(bare, 0, cpu=cpu)  # both warm
    for number in range(1, repeats + 1):
        if number % 2:
            first = rates(ours, number, cpu=cpu)
            pairs.append((first, rates(bare, number, cpu=cpu)))
        else:
            other = rates(bare, number, cpu=cpu)
            pairs.append((rates(ours, number, cpu=cpu), other))
    return pairs


def together(engine: LlamaCppEngine, repeats: int) -> float:
    """Tokens a second of four answers side by side over those of one after the other."""
    prompts = [prompt(0, f"{STORY} It is number {n}.", DECODED) for n in range(PARALLEL)]
    engine.complete(prompts, time_limit_s=600)

    def side_by_side() -> None:
        engine.complete(prompts, time_limit_s=600)

    def in_turn() -> None:
        for one in prompts:
            engine.complete([one], time_limit_s=600)

    return median(seconds(in_turn) / seconds(side_by_side) for _ in range(repeats))


def instructions(engine: LlamaCppEngine) -> dict[str, int]:
    """Instruction tokens of ten prompts, and how many of them were evaluated."""
    calls = [prompt(-1, f"Change {n}.", 1) for n in range(10)]
    answers = engine.complete(calls, time_limit_s=600)
    size = max(answer.cached_tokens for answer in answers)
    evaluated = sum(size - answer.cached_tokens for answer in answers)
    return {
        "prompts": len(answers),
        "instructions": size * len(answers),
        "evaluated": evaluated,
    }


def measure(path: Path, repeats: int, threads: int, *, cpu: bool) -> dict[str, Any]:
    ours = Ours(path, threads)
    os.nice(NICENESS)  # our worker is polite; so must be what it is compared with
    bare = Bare(path, threads)
    pairs = rounds(ours, bare, repeats, cpu=cpu)
    report = {
        "model": path.name,
        "threads": threads,
        "repeats": repeats,
        "clock": "CPU" if cpu else "wall",
        **{
            what: {
                "ours": median(getattr(mine, what) for mine, _ in pairs),
                "bare": median(getattr(other, what) for _, other in pairs),
                "ratio": median(getattr(m, what) / getattr(o, what) for m, o in pairs),
            }
            for what in ("prefill", "decode")
        },
        "together": together(ours.engine, repeats),
        "prefix": instructions(ours.engine),
    }
    ours.engine.close()
    return report


def table(report: dict[str, Any]) -> str:
    """The report as markdown."""
    rows = [
        f"{report['model']}, threads: {report['threads']}, rounds: {report['repeats']}",
        "",
        f"| tokens a second ({report['clock']}) | Strop | bare loop | ratio |",
        "|---|---|---|---|",
    ]
    for what in ("prefill", "decode"):
        line = report[what]
        rows.append(
            f"| {what} | {line['ours']:.1f} | {line['bare']:.1f} | {line['ratio']:.2f} |"
        )
    prefix = report["prefix"]
    return "\n".join(rows) + (
        f"\n\n- {PARALLEL} answers side by side: {report['together']:.2f} times the throughput"
        f" of one after the other.\n- {prefix['prompts']} prompts with"
        f" {prefix['instructions']} tokens of instructions: {prefix['evaluated']} evaluated."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", type=Path, help="a GGUF file (default: SmolLM2)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--cpu", action="store_true", help="CPU instead of wall-clock seconds")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    path = chosen.model or ModelStore(ModelSettings().directory).pull("smollm2-135m")
    report = measure(path, chosen.repeats, chosen.threads, cpu=chosen.cpu)
    print(json.dumps(report, indent=2) if chosen.json else table(report))


if __name__ == "__main__":
    main()
