"""`lexy-report`: the runs of a sweep beside each other; an ordinary command with flags."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lexy.errors import UserError

EXAMPLES = """\
examples:
  lexy-report outputs/SWEEP
  lexy-report outputs/SWEEP --reference 'UNet · DiceLoss'
  lexy-report outputs/first outputs/second --output outputs/both
  lexy-report outputs/SWEEP --watch
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the command."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if len(given.folder) > 1 and given.output is None and not given.watch:
        parser.error("several folders: say by --output where the report shall be")
    try:
        if given.watch:
            from lexy.report.sweep.watch import watch

            watch(given.folder)
        else:
            _report(given.folder, given.output or given.folder[0] / "report", given.reference)
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:  # the disk is full, or a folder may not be written to
        sys.exit(f"error: {error.filename or given.output}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lexy-report",
        description="Compare the runs below folders: one HTML page, and its tables as CSV, Markdown and LaTeX.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", nargs="+", type=Path, help="folder of a sweep (outputs/NAME), or of a run")
    parser.add_argument("--output", type=Path, help="folder for the report (default: FOLDER/report)")
    parser.add_argument(
        "--reference", metavar="ROW", help="row that all others are compared with, or a part of its name"
    )
    parser.add_argument("--watch", action="store_true", help="show a sweep that is running, in the terminal")
    return parser


def _report(folders: Sequence[Path], output: Path, reference: str | None) -> None:
    """Read, compare, write, and say where it is."""
    from lexy.report.sweep.grouping import compare_runs, newest, read_trained
    from lexy.report.sweep.page import Sweep, require_own, write_report
    from lexy.report.sweep.run_folders import find_runs

    require_own(output)
    runs = find_runs(folders)
    trained, broken = read_trained(runs)
    trained, replaced = newest(trained)
    comparisons = compare_runs(trained, reference)
    title = "Runs in " + ", ".join(folder.resolve().name for folder in folders)
    page = write_report(output, Sweep(title, runs, comparisons, replaced, broken))
    rows = sum(len(one.networks) for one in comparisons)
    print(f"{len(runs)} runs, {len(trained)} of them compared: {rows} rows in {len(comparisons)} tables")
    without = len(runs) - len(trained) - len(replaced)
    if without:
        print(f"{without} jobs without a result: the page says why")
    print(page)


if __name__ == "__main__":
    main()
