"""Store → clips: datamodules, splits and the embedded phantom data."""
