"""The errors users meet."""


class HscError(Exception):
    """Something a user can fix; the message is one clear sentence that says what to do."""


class FileRefused(HscError):
    """The file system did not give a file's content: a permission, an I/O error, too many open files, a dangling link.
    Nothing is known about the content, and the next attempt may succeed."""
