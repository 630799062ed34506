"""LightningModules: losses, augmentation, optimisation and what is logged."""

import lexy._torchvision  # noqa: F401  pytorch-lightning cannot be imported beside a CPU torch without it
