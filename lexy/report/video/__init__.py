"""One segmented video, or many: figures, films, pages."""
