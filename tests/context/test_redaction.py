import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.context.redaction import redact, redact_lines
from bot.untrusted import REDACTED

# Put together here, so that no scanner takes this file for a leak.
GITLAB = "glpat-" + "x7Kq" * 5
GITHUB = "ghp_" + "a1B2" * 9
AWS_ID = "AKIA" + "Z3" * 8
AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY"
SLACK = "xoxb-" + "123456789012-" * 2 + "abcDEF123456"
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0." + "dBjftJeZ4CVP-mB92K27uhbUJU1p1r"
ROW = "MIIEpAIBAAKCAQEA" + "u1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gun"
KEY = [
    "-----BEGIN RSA PRIVATE KEY-----",
    "Proc-Type: 4,ENCRYPTED",
    "",
    ROW,
    "+" + ROW[1:],
    "kQ4x9A==",
    "-----END RSA PRIVATE KEY-----",
    "def after(): return 1",
]

SECRETS: list[tuple[str, str | None]] = [
    (f'token = "{GITLAB}"', f'token = "{REDACTED}"'),
    (f"glpat routable {GITLAB}.01.0a1b2c3d4", f"glpat routable {REDACTED}"),
    (f"git clone https://oauth2:{GITLAB}@gitlab.example.org/a", None),
    (f"curl -H 'Authorization: Bearer {GITHUB}'", f"curl -H 'Authorization: Bearer {REDACTED}'"),
    ("github_pat_" + "11AAAAAAA0" * 6, REDACTED),
    (f"id={AWS_ID}", f"id={REDACTED}"),
    (f'aws_secret_key = "{AWS_SECRET}"', f'aws_secret_key = "{REDACTED}"'),
    (f"SLACK={SLACK}", f"SLACK={REDACTED}"),
    (f"jwt: {JWT}", f"jwt: {REDACTED}"),
    ("postgres://app:s3cr3tpw@db/x", f"postgres://app:{REDACTED}@db/x"),
    ("redis://:hunter22@cache", f"redis://:{REDACTED}@cache"),
    ('password = "hunter2hunter2"', f'password = "{REDACTED}"'),
    ("{'a_password': 'x', 'client_secret': 'q1w2e3r4t5'}", None),
    ('if pw == 1 or "q1w2e3r4t5" == db_password:', f'if pw == 1 or "{REDACTED}" == db_password:'),
    ("API_KEY=q1w2e3r4t5y6", f"API_KEY={REDACTED}"),
    ("export DB_PASSWORD=q1w2e3r4", f"export DB_PASSWORD={REDACTED}"),
    ("  secret: q1w2e3r4t5", f"  secret: {REDACTED}"),
]  # fmt: skip

HARMLESS = [
    "commit = '3f786850e387550fdab836ed7e6dc881de23001b'",
    "integrity sha512-2bKfKCIOCVnlTq9o5Sr8ZeGyNPAcRCxWlnFZlQvw8m1qg==",
    "data = base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk')",
    'uuid = "123e4567-e89b-12d3-a456-426614174000"',
    "password = get_password(user_id1)",
    "password = settings.database.password1",
    'password = "Enter your password"',
    'token_type = "bearer"',
    'raise Error(f"{password1234}")',
    'url = f"https://{user}:{password1}@{host}"',
    'api_key = os.environ["API_KEY_2024"]',
    'secret_name = "projects/app"',
    "if password == other_password2: return key1",
    "const publicKeyToken2 = loadKey(file1)",
    "#include <openssl/sha256.h>",
    "http://localhost:8080/@scope/pkg",
]


@pytest.mark.parametrize(("line", "expected"), SECRETS)
@pytest.mark.parametrize("prefix", ["", "+", "-", " ", "12 +"])
def test_the_value_goes_and_the_name_stays(
    line: str, expected: str | None, prefix: str
) -> None:
    seen = redact(prefix + line)
    assert REDACTED in seen
    for value in (GITLAB, GITHUB, AWS_ID, AWS_SECRET, "hunter", "s3cr3t", "q1w2"):
        assert value not in seen
    if expected:
        assert seen == prefix + expected


@pytest.mark.parametrize("line", HARMLESS)
@pytest.mark.parametrize("prefix", ["", "+", "-"])
def test_hashes_data_and_code_that_only_mentions_secrets_stay(line: str, prefix: str) -> None:
    assert redact(prefix + line) == prefix + line


@pytest.mark.parametrize("mark", ["", "+", "-"])
def test_a_private_key_goes_line_by_line_and_what_follows_stays(mark: str) -> None:
    lines = redact_lines([mark + line for line in KEY])
    assert len(lines) == len(KEY)
    assert not any(row in "\n".join(lines) for row in (ROW, ROW[1:], "kQ4x9A"))
    assert lines[0] == mark + KEY[0]
    assert lines[-2:] == [mark + line for line in KEY[-2:]]


def test_a_key_that_is_cut_off_does_not_take_the_code_after_it() -> None:
    assert redact_lines([KEY[0], ROW, "", "x = compute(y)", ROW])[3:] == ["x = compute(y)", ROW]


def test_a_key_on_one_line_goes() -> None:
    line = 'KEY = "' + "\\n".join([KEY[0], ROW, KEY[-2]]) + '"'
    assert ROW not in redact(line)


def test_a_public_key_stays() -> None:
    lines = ["-----BEGIN PUBLIC KEY-----", ROW, "-----END PUBLIC KEY-----"]
    assert redact_lines(lines) == lines


SOUP = st.lists(
    st.one_of(
        st.sampled_from([line for line, _ in SECRETS] + HARMLESS + KEY),
        st.text(st.characters(exclude_characters="\n"), max_size=30),
        st.sampled_from(["password", "secret=", "://", "@", ":", '"', "'", REDACTED, " == "]),
    ),
    max_size=6,
)


@given(st.lists(SOUP.map("".join), max_size=8))
def test_redacting_again_changes_nothing_and_lines_keep_their_number(lines: list[str]) -> None:
    once = redact_lines(lines)
    assert len(once) == len(lines)
    assert redact_lines(once) == once


@given(st.text())
def test_text_and_lines_are_redacted_alike(text: str) -> None:
    assert redact(text) == "\n".join(redact_lines(text.split("\n")))
