"""Sweeps and searches: plan, processes, table of jobs."""
