"""What knows the Human Protein Atlas: addresses, sources, entries."""
