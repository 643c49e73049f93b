"""What the rewrite changes in a small file of our own making, and what it refuses.

That the result runs is shown in test_ctransformers.py.
"""

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import UnusableModel
from bot.integrations import gguf_convert
from bot.integrations.gguf_convert import convert

BYTE_TOKENS = ["<|im_end|>", "Ġcafé", "ĊĠĠ", "Ã©", "plain"]
RAW_TOKENS = [b"<|im_end|>", b" caf\xe9", b"\n  ", b"\xc3\xa9", b"plain"]


def written(path, *, architecture="llama", tokenizer="gpt2", tied=True, kind=None):
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(512)
    writer.add_tokenizer_model(tokenizer)
    writer.add_token_list(BYTE_TOKENS)
    writer.add_token_types([gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * 4)
    writer.add_token_merges(["Ġ c", "a f"])
    writer.add_bool("tokenizer.ggml.add_bos_token", False)
    embedding = np.arange(5 * 32, dtype=np.float32).reshape(5, 32)
    writer.add_tensor("token_embd.weight", embedding)
    if not tied:
        writer.add_tensor("output.weight", embedding * 2)
    if kind is not None:
        packed = np.zeros((1, 66), dtype=np.uint8)
        writer.add_tensor("blk.0.weight", packed, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def read(path):
    reader = gguf.GGUFReader(path)
    tokens = reader.fields["tokenizer.ggml.tokens"]
    return (
        [bytes(tokens.parts[index]) for index in tokens.data],
        {tensor.name: np.array(tensor.data) for tensor in reader.tensors},
        {
            name: field.contents()
            for name, field in reader.fields.items()
            if name != tokens.name
        },
    )


@pytest.fixture
def target(tmp_path):
    return tmp_path / "target.gguf"


def test_tokens_become_bytes_and_special_tokens_stay(tmp_path, target):
    convert(written(tmp_path / "source.gguf"), target)
    assert read(target)[0] == RAW_TOKENS


def test_a_tied_embedding_is_written_as_the_output_too(tmp_path, target):
    convert(written(tmp_path / "source.gguf"), target)
    tensors = read(target)[1]
    assert np.array_equal(tensors["output.weight"], tensors["token_embd.weight"])


def test_an_output_of_its_own_is_kept(tmp_path, target):
    convert(written(tmp_path / "source.gguf", tied=False), target)
    tensors = read(target)[1]
    assert np.array_equal(tensors["output.weight"], tensors["token_embd.weight"] * 2)


def test_scores_are_added_and_everything_else_is_kept(tmp_path, target):
    source = written(tmp_path / "source.gguf")
    convert(source, target)
    before, after = read(source)[2], read(target)[2]
    assert after.pop("tokenizer.ggml.scores") == [0.0] * 5
    for counted in ("GGUF.kv_count", "GGUF.tensor_count"):
        assert after.pop(counted) == before.pop(counted) + 1
    assert after == before


def test_another_kind_of_tokenizer_keeps_its_tokens(tmp_path, target):
    convert(written(tmp_path / "source.gguf", tokenizer="llama"), target)
    assert read(target)[0] == [token.encode() for token in BYTE_TOKENS]


def test_converting_twice_gives_the_same_file(tmp_path, target):
    source = written(tmp_path / "source.gguf")
    convert(source, target)
    first = target.read_bytes()
    convert(source, target)
    assert target.read_bytes() == first


def test_another_architecture_is_refused_and_nothing_is_written(tmp_path, target):
    source = written(tmp_path / "source.gguf", architecture="qwen2")
    with pytest.raises(UnusableModel, match=r"qwen2 model.*llamacpp engine"):
        convert(source, target)
    assert not target.exists()


def test_a_quantization_of_later_years_is_refused(tmp_path, target):
    source = written(tmp_path / "source.gguf", kind=gguf.GGMLQuantizationType.IQ2_XXS)
    with pytest.raises(UnusableModel, match="quantized as IQ2_XXS"):
        convert(source, target)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"not a model at all" * 100])
def test_what_is_no_model_is_refused(tmp_path, target, content):
    (tmp_path / "bad.gguf").write_bytes(content)
    with pytest.raises(UnusableModel, match="not a whole GGUF file"):
        convert(tmp_path / "bad.gguf", target)


def test_a_truncated_model_is_refused(tmp_path, target):
    source = written(tmp_path / "source.gguf")
    source.write_bytes(source.read_bytes()[:-100])
    with pytest.raises(UnusableModel, match="not a whole GGUF file"):
        convert(source, target)


def test_a_missing_model_is_refused(tmp_path, target):
    with pytest.raises(UnusableModel, match="cannot read"):
        convert(tmp_path / "none.gguf", target)


def test_an_interrupted_rewrite_leaves_the_old_target_and_no_rubbish(
    tmp_path, target, monkeypatch
):
    def interrupted(*args):
        raise KeyboardInterrupt

    source = written(tmp_path / "source.gguf")
    target.write_bytes(b"old")
    monkeypatch.setattr(gguf_convert, "_copy_tensors", interrupted)
    with pytest.raises(KeyboardInterrupt):
        convert(source, target)
    assert target.read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"source.gguf", "target.gguf"}


@given(st.binary())
def test_every_byte_has_a_letter_of_its_own(raw):
    letters = gguf_convert._letters()
    spelled = {byte: letter for letter, byte in letters.items()}
    assert bytes(letters[letter] for letter in (spelled[byte] for byte in raw)) == raw
    assert len(spelled) == len(letters) == 256
