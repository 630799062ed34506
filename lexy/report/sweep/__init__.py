"""Runs compared: tables, figures, pages."""
