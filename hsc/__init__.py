"""Hierarchical scalable face coding with a StyleGAN prior."""

__version__ = "0.1.0"
