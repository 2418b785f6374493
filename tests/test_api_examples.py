"""The Python interface: its verbs have docstrings, whose examples run."""

import doctest
import inspect
from pathlib import Path

import pytest
import torch

import hsc
from hsc import codec_file
from hsc.codec import Codec
from hsc.images import to_pil

VERBS = ("compress", "decompress", "analyse", "encode", "decode", "synthesise", "pictures")


def test_a_codec_has_these_verbs_and_no_others():
    own = {name for name, value in vars(Codec).items() if not name.startswith("_") and inspect.isfunction(value)}
    assert own == set(VERBS)
    assert all(inspect.getdoc(getattr(Codec, verb)) for verb in VERBS)


def test_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    noise = torch.rand(3, 128, 128, generator=torch.Generator().manual_seed(0)) * 2 - 1
    to_pil(noise).save("face.png")
    names: dict = {"hsc": hsc}
    runner = doctest.DocTestRunner()
    finder, found = doctest.DocTestFinder(recurse=False), 0
    # In the order of a session: each example uses the results of the one before.
    for example in (codec_file.load, Codec.compress, Codec.decompress):
        for test in finder.find(example, example.__qualname__):
            test.globs = names
            runner.run(test, clear_globs=False)
            found += len(test.examples)
    assert found >= 6
    assert runner.summarize(verbose=False).failed == 0
