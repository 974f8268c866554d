"""An upload as multipart/form-data: bytes in, fields and the bytes of one file out. Sans-IO.

Starlette's own reader would lay the file down in the machine's folder for temporary files first.
"""

from typing import Final

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

FILE: Final = "file"
_FIELDS_MOST: Final = 32
_FIELD_BYTES_MOST: Final = 1024
_NAME_MOST: Final = 255


class BadForm(Exception):
    """What is wrong with the upload, in words."""


class Form:
    """`fields` are all parts but the file; `name` is that of the file, None until it begins."""

    def __init__(self, content_type: str) -> None:
        """Raises BadForm."""
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise BadForm(f'the body must be multipart/form-data, with the file in the field "{FILE}"')
        self.fields: dict[str, str] = {}
        self.name: str | None = None
        self._ended = False
        self._taken: list[bytes] = []
        self._header = b"", b""
        self._disposition = b""
        self._field: str | None = None  # None: the file
        self._value = b""
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_name,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_end,
                    "on_part_data": self._data,
                    "on_part_end": self._part_end,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise BadForm(f"the body's boundary cannot be used: {error}") from error

    def feed(self, chunk: bytes) -> bytes:
        """What this chunk of the body holds of the file. Raises BadForm."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise BadForm(f"the body is no multipart/form-data: {error}") from error
        taken, self._taken = self._taken, []
        return b"".join(taken)

    def end(self) -> None:
        """There is no more of the body. Raises BadForm."""
        if not self._ended:
            raise BadForm("the body ends before its closing boundary")
        if self.name is None:
            raise BadForm(f'there is no file in the field "{FILE}"')

    def _begin(self) -> None:
        self._disposition = self._value = b""
        self._field = None

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header = self._header[0] + data[start:end], self._header[1]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header = self._header[0], self._header[1] + data[start:end]

    def _header_end(self) -> None:
        if self._header[0].lower() == b"content-disposition":
            self._disposition = self._header[1]
        self._header = b"", b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name == FILE:
            if self.name is not None:
                raise BadForm(f'there is more than one "{FILE}"; each is uploaded alone')
            given = options.get(b"filename", b"").decode("utf-8", "replace").replace("\\", "/")
            self.name = given.rpartition("/")[2][-_NAME_MOST:] or FILE
        elif b"filename" in options:
            raise BadForm(f'there is a file in another field than "{FILE}"')
        elif len(self.fields) >= _FIELDS_MOST:
            raise BadForm(f"there are more than {_FIELDS_MOST} fields")
        else:
            self._field = name

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._taken.append(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > _FIELD_BYTES_MOST:
            raise BadForm(f"a field other than the file is longer than {_FIELD_BYTES_MOST} bytes")

    def _part_end(self) -> None:
        if self._field is not None:
            self.fields[self._field] = self._value.decode("utf-8", "replace")

    def _end(self) -> None:
        self._ended = True
