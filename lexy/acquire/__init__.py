"""Outside world → labelled fields → a store of stills."""
