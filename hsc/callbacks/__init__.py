import hsc.compat  # noqa: F401  torchvision beside CPU torch, before Lightning and torchmetrics import it
