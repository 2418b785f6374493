"""Writes the files of `hsc train` in milliseconds: a parabola in x, better with each step, that can be killed.

`die=SIGNAL@STEP` sends the signal in the first attempt, or with `always=die` after the first step of every attempt;
`slow=SECONDS` is the time per step.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

folder = Path(os.environ["HSC_RUN_FOLDER"])
given = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:] if "=" in word)
x, steps, pause = float(given.get("x", 0)), int(given.get("steps", 4)), float(given.get("slow", 0))
number, _, place = given.get("die", "0@0").partition("@")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as Lightning does

stage = folder / "only"
stage.mkdir(parents=True, exist_ok=True)
(folder / "config.yaml").write_text("run: [only]\n")
reached = stage / "steps"
first = int(reached.read_text()) if reached.exists() else 0
with open(folder / "attempts", "a") as attempts:
    attempts.write(f"{first}\n")
attempt = len((folder / "attempts").read_text().split())
log = stage / "log" / f"version_{attempt - 1}" / "metrics.csv"
log.parent.mkdir(parents=True)
print("toy training of", x, flush=True)
with open(log, "w") as rows:
    rows.write("step,samples_seen,train/loss,val/only/lpips,val/only/bpp\n")
    for step in range(first, steps):
        time.sleep(pause)
        rows.write(f"{step},{8 * (step + 1)},{1 / (step + 1)},,\n")
        # The best value is not the last one.
        value = (x - 0.3) ** 2 + 0.1 / (step + 1) + (0.5 if step == steps - 1 and steps > 1 else 0)
        rows.write(f"{step},{8 * (step + 1)},,{value},{0.1 + x / 10}\n")
        rows.flush()
        reached.write_text(str(step + 1))
        if int(number) and (given.get("always") == "die" or (attempt == 1 and step == int(place))):
            print("about to die", flush=True)
            os.kill(os.getpid(), int(number))
(stage / "done.json").write_text(json.dumps({"key": "toy"}))
(folder / "codec.safetensors").write_bytes(b"toy")
(folder / "done.json").write_text("{}")
