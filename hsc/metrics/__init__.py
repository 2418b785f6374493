"""What is measured: each metric described once (`info`), judges at work on single images (`measures`) and on sets
(`distribution`), and torchmetrics that give the same number for any number of processes (`per_image`).

`hsc evaluate` and the callbacks of validation share all of it. Importing this package imports neither torch nor judges.
"""
