"""Tables → figures and text that people read."""

PHANTOM = "PHANTOM DATA: generated images, no result on cells"
