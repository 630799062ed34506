"""A stills store as a page."""
