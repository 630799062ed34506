"""Figures, films and pages of one segmented video or of many."""
