"""The configuration of an experiment: its fields (`schema`), and how files and overrides become one (`loading`)."""

from hsc.config.checks import check
from hsc.config.loading import from_yaml, load, model_from_dict, to_yaml
from hsc.config.schema import Config, DataConfig, LayerConfig, ModelConfig, StageConfig

__all__ = [
    "Config",
    "DataConfig",
    "LayerConfig",
    "ModelConfig",
    "StageConfig",
    "check",
    "from_yaml",
    "load",
    "model_from_dict",
    "to_yaml",
]
