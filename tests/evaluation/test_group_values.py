import numpy as np
import pandas as pd
from frame_tables import THREE, all_metrics, frames

from lexy.evaluation.group_values import all_curves, all_group_values, group_values
from lexy.evaluation.summary import profile


def test_a_profile_averages_videos_before_groups():
    rows = frames(("a", "v", 0, 1.0), ("a", "v", 0, 0.0), ("a", "w", 0, 1.0), ("b", "v", 1, 0.25))
    found = profile(rows, "dice", rows["frame"])
    assert found.loc["a", 0] == 0.75
    assert found.loc["b", 1] == 0.25
    assert np.isnan(found.loc["b", 0])
    seeds = pd.concat([THREE.assign(seed=0), THREE.assign(seed=1, dice=THREE["dice"] / 2)])
    np.testing.assert_allclose(
        profile(seeds, "dice", seeds["frame"]), 0.75 * profile(THREE, "dice", THREE["frame"]), rtol=1e-12
    )


def test_many_tables_at_once_are_what_each_is_alone():
    seeds = pd.concat([all_metrics(seed=2).assign(seed=0), all_metrics(seed=3).assign(seed=5)])
    tables = {"a": all_metrics(), "stills": all_metrics(length=1), "b": all_metrics(seed=1, hd95_um=np.nan)}
    tables |= {"seeds": seeds, "one": all_metrics(seed=4, dice_one_step=0.9), "short": all_metrics(length=3, groups=4)}
    found = all_group_values(tables)
    assert list(found) == list(tables)
    for name, one in tables.items():
        pd.testing.assert_frame_equal(found[name], group_values(one), check_exact=True)
    curves_of = all_curves(tables)
    assert set(curves_of) == set(tables) - {"stills"}
    for name in curves_of:
        expected = profile(tables[name], "dice", tables[name]["frame"])
        pd.testing.assert_frame_equal(curves_of[name], expected, check_exact=True, check_names=False)
