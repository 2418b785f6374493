"""Makes torchmetrics importable before any test imports it."""

import hsc.compat  # noqa: F401
