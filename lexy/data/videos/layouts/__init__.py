"""How the files of videos lie in their folder: a class for each layout says which files are a video and its masks."""

from pathlib import Path
from typing import Protocol

from lexy.data.videos.recording import Recording


class Layout(Protocol):
    """Finds and reads videos with their reference masks."""

    def recordings(self, folder: Path) -> list[Recording]:
        """Read all videos of a folder, ascending by name.

        Raises
        ------
        UserError
            Something is missing, double, unreadable or of another size; it names the file.
        """
