"""Acquire labelled fields from outside and make a store of stills of them."""
