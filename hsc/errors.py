"""The one error users meet."""


class HscError(Exception):
    """Something a user can mend; the message is one clear sentence that says what to do."""
