"""The engine over HTTPS: whom it trusts."""

import ssl
import subprocess

import pytest

from bot.errors import Misconfigured, RetryLater
from bot.integrations.openai_api import OpenAIEngine
from tests.contracts.engine import ask, prompt
from tests.integrations.scripted_model_server import ScriptedServer, said


@pytest.fixture
def server():
    with ScriptedServer() as running:
        running.replies = [said("Hello.")]
        yield running


@pytest.fixture
def certified(server, tmp_path):
    """The server with a certificate that only `ca.pem` vouches for."""
    key, certificate = tmp_path / "key.pem", tmp_path / "ca.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.secure(context)
    return certificate


def test_a_ca_of_ones_own_is_trusted(server, certified):
    engine = OpenAIEngine(server.url, ca_file=certified)
    assert ask(engine, prompt("Hi."))[0].text == "Hello."
    engine.close()


def test_without_it_the_server_is_not_trusted(server, certified):
    engine = OpenAIEngine(server.url, timeout_s=0.4)
    with pytest.raises(RetryLater, match="CERTIFICATE_VERIFY_FAILED"):
        engine.model  # noqa: B018 - asking is what fails
    engine.close()


def test_a_file_without_certificates_is_a_wrong_setting(server, tmp_path):
    for content in (None, "no certificate"):
        file = tmp_path / "ca.pem"
        if content:
            file.write_text(content)
        with pytest.raises(Misconfigured, match=r"openai\.ca_file"):
            OpenAIEngine(server.url, ca_file=file)
