"""Plain `torch.nn` networks: no Hydra, no Lightning, nothing of the other rooms."""
