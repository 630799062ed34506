"""Real videos: files in several layouts, prepared to clips."""
