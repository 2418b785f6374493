"""Sweeps: many trainings of one experiment, searched by one W&B sweep file, here, by W&B agents or on a Ray cluster."""
