import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap

from lexy.errors import UserError
from lexy.evaluation.summary import group_means, over_time, published_summary, summarise


def frames(*rows: tuple[str, str, int, float], **columns: list[float]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["group", "video", "frame", "dice"])
    table["missed"], table["spurious"] = table["dice"] == 0, False
    return table.assign(**columns)


UNBALANCED = frames(("x", "a", 0, 1.0), ("x", "a", 1, 0.5), ("x", "b", 0, 0.25), ("y", "c", 0, 0.0), ("z", "a", 0, 0.5))


def many(groups: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return frames(*[(f"g{i:02}", "v", t, rng.random()) for i in range(groups) for t in range(3)])


def test_frames_then_videos_then_groups() -> None:
    means = group_means(UNBALANCED, ["dice"])["dice"]
    assert means.to_dict() == {"x": (0.75 + 0.25) / 2, "y": 0.0, "z": 0.5}
    assert summarise(UNBALANCED).loc["dice", "mean"] == pytest.approx(1 / 3)


def test_seeds_are_averaged_within_a_group() -> None:
    first, second = many(4, seed=1), many(4, seed=2)
    both = pd.concat([first.assign(seed=1), second.assign(seed=2)])
    expected = (group_means(first, ["dice"]) + group_means(second, ["dice"])) / 2
    pd.testing.assert_frame_equal(group_means(both, ["dice"]), expected)
    assert summarise(both).loc["dice", "groups"] == 4


def test_undefined_frames_are_left_out_and_counted() -> None:
    table = UNBALANCED.assign(sensitivity=[0.5, np.nan, 1.0, np.nan, 0.0])
    assert group_means(table, ["sensitivity"])["sensitivity"].tolist()[::2] == [0.75, 0.0]
    row = summarise(table).loc["sensitivity"]
    assert (row["mean"], row["groups"], row["videos"], row["frames"], row["n_undefined"]) == (0.375, 2, 3, 3, 2)
    assert summarise(table).loc["dice", "n_undefined"] == 0


def test_a_gap_where_none_may_be_is_an_error() -> None:
    with pytest.raises(UserError, match=r"dice .* has 1 gaps"):
        summarise(UNBALANCED.assign(dice=[1.0, np.nan, 1.0, 1.0, 1.0]))
    with pytest.raises(UserError, match="no column iou"):
        group_means(UNBALANCED, ["iou"])


def test_missed_nuclei_are_counted_and_not_dropped() -> None:
    row = summarise(UNBALANCED).loc["dice"]
    assert (row["n_missed"], row["n_spurious"], row["frames"]) == (1, 0, 5)


def test_interval_is_scipys_over_groups_and_deterministic() -> None:
    table = many(20)
    row = summarise(table).loc["dice"]
    expected = bootstrap(
        (table.groupby("group")["dice"].mean().to_numpy(),), np.mean, random_state=np.random.default_rng(0)
    ).confidence_interval
    assert (row["low"], row["high"], row["method"], row["note"]) == (*map(pytest.approx, expected), "BCa", "")
    pd.testing.assert_frame_equal(summarise(table), summarise(table.sample(frac=1, random_state=3)), check_exact=True)
    assert summarise(table, seed=1).loc["dice", "low"] != row["low"]
    assert summarise(table, confidence=0.5).loc["dice", "low"] > row["low"]


def test_few_groups_are_told() -> None:
    assert "only 14" in summarise(many(14)).loc["dice", "note"]
    row = summarise(many(2)).loc["dice"]
    assert np.isnan([row["low"], row["high"]]).all()
    assert row["method"] == "none"
    assert "no interval" in row["note"]
    assert summarise(many(15)).loc["dice", "note"] == ""


def test_published_stills_pool_all_crops() -> None:
    dice = np.array([1.0, 0.5, 0.25, 0.0])
    table = frames(*[("xxyz"[i], "abcd"[i], 0, value) for i, value in enumerate(dice)])
    table = table.assign(sensitivity=dice, specificity=1.0, hausdorff_published=[2.0, 4.0, np.inf, np.inf])
    result = published_summary(table)
    assert result.loc["dice", ["mean", "sd", "units"]].tolist() == pytest.approx([dice.mean(), dice.std(), 4])
    assert result.loc["hausdorff_published"].tolist() == pytest.approx([3.0, 1.0, 2, 2])


def test_published_sequences_go_by_video() -> None:
    table = UNBALANCED.assign(sensitivity=1.0, specificity=1.0, hausdorff_published=[1.0, 3.0, np.inf, 5.0, 6.0])
    result = published_summary(table)
    assert result.loc["dice", ["mean", "sd", "units"]].tolist() == pytest.approx([1.5 / 4, 0.25 / 4, 4])
    assert result.loc["hausdorff_published"].tolist() == pytest.approx([13 / 3, 1 / 3, 3, 1])


def test_over_time() -> None:
    assert over_time(UNBALANCED).to_dict() == {0: pytest.approx((0.625 + 0 + 0.5) / 3), 1: 0.5}
