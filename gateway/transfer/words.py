"""What both commands say alike."""


class Refused(Exception):
    """It cannot be done, and nothing was: the message says why and what to do."""
