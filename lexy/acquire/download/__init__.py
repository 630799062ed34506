"""Fetch images from the web or from a folder; check, hash and record each."""
