"""The page of a stills store, with its figures."""
