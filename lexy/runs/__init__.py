"""What a run is: identity, records, resuming, evaluation."""
