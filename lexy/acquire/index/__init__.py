"""List the fields of view to acquire: filters, a table of any size, the index's files."""
