"""The errors of the harness that are told to the user in one sentence, without a traceback."""


class Failure(Exception):
    """The run cannot go on."""


class Unavailable(Failure):
    """One system cannot be measured here; the others can."""
