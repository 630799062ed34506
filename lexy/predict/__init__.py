"""A user's video → masks that follow each nucleus, tables and curves."""
