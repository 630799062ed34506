"""Tables → figures and text that people read."""
