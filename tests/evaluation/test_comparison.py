import numpy as np
import pandas as pd
import pytest
from frame_tables import FEW, THREE

from lexy.errors import UserError
from lexy.evaluation.comparison import QUALITIES, comparison
from lexy.evaluation.summary import summarise


def test_comparison_by_hand() -> None:
    copied = THREE
    network = THREE.assign(dice=THREE["dice"] * 0.5 + 0.5, hd95=1.0, dice_one_step=1.0)
    found = comparison({"copied mask": copied, "network": network}, "network", resamples=FEW)
    assert found.index.tolist() == ["copied mask", "network"]
    row = found.loc["copied mask"]
    assert row[["dice", "dice_worst_frame", "nc_error"]].tolist() == pytest.approx([5.25 / 9, 0.5, 0.1])
    assert row[["dice_difference", "dice_worst_frame_difference"]].tolist() == pytest.approx([3.75 / 18, 0.25])
    assert row["hd95_difference"] == pytest.approx(1 - 37.5 / 9)
    assert row[["dice_one_step", "dice_one_step_difference", "dice_drop"]].isna().all()
    network_row = found.loc["network"]
    assert network_row["dice_drop"] == pytest.approx(1 - (5.25 / 18 + 0.5))
    for quality in set(QUALITIES) - {"hd95_um"}:  # the pixel size is unknown here
        names = [f"{quality}_difference{end}" for end in ("", "_low", "_high")]
        assert network_row[names].tolist() == [0, 0, 0]
    expected = summarise(copied, resamples=FEW).loc["dice", ["low", "high"]]
    assert row[["dice_low", "dice_high"]].tolist() == expected.tolist()
    assert row["dice_difference_low"] <= row["dice_difference"] <= row["dice_difference_high"]
    assert row[["reference", "groups", "frames", "n_missed", "nc_error_undefined"]].tolist() == ["network", 3, 9, 1, 0]
    assert not any("one_step" in name or "drop" in name for name in comparison({"a": copied}, "a", resamples=FEW))


def test_stills_have_no_worst_frame() -> None:
    stills = THREE[THREE["frame"] == 0]
    assert not any("worst" in name for name in comparison({"a": stills, "b": stills}, "a", resamples=FEW))


def test_comparison_says_which_method_does_not_fit() -> None:
    with pytest.raises(UserError, match="no method c to compare with; there are: a, b"):
        comparison({"a": THREE, "b": THREE}, "c")
    with pytest.raises(UserError, match="a against b: runs are compared on the same groups"):
        comparison({"a": THREE, "b": THREE[THREE["group"] != "g02"]}, "a", resamples=FEW)
    with pytest.raises(UserError, match=r"a against b: .* has no column hd95"):
        comparison({"a": THREE, "b": THREE.drop(columns="hd95")}, "a", resamples=FEW)
    with pytest.raises(UserError, match="a against b: worst frames"):
        comparison({"a": THREE, "b": THREE[THREE["frame"] > 0]}, "a", resamples=FEW)


def test_a_reference_without_one_step_has_no_difference_to_it() -> None:
    found = comparison({"a": THREE, "b": THREE.assign(dice_one_step=1.0)}, "a", resamples=FEW)
    assert found.loc["b", "dice_one_step"] == 1.0
    assert np.isnan(found.loc["a", "dice_one_step"])
    assert "dice_one_step_difference" not in found
    assert "dice_difference" in found


def test_distances_in_micrometres_where_the_pixel_size_is_known() -> None:
    known = THREE.assign(hd95_um=THREE["hd95"] * 0.5)
    found = comparison({"a": known, "b": known.assign(hd95_um=1.0)}, "a", resamples=FEW)
    assert found.loc["a", "hd95_um"] == pytest.approx(0.5 * found.loc["a", "hd95"])
    assert found.loc["b", "hd95_um_difference"] == pytest.approx(found.loc["a", "hd95_um"] - 1)
    unknown = THREE.assign(hd95_um=np.nan)
    assert not any("_um" in name for name in comparison({"a": unknown, "b": unknown}, "a", resamples=FEW))


def test_a_reference_without_any_value_has_an_undefined_difference() -> None:
    """A network that misses every nucleus has no N/C error; its baselines have one."""
    found = comparison({"a": THREE.assign(nc_error=np.nan), "b": THREE}, "a", resamples=FEW)
    assert np.isnan(found.loc["a", "nc_error"])
    assert found.loc["b", "nc_error"] == pytest.approx(0.1)
    assert found.loc["b", ["nc_error_difference", "nc_error_difference_low"]].isna().all()


def test_counts_are_those_of_one_seed() -> None:
    seeds = pd.concat([THREE.assign(seed=seed) for seed in range(3)])
    seeds.loc[(seeds["seed"] == 2) & seeds["missed"], "missed"] = False
    seeds.loc[(seeds["seed"] == 0) & (seeds["frame"] == 0), "nc_error"] = np.nan
    found = comparison({"once": THREE, "three times": seeds}, "once", resamples=FEW)
    names = ["groups", "seeds", "frames", "n_missed", "nc_error_undefined"]
    assert found.loc["once", names].tolist() == [3, 1, 9, 1, 0]
    assert found.loc["three times", names].tolist() == pytest.approx([3, 3, 9, 2 / 3, 1])
