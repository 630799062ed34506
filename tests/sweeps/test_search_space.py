import optuna
import pytest

from lexy.errors import UserError
from lexy.sweeps.search_space import search_space

SPACE = {"lr": "tag(log,interval(1e-4,1e-2))", "loss": "choice(dice,bce)"}


def test_a_typed_sweep_replaces_a_configured_one_and_a_value_fixes_it():
    found = search_space(SPACE, ["loss=bce", "lr=range(1,6,2)", "+more=[1],[2]", "name=x"])
    assert found.fixed == ["loss=bce", "name=x"]
    assert found.dimensions == {
        "lr": optuna.distributions.IntDistribution(1, 5, step=2),
        "+more": optuna.distributions.CategoricalDistribution(["[1]", "[2]"]),
    }
    assert found.job({"lr": 3, "+more": "[2]"}) == ["loss=bce", "name=x", "lr=3", "+more=[2]"]
    assert found.corners() == [
        ["loss=bce", "name=x", "lr=1", "+more=[1]"],
        ["loss=bce", "name=x", "lr=5", "+more=[1]"],
        ["loss=bce", "name=x", "lr=1", "+more=[2]"],
    ]


@pytest.mark.parametrize(
    ("sweep", "distribution"),
    [
        ("interval(1,8)", optuna.distributions.FloatDistribution(1, 8)),
        ("int(interval(1,8))", optuna.distributions.IntDistribution(1, 8)),
        ("tag(log,interval(1e-3,1))", optuna.distributions.FloatDistribution(1e-3, 1, log=True)),
        ("range(4,0,-1)", optuna.distributions.IntDistribution(1, 4)),
        ("range(0,1,0.25)", optuna.distributions.FloatDistribution(0, 0.75, step=0.25)),
    ],
)
def test_sweeps_are_read_as_hydra_reads_them(sweep, distribution):
    assert search_space({"key": sweep}, []).dimensions == {"key": distribution}


@pytest.mark.parametrize(
    ("configured", "typed", "message"),
    [
        ({"lr": "3"}, [], "lr=3 is one value"),
        ({}, ["lr=3"], "nothing to search"),
        ({"lr": "interval(2,1)"}, [], r"lr=interval\(2,1\)"),
        ({"lr": "range(3,3)"}, [], "no number in this range"),
        ({"lr": "tag(log,choice(1,2))"}, [], "knows log"),
        ({"lr": "tag(square,interval(1,2))"}, [], "knows log"),
        ({"lr": "interval(1"}, [], r"interval\(1"),
        ({"loss": "glob(*)"}, [], "loss=glob"),
        (SPACE, ["name=a,b"], "share name"),
        (SPACE, ["hydra.sweeper.n_trials=1,2"], "share hydra.sweeper.n_trials"),
    ],
)
def test_spaces_that_cannot_be_searched_are_refused(configured, typed, message):
    with pytest.raises(UserError, match=message):
        search_space(configured, typed)
