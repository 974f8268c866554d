"""HTML pages from templates: one self-contained file, everything escaped, nothing loaded from anywhere."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.evaluate.errors import BadInput

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, **values: Any) -> str:
    return _TEMPLATES.get_template(template).render(values)


def probe(file: Path) -> None:
    """Raises BadInput where `write` will not be able to; what is in the file stays."""
    try:
        file.open("ab").close()
    except OSError as error:
        raise _cannot_write(file, error) from error


def write(file: Path, data: str | bytes) -> None:
    """Raises BadInput where the file cannot be written."""
    try:
        file.write_bytes(data.encode(errors="backslashreplace") if isinstance(data, str) else data)
    except OSError as error:
        raise _cannot_write(file, error) from error


def _cannot_write(file: Path, error: OSError) -> BadInput:
    return BadInput(f"{file} cannot be written: {error.strerror or error}")
