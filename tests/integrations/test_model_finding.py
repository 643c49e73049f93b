"""Models that are here: found, identified, proven, and named in the catalog."""

import hashlib
import os

import pytest

from bot.errors import BadSettings, UnusableModel
from bot.integrations.model_catalog import HubFile, Wheels
from bot.integrations.model_store import ModelStore, State
from tests.integrations.model_scene import FILE, MODEL, write_catalog


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "models"


@pytest.fixture
def local(tmp_path):
    """A source that is a file of this machine."""
    file = tmp_path / "share.gguf"
    file.write_bytes(MODEL)
    return {"kind": "path", "path": str(file)}


class TestFinding:
    @pytest.fixture
    def store(self, directory, local):
        write_catalog(directory, local)
        store = ModelStore(directory)
        store.pull("tiny")
        return store

    def test_a_model_is_known_by_its_pinned_hash(self, store):
        identity = store.identity("tiny")
        assert (identity.name, identity.digest) == ("tiny", hashlib.sha256(MODEL).hexdigest())

    def test_a_model_that_is_here_is_not_got_again(self, store, tmp_path):
        (tmp_path / "share.gguf").unlink()
        assert store.pull("tiny").read_bytes() == MODEL

    def test_it_is_read_only_once_to_know_its_hash(self, store, directory, monkeypatch):
        def again(*args):
            pytest.fail("read again")

        monkeypatch.setattr(hashlib, "file_digest", again)
        assert ModelStore(directory).path("tiny") == directory / FILE

    def test_a_truncated_model_is_noticed_and_mended(self, store, directory, local):
        (directory / FILE).write_bytes(MODEL[:-1])
        with pytest.raises(UnusableModel, match=r"damaged.*strop model pull tiny"):
            store.path("tiny")
        assert store.list()[-1].state is State.DAMAGED
        assert store.pull("tiny").read_bytes() == MODEL

    def test_a_changed_model_is_noticed(self, store, directory):
        (directory / FILE).write_bytes(MODEL[::-1])
        with pytest.raises(UnusableModel, match="SHA-256"):
            store.path("tiny")

    def test_verify_finds_a_change_that_left_size_and_time(self, store, directory):
        file = directory / FILE
        before = file.stat()
        with file.open("r+b") as stream:
            stream.write(b"X")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert store.path("tiny") == file
        with pytest.raises(UnusableModel, match="SHA-256"):
            store.verify("tiny")

    def test_verify_returns_a_whole_model(self, store, directory):
        assert store.verify("tiny") == directory / FILE

    def test_the_list_says_what_is_here(self, store):
        states = {model.entry.name: model.state for model in store.list()}
        assert states["tiny"] is State.READY
        assert states["qwen2.5-coder-1.5b"] is State.ABSENT

    def test_an_unknown_name_is_refused(self, store):
        with pytest.raises(UnusableModel, match="strop model list"):
            store.path("gpt-17")


class TestOwnFiles:
    def test_a_file_of_ones_own_is_known_by_its_own_hash(self, directory, tmp_path):
        file = tmp_path / "own.gguf"
        file.write_bytes(MODEL)
        store = ModelStore(directory)
        assert store.pull(str(file)) == store.verify(str(file)) == file
        assert store.identity(str(file)).digest == hashlib.sha256(MODEL).hexdigest()
        file.write_bytes(MODEL + b"more")
        assert store.identity(str(file)).digest == hashlib.sha256(MODEL + b"more").hexdigest()
        assert store.identity(str(file)).name == "own.gguf"

    def test_it_must_be_there_and_be_a_model(self, directory, tmp_path):
        store = ModelStore(directory)
        with pytest.raises(UnusableModel, match="No such file"):
            store.path(str(tmp_path / "none.gguf"))
        (tmp_path / "text.gguf").write_text("hello")
        with pytest.raises(UnusableModel, match="not a GGUF file"):
            store.path(str(tmp_path / "text.gguf"))

    def test_a_store_that_cannot_be_written_still_finds_it(self, tmp_path):
        blocked = tmp_path / "file"
        blocked.write_text("in the way")
        file = tmp_path / "own.gguf"
        file.write_bytes(MODEL)
        assert (
            ModelStore(blocked).identity(str(file)).digest == hashlib.sha256(MODEL).hexdigest()
        )


class TestCatalog:
    def test_every_model_is_on_a_hub_and_in_wheels_that_fit_its_size(self, directory):
        for model in ModelStore(directory).list():
            first, carrier = model.entry.sources
            assert isinstance(first, HubFile)
            assert isinstance(carrier, Wheels)
            assert first.file == model.entry.file
            assert carrier.part_bytes * (carrier.parts - 1) < model.entry.bytes
            assert model.entry.bytes <= carrier.part_bytes * carrier.parts

    def test_the_operator_may_replace_an_entry(self, directory, local):
        write_catalog(directory, local)
        own = directory / "models.toml"
        own.write_text(own.read_text().replace('"tiny"', '"smollm2-135m"'))
        assert ModelStore(directory).pull("smollm2-135m").read_bytes() == MODEL

    def test_a_wrong_key_is_named(self, directory, local):
        write_catalog(directory, local | {"colour": "red"})
        with pytest.raises(BadSettings, match=r"models\.toml: model\.0\.sources\.0.*colour"):
            ModelStore(directory)

    def test_broken_toml_is_named(self, directory):
        directory.mkdir()
        (directory / "models.toml").write_text("[[")
        with pytest.raises(BadSettings, match="not valid TOML"):
            ModelStore(directory)
