"""Clips + predictions → per-frame table → summaries with intervals."""
