"""Keep or leave out fields by what the index knows of them."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from lexy.acquire.manifest import FieldEntry
from lexy.errors import UserError

SHOWN = 12  # values that a message lists


def normalised(value: str) -> str:
    """Return a value as it is compared: without case, spaces and hyphens."""
    return "".join(value.casefold().replace("-", " ").split())


def antibody_names(entry: FieldEntry) -> list[str]:
    """Return the names that a field's antibody can be given by: its id, and its number in the field's name."""
    return [entry.antibody, entry.field.rpartition("/")[0].rpartition("/")[2]]


@dataclass
class FieldFilter:
    """Keep fields that have one of some values (or none of them); keep all if no value is given.

    Releases differ in spelling: 'U-2 OS' became 'U2OS', 'cytosol' 'Cytosol'. Case, spaces and hyphens are ignored.
    All else counts: a renamed value is another value, and no value includes another ('Nucleoli rim' does not match
    'Nucleoli').

    Parameters
    ----------
    key : str
        Name of the setting.
    what : str
        What is compared, in words.
    wanted : sequence of str
        Values.
    values_of : callable
        Returns a field's values.
    without : bool
        Keep the fields that have none of the values.
    """

    key: str
    what: str
    wanted: Sequence[str]
    values_of: Callable[[FieldEntry], Iterable[str]]
    without: bool = False
    _seen: dict[str, str] = field(default_factory=dict)  # normalised value → as spelled

    def __post_init__(self) -> None:
        self._wanted = {normalised(value) for value in self.wanted}

    @property
    def reason(self) -> str:
        """Why a field is not kept."""
        return f"filtered: {'unwanted ' if self.without else ''}{self.what}"

    def keeps(self, entry: FieldEntry) -> bool:
        """Return whether the field is wanted, and remember its values for `check`."""
        if not self._wanted:
            return True
        values = {normalised(value): value for value in self.values_of(entry)}
        self._seen |= values
        return self._wanted.isdisjoint(values) == self.without

    def check(self) -> None:
        """Check that every wanted value was seen.

        Raises
        ------
        UserError
            If no field had one of them; names similar values.
        """
        for value in self.wanted:
            if self._seen and normalised(value) not in self._seen:
                near = difflib.get_close_matches(normalised(value), self._seen, n=3)
                if near:
                    hint = f"Did you mean {' or '.join(self._seen[name] for name in near)}?"
                else:
                    some = sorted(self._seen.values())[:SHOWN]
                    hint = f"There are: {', '.join(some)}{', …' if len(self._seen) > SHOWN else ''}."
                raise UserError(f"index.{self.key}: no field of the source has the {self.what} {value!r}. {hint}")
