"""Let glibc keep the memory of large tensors for reuse.

By default it returns every freed block of 32 MB or more to the system, and often the end of its heap too. The next
tensor of the same size then gets fresh pages, which the system must fill with zeros one by one: networks at 256×256
pixels and more spend a quarter of their processor time on this (benchmarks/start_up.py). With higher thresholds freed
memory stays with the process. The command line raises them, unless HSC_MALLOPT=0. With other C libraries nothing
happens.
"""

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_LARGEST_INT = (1 << 31) - 1
_MMAP_LIMITS = (1 << 30, 1 << 25)  # older releases of glibc refuse more than the second


def keep_freed_memory() -> bool:
    """Raise the thresholds; returns whether that was done."""
    if os.environ.get("HSC_MALLOPT") == "0":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
        ctypes.CDLL(None).gnu_get_libc_version  # noqa: B018  these numbers may mean something else to other C libraries
    except (AttributeError, OSError, TypeError):
        return False
    trims = mallopt(_TRIM_THRESHOLD, _LARGEST_INT)
    return bool(trims) and any(mallopt(_MMAP_THRESHOLD, limit) for limit in _MMAP_LIMITS)
