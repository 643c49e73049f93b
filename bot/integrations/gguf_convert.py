"""Rewriting a model file so that engines of 2023 can read it.

Llama-architecture files made since then differ from what the llama.cpp inside ctransformers
0.2.27 expects in three ways, none of which touches a weight: tied embeddings are stored once,
scores of tokens are left out, and byte-level tokens are spelled in GPT-2's printable letters
(`bytes_to_unicode` in the GPT-2 repository) where that reader wants the bytes themselves.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gguf import GGUFReader, GGUFWriter, TokenType
from gguf.gguf_reader import ReaderField

from bot.errors import UnusableModel

ARCHITECTURE = "llama"
EMBEDDING, OUTPUT = "token_embd.weight", "output.weight"
TOKENS, TYPES, SCORES = (f"tokenizer.ggml.{key}" for key in ("tokens", "token_type", "scores"))
BYTE_LEVEL = "gpt2"
QUANTIZATIONS = frozenset(
    {"F32", "F16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"}
    | {"Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"}
)
"""What llama.cpp could read in September 2023."""


def convert(source: Path, target: Path) -> None:
    """Write to `target` what ctransformers can read of the GGUF file `source`.

    The target appears only when it is whole. Raises UnusableModel if `source` is no GGUF
    file or is of a kind that no rewriting makes readable.
    """
    reader = _opened(source)
    _refuse_unreadable(reader, source)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        _write(reader, temporary)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _opened(source: Path) -> GGUFReader:
    try:
        return GGUFReader(source)
    except OSError as error:
        raise UnusableModel(f"cannot read {source}: {error.strerror}") from None
    except (ValueError, IndexError):
        raise UnusableModel(f"{source} is not a whole GGUF file; get it again") from None


def _refuse_unreadable(reader: GGUFReader, source: Path) -> None:
    architecture = _value(reader, "general.architecture")
    if architecture != ARCHITECTURE:
        raise UnusableModel(
            f"{source.name} is a {architecture} model; ctransformers reads only models of the "
            f"{ARCHITECTURE} architecture in this format: use the llamacpp engine for it"
        )
    foreign = {tensor.tensor_type.name for tensor in reader.tensors} - QUANTIZATIONS
    if foreign:
        raise UnusableModel(
            f"{source.name} is quantized as {', '.join(sorted(foreign))}, which ctransformers "
            "cannot read: use a Q4_K_M or Q8_0 file, or the llamacpp engine"
        )


def _write(reader: GGUFReader, target: Path) -> None:
    writer = GGUFWriter(target, ARCHITECTURE)
    try:
        for field in reader.fields.values():
            if not field.name.startswith("GGUF.") and field.name != "general.architecture":
                _copy_field(reader, writer, field)
        if SCORES not in reader.fields:
            writer.add_array(SCORES, [0.0] * len(reader.fields[TOKENS].data))
        _copy_tensors(reader, writer)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _copy_field(reader: GGUFReader, writer: GGUFWriter, field: ReaderField) -> None:
    inner = field.types[-1] if len(field.types) > 1 else None
    value: Any = field.contents() if field.name != TOKENS else _raw_tokens(reader)
    if value != []:  # the format has no empty arrays
        writer.add_key_value(field.name, value, field.types[0], inner)


def _raw_tokens(reader: GGUFReader) -> list[bytes]:
    """The spelling of every token; only ordinary ones are in the printable letters."""
    field = reader.fields[TOKENS]
    spelled = [bytes(field.parts[index]) for index in field.data]
    if _value(reader, "tokenizer.ggml.model") != BYTE_LEVEL:
        return spelled
    letters = _letters()
    kinds = _value(reader, TYPES) or [TokenType.NORMAL] * len(spelled)
    return [
        bytes(letters[letter] for letter in text.decode("utf-8"))
        if kind == TokenType.NORMAL
        else text
        for text, kind in zip(spelled, kinds, strict=True)
    ]


def _letters() -> dict[str, int]:
    """The byte behind each letter of GPT-2's byte-level spelling: printable Latin-1 stands
    for itself, the other bytes, in order, for the characters from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(0x100) if byte not in printable)
    shifted = {chr(0x100 + place): byte for place, byte in enumerate(others)}
    return {chr(byte): byte for byte in printable} | shifted


def _copy_tensors(reader: GGUFReader, writer: GGUFWriter) -> None:
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    if OUTPUT not in tensors:
        tensors[OUTPUT] = tensors[EMBEDDING]
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor.data, raw_dtype=tensor.tensor_type)


def _value(reader: GGUFReader, key: str) -> Any:
    field = reader.fields.get(key)
    return field.contents() if field else None
