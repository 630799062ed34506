"""What the documents tell people to do."""

import json
import re

import matplotlib as mpl
import pytest
from cli_runs import REPOSITORY

DOCUMENTS = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("lexy/**/*.md")]


def test_the_notebook_runs_on_the_network_of_the_package(monkeypatch):
    mpl.use("Agg")
    book = json.loads((REPOSITORY / "docs" / "kinetics.ipynb").read_text())
    names = {}
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            exec("".join(cell["source"]), names)
    nuclei = names["result"].nuclei
    assert nuclei.groupby("id").size().max() == 30
    middle = nuclei[nuclei["frame"] == 13]["nc"].min()
    assert middle < 0.7 * nuclei[nuclei["frame"] == 0]["nc"].max()  # exported by then


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path):
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target
