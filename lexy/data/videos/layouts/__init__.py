"""How the files of videos lie in their folder: one class for each layout."""

from pathlib import Path
from typing import Protocol

from lexy.data.videos.recording import Recording


class Layout(Protocol):
    """Finds and reads videos with their reference masks."""

    def recordings(self, folder: Path) -> list[Recording]:
        """All videos of a folder, ascending by name.

        Raises
        ------
        UserError
            Something is missing, double, unreadable or of another size; it names the file.
        """
