"""Which fields are wanted, by something that an index says of them."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from lexy.acquire.manifest import FieldEntry
from lexy.errors import UserError

SHOWN = 12


def plain(value: str) -> str:
    """What of a value is compared: case, spaces and hyphens do not count."""
    return "".join(value.casefold().replace("-", " ").split())


@dataclass
class FieldFilter:
    """Keeps fields that have one of some values (or none of them); lets all pass if no value is given.

    Releases spell differently: 'U-2 OS' became 'U2OS', 'cytosol' 'Cytosol'. Case, spaces and hyphens do not count, all
    else does: names that were changed are two names, and nothing is known of what belongs to what ('Nucleoli rim' is
    not among 'Nucleoli').

    Parameters
    ----------
    key : str
        The setting's name.
    what : str
        What is looked at, in words.
    wanted : sequence of str
        Values.
    values_of : callable
        A field's values.
    without : bool
        Keep those that have none of the values.
    """

    key: str
    what: str
    wanted: Sequence[str]
    values_of: Callable[[FieldEntry], Iterable[str]]
    without: bool = False
    _seen: dict[str, str] = field(default_factory=dict)  # as compared: as spelled

    def __post_init__(self) -> None:
        self._wanted = {plain(value) for value in self.wanted}

    @property
    def reason(self) -> str:
        """Why a field is not kept."""
        return f"filtered: {'unwanted ' if self.without else ''}{self.what}"

    def keeps(self, entry: FieldEntry) -> bool:
        """Whether the field is wanted; takes down what values there are."""
        if not self._wanted:
            return True
        values = {plain(value): value for value in self.values_of(entry)}
        self._seen |= values
        return self._wanted.isdisjoint(values) == self.without

    def check(self) -> None:
        """Complain of a value that no field had.

        Raises
        ------
        UserError
            Names what is near to it.
        """
        for value in self.wanted:
            if self._seen and plain(value) not in self._seen:
                near = difflib.get_close_matches(plain(value), self._seen, n=3)
                if near:
                    hint = f"Did you mean {' or '.join(self._seen[name] for name in near)}?"
                else:
                    some = sorted(self._seen.values())[:SHOWN]
                    hint = f"There are: {', '.join(some)}{', …' if len(self._seen) > SHOWN else ''}."
                raise UserError(f"index.{self.key}: no field of the source has the {self.what} {value!r}. {hint}")
