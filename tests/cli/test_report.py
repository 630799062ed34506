import subprocess
import sys

import pytest
from cli_runs import REPOSITORY

from lexy.cli.report import main


def test_it_does_not_need_torch():
    code = (
        "import sys, lexy.cli.report, lexy.report.sweep.page, lexy.report.sweep.grouping, lexy.report.sweep.watch\n"
        "assert not {'torch', 'matplotlib.pyplot', 'wandb', 'hydra'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def test_help_is_quick_and_shows_examples(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    assert "lexy-report outputs/SWEEP --watch" in capsys.readouterr().out


def test_mistakes_are_told_in_a_line(tmp_path, capsys):
    with pytest.raises(SystemExit, match=r"error: .*nowhere: no such folder. Give the folder of a sweep"):
        main([str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit, match=r"error: .*no run in or below"):
        main([str(tmp_path)])
    with pytest.raises(SystemExit):
        main([str(tmp_path), str(tmp_path)])
    assert "say by --output where the report shall be" in capsys.readouterr().err
