"""The printed `lexy-evaluate` command finds what the training had, whoever set it."""

import re
import shlex

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from lexy.config.compose import config_folder
from lexy.runs.reproduce import evaluation_overrides, override_value

NODES = ("data", "start", "paths")


def told(*overrides, name="any"):
    """What a training of these overrides prints, and the nodes of both commands' configs."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", overrides=list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        printed = evaluation_overrides(config, name)
        again = compose("evaluate", overrides=["checkpoint=a.ckpt", *shlex.split(" ".join(printed))])
        nodes = [OmegaConf.to_container(each[node], resolve=True) for node in NODES for each in (config, again)]
    return printed, nodes[::2], nodes[1::2]


@pytest.mark.parametrize(
    ("overrides", "printed"),
    [
        ([], []),
        (["experiment=lexy_videos"], ["data.folds=5"]),
        (["experiment=lexy_scratch", "data.fold=3"], ["data.batch_size=2", "data.fold=3"]),
        (["data=synthetic", "data/protocol=published", "data.stills.fields=9"], ["data.stills.fields=9"]),
        (["data=hpa", "paths.outputs=my runs"], ["'paths.outputs=\"my runs\"'"]),
        (["mask_noise@start.noise=published"], None),
        (["data=lexy", "data.layout.pattern='(?P<cell>C\\d+) (?P<frame>\\d+)[.]tif'"], None),
        (["start=unet", "frame_network=b.ckpt", "allow=[mine]"], ["frame_network=b.ckpt", "'allow=[mine]'"]),
    ],
    ids=str,
)
def test_it_gives_the_evaluation_overrides_and_start_and_nothing_needless(overrides, printed):
    found, trained, evaluated = told(*overrides)
    assert evaluated == trained
    if printed is not None:
        assert sorted(item for item in found if re.match(r"'?[a-z]+\.|(frame|'allow)", item)) == sorted(printed)


def test_the_chosen_groups_are_named_whoever_chose_them():
    found, *_ = told("experiment=lexy_scratch", "data/layout=stacks")
    assert set(found) >= {"data=lexy", "start=perturbed", "data/layout=stacks", "data/preparation=published"}


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0$"))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(PLAIN)
def test_hydra_reads_a_override_value_value_as_it_was(value):
    assert OverridesParser.create().parse_override(f"key={override_value(value)}").value() == value
