"""The output of training: on a terminal, in a file, with quiet output, and when it is interrupted."""

import os
import pty
import re
import signal
import struct
import termios
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from io import StringIO

import pyte
import pytest
import torch
from rich.console import Console
from tiny_model import tiny_config

from hsc.metrics.info import MetricInfo
from hsc.progress import Bar, Lines
from hsc.training.progress import RunOutput, TimeEstimate, headline
from hsc.training.terminal import Terminal, say, validation_table

COLUMNS, ROWS = 120, 60
ONLY_JOINT = ("run=[joint]", "stages.joint.init=fresh", "stages.joint.steps=9")


class Screen:
    """A terminal; programs write to it at `place`."""

    def __init__(self) -> None:
        self._master, self._slave = pty.openpty()
        ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.place = os.ttyname(self._slave)
        self.written = bytearray()
        """everything, including overwritten text"""
        self._shown = pyte.HistoryScreen(COLUMNS, ROWS, history=1000)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def lines(self) -> list[str]:
        """The lines on the screen after all programs have ended."""
        os.close(self._slave)
        self._reader.join(10)
        os.close(self._master)
        above = ["".join(line[column].data for column in range(COLUMNS)) for line in self._shown.history.top]
        return [line.rstrip() for line in [*above, *self._shown.display] if line.strip()]

    def _read(self) -> None:
        stream = pyte.ByteStream(self._shown)
        with suppress(OSError):  # the last program has closed it
            while data := os.read(self._master, 65536):
                self.written.extend(data)
                stream.feed(data)


TERMINAL = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "COLUMNS": str(COLUMNS)}


@pytest.mark.slow
def test_a_terminal_shows_a_bar_and_tables_and_what_to_do_next(experiment, train_in_process: Callable[..., int]):
    screen = Screen()
    words = ("run=[basic,joint]", "stages.basic.init=fresh", "stages.joint.steps=8", "stages.joint.validate_every=4")
    assert train_in_process(experiment, *words, output=screen.place, environment=TERMINAL) == 0
    lines, text = screen.lines(), re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.written.decode())
    bars = [line for line in re.split(r"[\r\n]", text) if "joint · 2 of 2" in line and "━" in line]
    assert any(re.search(r"\d+/8 .*objective .* · bpp .* · l2 .*run ends in \d+", line) for line in bars), bars[-3:]
    assert any("validating" in line for line in bars)
    start = lines.index("joint · 2 of 2, step 8 of 8:")
    assert lines[start + 1].split("  ")[0] == "layer"
    assert "bytes" in lines[start + 1]
    assert "PSNR, dB" in lines[start + 1]
    assert [line.split()[0] for line in lines[start + 3 : start + 6]] == ["basic", "middle", "enhanced"]
    assert re.search(r"\d +[+−]\d+\.\d\d$", lines[start + 5]), "no change since the validation before"
    whole = "\n".join(lines).replace("\n", "")  # paths may be wider than the terminal
    folder = experiment.folder()
    assert f"pictures: {folder / 'joint/samples'}" in whole
    assert f"codec: {folder / 'codec.safetensors'}" in whole
    assert f"next: hsc evaluate {folder} --data" in whole
    assert whole.endswith(f"run folder: {folder}")
    assert "━" not in whole, "the bar stays on the terminal"
    assert "v_num" not in text
    assert "wandb:" not in text


@pytest.mark.slow
def test_a_file_gets_lines_and_no_bars(experiment, said_in_training: Callable[..., str]):
    said = said_in_training(experiment, *ONLY_JOINT)
    assert "\x1b" not in said
    lines = said.splitlines()
    progress = [line for line in lines if line.startswith("joint · 1 of 1 | ")]
    assert any(" | validating" in line for line in progress)
    assert any(re.search(r" \| 9/9 \| objective .* bpp .* l2 .*run ends in", line) for line in progress), progress
    assert max(map(len, lines)) < 200
    assert lines[-1] == f"run folder: {experiment.folder()}"


@pytest.mark.slow
def test_quiet_leaves_only_the_run_folder(experiment, said_in_training: Callable[..., str]):
    assert said_in_training(experiment, *ONLY_JOINT, "--quiet") == f"run folder: {experiment.folder()}\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status", "told"), [(signal.SIGINT, 130, "finishing this step and saving"), (signal.SIGTERM, 143, "")]
)
def test_being_stopped_says_what_was_saved_and_how_to_go_on(
    experiment, said_in_training: Callable[..., str], number: int, status: int, told: str
):
    text = said_in_training(experiment, *ONLY_JOINT, kill=("joint", 4, number), status=status)
    checkpoint = experiment.folder() / "joint" / "last.ckpt"
    assert int(torch.load(checkpoint, weights_only=True)["state_dict"]["batches_seen"]) == 4
    assert told in text
    assert f"joint: saved after 4 of 9 steps, in {checkpoint}\n" in text
    assert "Traceback" not in text
    command = f"hsc train {experiment.file} 'run=[joint]' stages.joint.init=fresh stages.joint.steps=9"
    assert text.splitlines()[-1].endswith(f"resume with: {command}")


@pytest.mark.slow
def test_ctrl_c_during_validation_ends_at_once(experiment, said_in_training: Callable[..., str]):
    said = said_in_training(experiment, *ONLY_JOINT, kill_validation=("joint", 3, signal.SIGINT), status=130)
    assert "resume with: hsc train" in said
    assert "joint · 1 of 1, step 3" not in said


def console() -> Console:
    return Console(file=StringIO(), force_terminal=True, width=80, color_system=None, legacy_windows=False)


def test_at_80_columns_nothing_of_the_bar_is_cut():
    screen = console()
    with Bar(screen) as bar:
        run = RunOutput(tiny_config(), Terminal(), bar)
        run.title = "enhanced · 3 of 4"
        run.estimate.images_per_second = 0.01
        run.stepped(250, 1000, {"objective": 0.7131, "bpp": 0.04101, "lpips_128": 0.31})
    shown = screen.file.getvalue()
    assert "250/1000" in shown
    assert "  objective 0.713 · bpp 0.041 · lpips_128 0.31 · 0.01 images/s" in shown
    assert "…" not in shown


def test_lines_come_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    run = RunOutput(tiny_config(), Terminal(), Lines())
    run.title = "only · 1 of 1"
    for step in range(1, 31):
        now += 1
        run.stepped(step, 30, {"objective": step})
    said = capsys.readouterr().err.splitlines()
    assert said == [f"only · 1 of 1 | {step}/30 | objective {step}" for step in (10, 20, 30)]


def test_the_end_of_the_run_counts_stages_and_validations_to_come(monkeypatch: pytest.MonkeyPatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    config = tiny_config(steps=100, batch_size=4, validate_every=40)
    config.stages["then"] = tiny_config(steps=10, batch_size=8, validate_every=500).stages["only"]
    config.run.append("then")
    pace = TimeEstimate(config)
    assert pace.seconds_left is None
    pace.begin("only", 20)
    for step in range(21, 41):
        now += 1 if step > 21 else 60  # the first step warms up
        pace.stepped(step)
    now += 30
    pace.validated(30)
    now += 1
    pace.stepped(41)
    # 59 steps, 80 images of the next stage at 4 per second, validations at 80, 100 and in the next stage
    assert pace.seconds_left == pytest.approx(59 + 80 / 4 + 3 * 30)
    pace.begin("then", 0)
    assert pace.seconds_left == pytest.approx(80 / 4 + 30)


def test_a_headline_prefers_lpips_of_the_last_layer():
    values = {"basic/lpips": 0.5, "middle/bpp_estimated": 0.1, "middle/l2": 2.0, "middle/lpips": 0.4, "objective": 1.0}
    assert headline(values, "middle") == {"objective": 1.0, "bpp": 0.1, "lpips": 0.4}
    assert headline({"enhanced/l2": 2.0}, "enhanced") == {"l2": 2.0}
    assert headline({}, "enhanced") == {}


def test_a_table_shows_what_was_measured_and_how_it_has_changed():
    values = {"val/basic/bytes": 40.0, "val/basic/psnr": 21.5, "val/middle/psnr": 23.0, "val/basic/landmark_nme": 0.031}
    before = {"val/basic/bytes": 42.0, "val/basic/psnr": 21.504}
    shown = console()
    shown.print(validation_table(values, before, ["basic", "middle", "enhanced"]))
    title, _, basic, middle = (line.split() for line in shown.file.getvalue().splitlines())
    assert title == ["layer", "bytes", "Landmark", "error", "(NME),", "%", "PSNR,", "dB"]
    assert basic == ["basic", "40.0", "−2.0", "3.10", "21.50", "+0.00"]
    assert middle == ["middle", "23.00"]
    assert validation_table({"val/generated/kid_vgg16": 1.0}, {}, ["basic"]) is None


def test_the_table_ends_with_the_answers_of_the_users_own_judges():
    own = [MetricInfo("my:Own", "likeness", True, judge="likeness"), MetricInfo("my:Silent", "silent", True)]
    shown = console()
    values, before = {"val/basic/psnr": 21.5, "val/basic/my:Own": 0.75}, {"val/basic/my:Own": 0.5}
    shown.print(validation_table(values, before, ["basic"], own))
    title, _, basic = (line.split() for line in shown.file.getvalue().splitlines())
    assert title == ["layer", "PSNR,", "dB", "likeness"]
    assert basic == ["basic", "21.50", "0.750", "+0.250"]


def test_warnings_are_one_line_and_remarks_of_packages_are_hidden(capsys: pytest.CaptureFixture[str]):
    usual = warnings.formatwarning
    for verbosity, shown in (("normal", ["no room"]), ("verbose", ["no room", "in the next version"])):
        with warnings.catch_warnings(), Terminal(verbosity).in_use():
            warnings.simplefilter("default", UserWarning)
            if verbosity == "verbose":
                warnings.simplefilter("default", FutureWarning)
            with warnings.catch_warnings(record=True) as seen:
                warnings.warn("no room", stacklevel=1)
                warnings.warn("in the next version", FutureWarning, stacklevel=1)
            line = warnings.formatwarning("no\n  room", UserWarning, "file.py", 3)
            assert (line == "warning: no room\n") == (verbosity == "normal")
            say("basic: [starts]")
        assert [str(warning.message) for warning in seen] == shown
        assert capsys.readouterr().out == "basic: [starts]\n"
    assert warnings.formatwarning is usual
    say("nobody listens")
    assert capsys.readouterr().out == ""
