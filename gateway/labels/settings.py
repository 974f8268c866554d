"""`[[classifiers]]` in the settings: which model puts which label to an answer, and what it is asked."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from gateway.labels.reading import normal
from gateway.named import each_once


class Classifier(BaseModel):
    """`prompt` is a template: `{answer}` is needed in it, `{prompt}` (the question) and `{labels}` may be. `base_url`
    None: the upstream. Without a key, none is sent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[\w-]{1,40}$")  # it stands in rules, statistics and log lines
    prompt: str | None = None
    prompt_file: Path | None = None
    labels: tuple[str, ...] = Field(min_length=1, max_length=100)
    model: str = Field(min_length=1)
    base_url: str | None = None
    api_key: SecretStr | None = None
    api_key_file: Path | None = None
    timeout_s: float = Field(30, gt=0, le=600)

    @field_validator("labels")
    @classmethod
    def can_be_told_apart(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(normal(label) and len(label) <= 60 and label.isprintable() for label in value):
            raise ValueError("each label is a word or a few, 60 characters at the most")
        if len({normal(label) for label in value}) < len(value):
            raise ValueError("two labels differ in case or punctuation alone")
        return value

    @field_validator("base_url")
    @classmethod
    def is_a_base_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)  # what was given is not repeated: it may hold a password
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or "@" in value:
            raise ValueError("give the base URL alone, such as http://localhost:8000/v1")
        return value.rstrip("/")

    @model_validator(mode="after")
    def can_ask(self) -> Self:
        if (self.prompt is None) == (self.prompt_file is None):
            raise ValueError(f'"{self.name}": give prompt or prompt_file')
        if "{answer}" not in self.template():
            raise ValueError(
                f'"{self.name}": the prompt says nothing of the answer: put {{answer}} where it is to stand'
            )
        if self.api_key is not None and self.api_key_file is not None:
            raise ValueError(f'"{self.name}": api_key and api_key_file are both given: give one of them')
        self.key()
        return self

    def template(self) -> str:
        """Raises ValueError in words."""
        if self.prompt_file is None:
            assert self.prompt is not None
            return self.prompt
        try:
            return self.prompt_file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f'"{self.name}": prompt_file {self.prompt_file} cannot be read') from error

    def key(self) -> str | None:
        """The API key. Raises ValueError in words, which do not repeat it."""
        try:
            text = self.api_key_file.read_text().partition("\n")[0] if self.api_key_file else None
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f'"{self.name}": api_key_file {self.api_key_file} cannot be read') from error
        text = self.api_key.get_secret_value() if self.api_key else text
        if text is not None and not (text.strip().isascii() and text.strip().isprintable() and text.strip()):
            raise ValueError(f'"{self.name}": the API key is empty or not ASCII')
        return text.strip() if text else None


Classifiers = Annotated[tuple[Classifier, ...], AfterValidator(each_once)]
