"""LightningModules: losses, augmentation, optimisation and what is logged."""
