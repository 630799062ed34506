"""`lexy-sync`: upload the W&B runs that were recorded offline."""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lexy.errors import UserError
from lexy.report.wandb_offline import Piece, pieces


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the command."""
    parser = argparse.ArgumentParser(
        prog="lexy-sync",
        description="Upload the W&B runs below some folders that were recorded offline, several at a time. What was "
        "uploaded is left alone, as is what is still being recorded. Needs `wandb login`, or WANDB_API_KEY.",
    )
    parser.add_argument("folders", nargs="*", type=Path, default=[Path("outputs")], help="default: outputs")
    parser.add_argument("--project", help="another than each run names")
    parser.add_argument("--entity", help="team or user, another than each run names")
    parser.add_argument("--at-once", type=int, default=4, metavar="N", help="runs at a time (default: 4)")
    parser.add_argument("--dry-run", action="store_true", help="list them and stop")
    given = parser.parse_args(arguments)
    try:
        found = pieces(given.folders)
        wanted = [piece for piece in found if not piece.uploaded and not piece.going_on]
        _show(found)
        if given.dry_run or not wanted:
            return
        _upload(wanted, given)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _show(found: Sequence[Piece]) -> None:
    for piece in found:
        what = "uploaded already" if piece.uploaded else "still going on: left alone" if piece.going_on else "to upload"
        print(f"{what:<26} {piece.folder}")


def _upload(wanted: Sequence[Piece], given: argparse.Namespace) -> None:
    """One call of W&B's own command, which does runs side by side and the pieces of each in order, and marks each.

    Raises
    ------
    UserError
        Some have no mark afterwards.
    """
    options = [
        item for name in ("project", "entity") if getattr(given, name) for item in (f"--{name}", getattr(given, name))
    ]
    call = [sys.executable, "-m", "wandb", "sync", "--yes", "-n", str(given.at_once), *options]
    status = subprocess.run([*call, *(str(piece.folder) for piece in wanted)], check=False).returncode
    left = [piece for piece in wanted if not piece.uploaded]
    if status != 0 or left:
        raise UserError(
            f"{len(left)} of {len(wanted)} pieces were not uploaded, W&B says above why. Is there a key (wandb login)? "
            "The same command goes on."
        )
    print(f"{len(wanted)} pieces uploaded")


if __name__ == "__main__":
    main()
