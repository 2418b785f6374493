"""The loop of a sweep: ask the search for the next trial, start it, follow its metric, stop trials that fall behind,
restart trials that were killed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hsc.errors import HscError
from hsc.files import write_atomically
from hsc.sweeps.command import command
from hsc.sweeps.launchers import GRACE, Launcher, Running
from hsc.sweeps.results import Outcome, Result, best, has_begun, read_result, standing, why_unfinished
from hsc.sweeps.search import propose, to_stop
from hsc.sweeps.sweep_file import Sweep
from hsc.sweeps.trials import Attempt, SweepFolder, Trial, unfinished

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_BETWEEN_NEWS = 30.0  # between progress messages
REFUSED = "hsc: "  # start of the last line of a training that could not start, with the reason
HOPELESS = 3  # if this many first trials fail, the sweep ends


@dataclass
class Controller:
    """A running sweep. cap: total number of trials; None: until a grid is exhausted. retries: how often a trial that
    ended without its done-marker is restarted. say: prints a line.
    """

    sweep: Sweep
    folder: SweepFolder
    launcher: Launcher
    identity: str
    cap: int | None
    retries: int
    say: Callable[[str], None]

    def run(self) -> list[Trial]:
        """Run to the end; returns all trials. If it ends early for any reason, trials are stopped and recorded."""
        self.trials = self.folder.load()
        self.live: dict[int, Running] = {}
        self.told = time.monotonic()
        try:
            while not self._hopeless() and (self._fill() or self.live):
                time.sleep(SECONDS_BETWEEN_LOOKS)
                self._look()
                self._tell()
        finally:
            self._stop_all()
            self.launcher.close()
        return self.trials

    def _fill(self) -> bool:
        """Start trials in the free slots; False if none are left to start."""
        while len(self.live) < self.launcher.slots:
            trial = next((one for one in unfinished(self.trials) if one.number not in self.live), None) or self._new()
            if trial is None:
                return False
            self._start(trial)
        return True

    def _new(self) -> Trial | None:
        if self.cap is not None and len(self.trials) >= self.cap:
            return None
        values = propose(self.sweep, self._results())
        if values is None:
            return None
        trial = Trial(len(self.trials), values)
        self.trials.append(trial)
        return trial

    def _start(self, trial: Trial) -> None:
        run = self.folder.run(trial)
        run.mkdir(parents=True, exist_ok=True)
        if not (run / "wandb-id").exists():
            write_atomically(run / "wandb-id", f"{self.identity}-{trial.name}".encode())
        words = command(self.sweep, trial.values, run)
        environment = {
            "HSC_RUN_FOLDER": str(run.resolve()),
            "WANDB_RUN_GROUP": f"sweep-{self.identity}",
            "WANDB_MODE": "offline",
        }
        trial.state = "running"
        trial.attempts.append(Attempt(started=time.time()))
        self.folder.save(trial)
        again = f", attempt {len(trial.attempts)}" if len(trial.attempts) > 1 else ""
        self.say(f"{trial.name} starts{again}: {self.sweep.describe(trial.values)}")
        self.live[trial.number] = self.launcher.start(words, environment, self.folder.log(trial))
        trial.attempts[-1].process = self.live[trial.number].identity
        self.folder.save(trial)

    def _look(self) -> None:
        for number, process in list(self.live.items()):
            if (how := process.ended()) is not None:
                del self.live[number]
                self._ended(self.trials[number], how)
        if self.sweep.early_terminate:
            for trial in to_stop(self.sweep.early_terminate, self._results()):
                self._stop_early(trial)

    def _tell(self) -> None:
        """Print a line of progress from time to time."""
        if not self.live or time.monotonic() - self.told < SECONDS_BETWEEN_NEWS:
            return
        self.told = time.monotonic()
        over = sum(trial.over for trial in self.trials)
        running = [
            f"{self.trials[number].name} {standing(self._run(self.trials[number]), self.sweep.metric)}"
            for number in sorted(self.live)
        ]
        self.say(f"{over}{f' of {self.cap}' if self.cap else ''} trials have ended; {'; '.join(running)}{self._best()}")

    def _best(self) -> str:
        metric, found = self.sweep.metric, best(self._results())
        return f"; best so far {found.trial.name}: {metric.name} {found.outcome.value(metric):.4g}" if found else ""

    def _ended(self, trial: Trial, how: str) -> None:
        """Evaluate an attempt that has ended by its results, since exit statuses of training are not informative.

        Raises HscError for a training that could not start, since it would fail again for the same reason, and usually
        the other trials too.
        """
        outcome, run = self._outcome(trial), self._run(trial)
        attempt = trial.attempts[-1]
        attempt.seconds = round(time.time() - attempt.started, 1)
        attempt.ended = how if outcome.finished else f"{why_unfinished(run, self.sweep.metric)} ({how})"
        if outcome.finished:
            trial.state = "finished"
            value = outcome.value(self.sweep.metric)
            reused = f", reused {', '.join(outcome.reused)}" if outcome.reused else ""
            self.say(f"{trial.name} finished after {trial.seconds:.0f} s: {self.sweep.metric.name} {value:.4g}{reused}")
        elif (last := " ".join(self.folder.last_lines(trial, 1))).startswith(REFUSED) and not has_begun(run):
            trial.state = "waiting"
            self.folder.save(trial)
            raise HscError(
                f"the sweep ends at trial {trial.name}, which cannot be trained: {last.removeprefix(REFUSED)}; "
                f"fix that and continue with: hsc sweep --resume {self.folder.path}"
            )
        elif len(trial.attempts) <= self.retries:
            trial.state = "waiting"
            self.say(f"{trial.name} {attempt.ended}; it will be resumed")
        else:
            trial.state = "failed"
            self.say(f"{trial.name} failed, {attempt.ended}: {last}")
        self.folder.save(trial)

    def _hopeless(self) -> bool:
        """Whether all of the first trials have failed."""
        over = [trial.state for trial in self.trials if trial.over]
        return len(over) >= HOPELESS and set(over) == {"failed"}

    def _stop_early(self, trial: Trial) -> None:
        if trial.number not in self.live:
            return
        process = self.live.pop(trial.number)
        end([process])
        trial.state = "stopped"
        trial.attempts[-1].ended = "stopped early"
        trial.attempts[-1].seconds = round(time.time() - trial.attempts[-1].started, 1)
        self.folder.save(trial)
        self.say(f"{trial.name} stopped early: others are better after {len(self._outcome(trial).history)} validations")

    def _stop_all(self) -> None:
        """On Ctrl-C, SIGTERM or an error, let running trials save and end; they resume with the sweep."""
        if not self.live:
            return
        self.say(f"stopping {len(self.live)} running trials")
        end(list(self.live.values()))
        for number in self.live:
            trial = self.trials[number]
            trial.attempts.pop()  # the attempt does not count: the sweep ended, not the trial
            trial.state = "finished" if self._outcome(trial).finished else "waiting"
            self.folder.save(trial)

    def _results(self) -> list[Result]:
        return [read_result(self.sweep, self.folder, trial) for trial in self.trials]

    def _outcome(self, trial: Trial) -> Outcome:
        return read_result(self.sweep, self.folder, trial).outcome

    def _run(self, trial: Trial) -> Path:
        return self.folder.run(trial)


def end(processes: Sequence[Running]) -> None:
    """Stop the commands, and kill those that have not ended after a minute, or on a second interrupt."""
    for process in processes:
        process.stop()
    try:
        deadline = time.monotonic() + GRACE
        while any(process.ended() is None for process in processes) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        for process in processes:
            if process.ended() is None:
                process.kill()
