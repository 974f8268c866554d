"""Input that nothing can be measured on. The message says what to do."""


class BadInput(Exception):
    """A folder, a picture or a list that cannot be used."""
