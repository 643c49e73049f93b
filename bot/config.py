"""Settings, read once.

`strop.toml` and the environment (`STROP_…`, nested keys joined by `__`) belong to the
operator. `.strop.toml` belongs to a reviewed repository and is taken from its default
branch only, so that a merge request cannot configure its own reviewer.
"""

from __future__ import annotations

import os
import platform
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_serializer,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from bot.errors import BadSettings

OPERATOR_FILE = "strop.toml"
REPOSITORY_FILE = ".strop.toml"
ENV_PREFIX = "STROP_"
CONFIG_VARIABLE = "STROP_CONFIG"


class Section(BaseModel):
    """A part of a settings file: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSettings(Section):
    """Which model answers, and how it is run. Sizes in tokens, times in seconds."""

    engine: Literal["llamacpp", "ctransformers", "openai"] = "llamacpp"
    name: str = "qwen2.5-coder-1.5b"
    directory: Path = Path(platformdirs.user_cache_dir("strop")) / "models"
    context_tokens: int = Field(default=4096, ge=512)
    parallel: int = Field(default=4, ge=1, le=64)
    threads: int = Field(default=0, ge=0)
    time_limit_s: float = Field(default=600.0, gt=0)


class OpenAISettings(Section):
    """An OpenAI-compatible server. Only this URL is ever called."""

    url: str = "http://127.0.0.1:8000/v1"
    model: str = ""
    api_key: SecretStr | None = None
    api_key_file: Path | None = None
    ca_file: Path | None = None
    concurrency: int = Field(default=4, ge=1, le=256)
    timeout_s: float = Field(default=120.0, gt=0)
    context_tokens: int = Field(default=8192, ge=512)


class GitLabSettings(Section):
    """The GitLab we work for. A secret is given as a value or as a file that holds it."""

    url: str = ""
    token: SecretStr | None = None
    token_file: Path | None = None
    webhook_secret: SecretStr | None = None
    webhook_secret_file: Path | None = None
    signing_token: SecretStr | None = None
    signing_token_file: Path | None = None
    ca_file: Path | None = None
    projects: tuple[str, ...] = ()
    timeout_s: float = Field(default=30.0, gt=0)
    max_wait_s: float = Field(default=120.0, gt=0)


class ServerSettings(Section):
    """The webhook receiver. `public_url` is how the forge reaches it."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    public_url: str = ""
    max_body_bytes: int = Field(default=25 * 1024 * 1024, gt=0)
    poll_interval_s: float = Field(default=300.0, gt=0)


class DatabaseSettings(Section):
    """SQLite by default; a `postgresql://` URL is the only line that changes. `executor` is
    unique to a worker process and the same after its restart."""

    url: str = f"sqlite:///{Path(platformdirs.user_data_dir('strop')) / 'strop.sqlite'}"
    executor: str = Field(default_factory=lambda: f"{platform.node()}:0")

    @field_serializer("url")
    def _hide_password(self, url: str) -> str:
        return re.sub(r"(://[^:/@]*:)[^@]*@", r"\1**********@", url)


class MirrorSettings(Section):
    """Where bare copies of the reviewed projects are kept."""

    directory: Path = Path(platformdirs.user_cache_dir("strop")) / "mirrors"


class Settings(BaseSettings):
    """Everything the operator decides."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    model: ModelSettings = ModelSettings()
    openai: OpenAISettings = OpenAISettings()
    gitlab: GitLabSettings = GitLabSettings()
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    mirrors: MirrorSettings = MirrorSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file."""
        del settings_cls, dotenv_settings, file_secret_settings
        return (env_settings, init_settings)

    def choosing(self, *, engine: str | None, model: str | None) -> Settings:
        """The same settings with another engine or another model; None keeps what is set."""
        here = self.model.model_copy(update={"engine": engine} if engine else {})
        there = self.openai
        if model and here.engine == "openai":
            there = there.model_copy(update={"model": model})
        elif model:
            here = here.model_copy(update={"name": model})
        return self.model_copy(update={"model": here, "openai": there})


class Limits(Section):
    """How much of a change is read, and how much is said about it."""

    findings: int = Field(default=10, ge=0)
    findings_per_file: int = Field(default=3, ge=0)
    files: int = Field(default=100, ge=1)
    lines_per_file: int = Field(default=2000, ge=1)


class ReviewSettings(Section):
    """What the review task does in a repository. Patterns are those of .gitignore."""

    enabled: bool = True
    include: tuple[str, ...] = ("**",)
    ignore: tuple[str, ...] = ()
    limits: Limits = Limits()


class Rule(Section):
    """Text that goes to the model with every file that matches one of `paths`."""

    paths: tuple[str, ...]
    text: str = Field(max_length=600)


class RepositorySettings(Section):
    """Everything a repository decides about its own review."""

    language: str = Field(default="en", pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
    review: ReviewSettings = ReviewSettings()
    rules: tuple[Rule, ...] = ()


def load(path: Path | None = None) -> Settings:
    """The operator's settings from `path` (default: `strop.toml` here, if it exists, or the
    file named by STROP_CONFIG) and the environment.

    Raises BadSettings naming the key that is wrong.
    """
    chosen = path or Path(os.environ.get(CONFIG_VARIABLE, OPERATOR_FILE))
    named = path is not None or CONFIG_VARIABLE in os.environ
    if not chosen.is_file():
        if named:
            raise BadSettings(f"{chosen}: no such settings file")
        return _checked("environment", {})
    return _checked(f"{chosen} or environment", _toml(chosen.read_bytes(), str(chosen)))


def repository_settings(text: bytes | None, where: str = REPOSITORY_FILE) -> RepositorySettings:
    """The settings of a repository from the bytes of its `.strop.toml` (None: defaults)."""
    if text is None:
        return RepositorySettings()
    try:
        return RepositorySettings.model_validate(_toml(text, where))
    except ValidationError as error:
        raise BadSettings(_explain(where, error)) from None


def secret(value: SecretStr | None, file: Path | None, name: str) -> str | None:
    """A secret given directly or as a file; None if neither is set."""
    if value is not None:
        return value.get_secret_value() or None
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except OSError as error:
        raise BadSettings(f"{name}_file: cannot read {file}: {error.strerror}") from None


def _checked(where: str, values: dict[str, Any]) -> Settings:
    known = {f"{ENV_PREFIX}{name}".upper() for name in Settings.model_fields}
    for variable in os.environ:
        section, nested, _ = variable.partition("__")
        if nested and section.startswith(ENV_PREFIX) and section not in known:
            raise BadSettings(f"environment: unknown setting {variable}")
    try:
        return Settings(**values)
    except ValidationError as error:
        raise BadSettings(_explain(where, error)) from None


def _toml(text: bytes, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{where}: not valid TOML: {error}") from None


def _explain(where: str, error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"{where}: unknown key {key}")
        else:
            lines.append(f"{where}: {key}: {problem['msg']}")
    return "\n".join(lines)
