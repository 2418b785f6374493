"""Lightning's own features: Trainer flags, callbacks, loggers, profilers, fast_dev_run and checkpoints."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
import yaml
from safetensors.torch import load_file
from tiny_model import LAYERS, tiny_config

from hsc.config import Config
from hsc.config.schema import CallbackConfig
from hsc.errors import HscError
from hsc.modules.codec import CodecModule
from hsc.modules.prior import PriorModule
from hsc.training import train
from hsc.training.loggers import check_loggers
from hsc.training.trainer import SET_BY_HSC, check_flags, decisive_flags

SEVEN_STEPS = ["run=[joint]", "stages.joint.init=fresh", "stages.joint.steps=7"]  # the last is on no interval

CALLBACK = """
from pathlib import Path

import pytorch_lightning as pl


class Notes(pl.Callback):
    def __init__(self, file: str) -> None:
        self.file = Path(file)

    def on_train_batch_end(self, trainer, module, *_) -> None:
        with self.file.open("a") as file:
            file.write(f"{type(module).__name__} {module.step}\\n")
"""


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file that the callback `their_callbacks.Notes` writes to; tests can import the callback."""
    folder = tmp_path_factory.mktemp("callbacks")
    (folder / "their_callbacks.py").write_text(CALLBACK)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder / "notes"


@pytest.fixture(scope="module")
def trained(new_experiment: Callable, notes: Path):
    """Seven steps with a user's callback, a profiler and, if it is installed, TensorBoard."""
    experiment = new_experiment()
    content = yaml.safe_load(experiment.file.read_text())
    content["callbacks"] = [{"class_path": "their_callbacks.Notes", "init_args": {"file": str(notes)}}]
    content["trainer"] = {"profiler": "simple", "num_sanity_val_steps": 1}
    experiment.file.write_text(yaml.safe_dump(content, sort_keys=False))
    train([experiment.file], [*SEVEN_STEPS, "logging.loggers=[tensorboard]"])
    return experiment


@pytest.mark.slow
def test_a_callback_of_ones_own_is_called_and_a_profiler_leaves_its_report_in_the_stage(trained, notes: Path):
    assert notes.read_text().splitlines() == [f"CodecModule {step}" for step in range(1, 8)]
    assert "run_training_batch" in (trained.folder() / "joint" / "fit-profile.txt").read_text()


@pytest.mark.slow
def test_tensorboard_shows_values_and_pictures_over_the_samples_seen(trained):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(str(trained.folder() / "tensorboard"))
    events.Reload()
    assert [point.step for point in events.Scalars("train/objective")] == [4 * step for step in range(1, 8)]
    measured = trained.done("joint")["metrics"]["val/enhanced/psnr"]
    points = events.Scalars("val/enhanced/psnr")
    assert [point.step for point in points] == [12, 24, 28]
    assert points[-1].value == pytest.approx(measured, rel=1e-5)
    assert [picture.step for picture in events.Images("val/samples")] == [12, 24, 28]
    assert "steps: 7" in events.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()


@pytest.mark.slow
def test_the_last_checkpoint_of_a_finished_stage_is_kept_and_loads_with_nothing_else(trained):
    checkpoint = trained.folder() / "joint" / "last.ckpt"
    module = CodecModule.load_from_checkpoint(checkpoint)
    assert module.step == 7
    assert module.config.name == "tiny"
    assert module.samples_seen == 28
    weights = load_file(trained.folder() / "joint" / "weights.safetensors")
    held = module.state_dict()
    assert all(torch.equal(value, held[name]) for name, value in weights.items())
    parameters = torch.load(checkpoint, weights_only=True)["hyper_parameters"]
    assert yaml.safe_load(parameters["config"])["stages"]["this"]["steps"] == 7
    with pytest.raises(HscError, match="is a checkpoint of CodecModule, not of PriorModule"):
        PriorModule.load_from_checkpoint(checkpoint)


def test_a_checkpoint_with_former_names_in_its_config_loads(tmp_path: Path):
    config = tiny_config()
    module = CodecModule(config, config.stages["only"], {})
    checkpoint = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(checkpoint)
    parameters = checkpoint["hyper_parameters"]
    for former, now in (("picture", "linear_path"), ("watch", "monitor"), ("average_kimg", "ema_kimg")):
        assert f" {now}:" in parameters["config"]
        parameters["config"] = parameters["config"].replace(f" {now}:", f" {former}:")
    torch.save(checkpoint, tmp_path / "last.ckpt")
    assert CodecModule.load_from_checkpoint(tmp_path / "last.ckpt").stage == module.stage


def test_checkpoints_of_others_are_refused(tmp_path: Path):
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(HscError, match="is a checkpoint of something else than hsc, not of CodecModule"):
        CodecModule.load_from_checkpoint(tmp_path / "other.ckpt")


@pytest.mark.slow
def test_fast_dev_run_goes_through_all_stages_and_keeps_nothing(new_experiment: Callable, capsys):
    experiment = new_experiment()
    words = ["trainer.fast_dev_run=true", "run=[prior,basic,joint]"]
    train([experiment.file], words)
    assert {path.name for path in experiment.folder().iterdir()} == {".lock"}
    assert {path.name for path in experiment.runs.iterdir()} == {"tiny"}
    out = capsys.readouterr().out
    assert "basic: starting from" in out
    assert "joint · 3 of 3, step 1 of 6:" in out
    assert "pictures:" not in out, "they are not kept"
    assert out.splitlines()[-1] == "fast_dev_run: every stage trains and validates; nothing is kept"


def configured(trainer: dict | None = None, callback: str = "", **arguments) -> Config:
    config = tiny_config()
    config.trainer = trainer or {}
    config.callbacks = [CallbackConfig(callback, arguments)] if callback else []
    return config


def test_flags_that_hsc_needs_are_refused_with_what_says_the_same():
    assert set(SET_BY_HSC) <= set(inspect.signature(pl.Trainer).parameters)
    for flag in SET_BY_HSC:
        with pytest.raises(HscError, match=rf"^config: trainer\.{flag}: hsc sets it: \w"):
            check_flags(configured({flag: 1}))


@pytest.mark.parametrize(
    ("trainer", "callback", "said"),
    [
        ({"profilr": "simple"}, "", r"unknown Trainer flag 'trainer.profilr', did you mean 'trainer.profiler'\?"),
        ({"profiler": "fast"}, "", r"trainer.profiler: must be one of simple, advanced, pytorch \(not 'fast'\)"),
        ({}, "pytorch_lightning.callbacks.WeightAveraging", "hsc averages the weights itself"),
        ({}, "pytorch_lightning.callbacks:EMAWeightAveraging", "hsc averages the weights itself"),
        ({}, "pytorch_lightning.callbacks.LearningRateFinder", "steps that hsc does not count"),
        ({}, "pytorch_lightning.callbacks.Timer", "one that is stopped resumes where it was"),
        ({}, "pytorch_lightning.callbacks.Nothing", "cannot import the callback"),
        ({}, "no_such_module.Nothing", "cannot import the callback"),
        ({}, "nothing", "must be package.module.Class"),
        ({}, "torch.nn.Linear", "torch.nn.Linear: is not a pytorch_lightning.Callback"),
        ({}, "pytorch_lightning.callbacks.EarlyStopping", "monitor"),
    ],
)
def test_mistakes_are_named(trainer: dict, callback: str, said: str):
    with pytest.raises(HscError, match=said):
        check_flags(configured(trainer, callback))


def test_what_may_change_weights_is_part_of_the_identity(notes: Path):
    assert decisive_flags(configured({"profiler": "simple", "detect_anomaly": True})) == {}
    assert decisive_flags(configured({"deterministic": True})) == {"trainer": {"deterministic": True}}
    config = configured(callback="their_callbacks.Notes", file="a")
    config.callbacks += configured(callback="their_callbacks.Notes", file="b").callbacks
    named = decisive_flags(config)["callbacks"]
    assert [one["arguments"] for one in named] == [{"file": "a"}, {"file": "b"}], "one class may occur twice"
    assert {one["class"] for one in named} == {"their_callbacks.Notes"}
    assert {len(one["code"]) for one in named} == {64}


def test_a_logger_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    config = configured()
    check_loggers(config)
    config.logging.loggers = ["mlflow"]
    with pytest.raises(HscError, match=r"logging.loggers: mlflow is not installed: pip install 'hsc\[mlflow\]'"):
        check_loggers(config)


@pytest.mark.slow
def test_mlflow_holds_the_run(new_experiment: Callable, monkeypatch: pytest.MonkeyPatch):
    """One MLflow run for two stages, also after a second start."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    experiment = new_experiment()
    words = [*SEVEN_STEPS, "logging.loggers=[mlflow]", "logging.project=faces"]
    for steps in (1, 2):
        train([experiment.file], [*words, f"stages.joint.steps={steps}"])
    client = mlflow.MlflowClient((experiment.folder() / "mlruns").as_uri())
    (run,) = client.search_runs([client.get_experiment_by_name("faces").experiment_id])
    assert run.info.run_name == "tiny"
    assert {f"val/{layer}/psnr" for layer in LAYERS} <= run.data.metrics.keys()
    assert [point.step for point in client.get_metric_history(run.info.run_id, "train/objective")] == [4, 4, 8]
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert files == {"config.yaml", "val"}
