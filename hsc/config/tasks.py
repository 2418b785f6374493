"""Which tasks a stage is really trained on: those that its losses name with a weight, for layers that it decodes."""

from collections.abc import Iterable

from hsc.config.schema import Config, ModelConfig, StageConfig


def tasks_of(stage: StageConfig, model: ModelConfig) -> dict[str, dict[str, float]]:
    """The weight of each task by layer, without tasks and layers that weigh nothing and those that are not trained."""
    weighing = (name for name in decoded_layers(stage, model) if stage.layer_weights.get(name, 1.0))
    return {name: {task: weight for task, weight in stage.losses.get(name, {}).items() if weight} for name in weighing}


def decoded_layers(stage: StageConfig, model: ModelConfig) -> list[str]:
    """The layers up to which faces are decoded: where nothing is sent, the last alone; a prior decodes none."""
    if stage.module == "prior":
        return []
    names = list(model.layers)
    return (stage.layers or names) if stage.quantises else names[-1:]


def task_names(config: Config, stages: Iterable[str]) -> set[str]:
    """Names of all tasks that these stages are trained on."""
    by_layer = (tasks_of(config.stages[name], config.model) for name in stages)
    return {task for layers in by_layer for tasks in layers.values() for task in tasks}
