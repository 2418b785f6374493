"""Sweeps: many trainings of one experiment, defined by a W&B sweep file, here, by W&B agents or on a Ray cluster."""
