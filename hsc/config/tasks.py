"""Which tasks a stage is really trained on: those that its losses name with a weight, for layers that it decodes."""

from collections.abc import Iterable, Mapping

from hsc.config.schema import Config, ModelConfig, StageConfig


def tasks_of(stage: StageConfig, model: ModelConfig) -> dict[str, dict[str, float]]:
    """The weight of each task by layer, without tasks and layers that weigh nothing and those that are not trained."""
    names = stage.layers or list(model.layers)
    if stage.module != "codec" or stage.quantise == "none":
        names = list(model.layers)[-1:]  # nothing is sent, so only the whole is decoded
    weighing = (name for name in names if stage.layer_weights.get(name, 1.0))
    return {name: _weighing(stage.losses.get(name, {})) for name in weighing}


def task_names(config: Config, stages: Iterable[str]) -> set[str]:
    """Names of all tasks that these stages are trained on."""
    by_layer = (tasks_of(config.stages[name], config.model) for name in stages)
    return {task for layers in by_layer for tasks in layers.values() for task in tasks}


def _weighing(tasks: Mapping[str, float]) -> dict[str, float]:
    return {task: weight for task, weight in tasks.items() if weight}
