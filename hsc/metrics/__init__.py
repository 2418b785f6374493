"""Metrics: descriptions (`info`), judges applied to single images (`measures`) and to sets (`distribution`), and
torchmetrics whose result does not depend on the number of processes (`per_image`).

`hsc evaluate` and the validation callbacks share all of it. Importing this package imports neither torch nor judges.
"""
