"""Plain `torch.nn` networks: no Hydra, no Lightning, nothing of higher packages."""
