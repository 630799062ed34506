"""From batches of stills to clips: the published construction, and light-driven export as it really looks."""
