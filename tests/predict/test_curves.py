import numpy as np
import pandas as pd
import pytest

from lexy.predict.curves import Light, cells_table, light_of, mean_fit
from lexy.predict.flags import flagged

ON, OFF = 300.0, 600.0


def nuclei(count=8, frames=60, interval=20.0):
    """Exact curves: N/C 2 falls to 1 with a half-time of 60 s under the light, and comes back likewise."""
    seconds = np.arange(frames) * interval
    fallen = 1 - np.exp2(-np.clip(seconds - ON, 0, OFF - ON) / 60)
    ratio = 2 - fallen * np.exp2(-np.clip(seconds - OFF, 0, None) / 60)
    rows = [
        {"video": "v", "id": at + 1, "frame": frame, "seconds": seconds[frame], "nc": ratio[frame] + at / 1000}
        for at in range(count)
        for frame in range(frames)
    ]
    return pd.DataFrame(rows).assign(flags="", confidence=0.9)


def test_one_wild_value_does_not_move_the_light():
    table = nuclei()
    table.loc[(table["id"] == 1) & (table["frame"] == 40), "nc"] = 400.0
    light = light_of(table, None, None)
    assert light.on == pytest.approx(ON, abs=20)
    assert light.off == pytest.approx(OFF, abs=20)


def test_the_fit_of_the_mean_is_that_of_trusted_nuclei_and_frames():
    table, light = nuclei(), Light(ON, OFF, given=True)
    clean = mean_fit(table, cells_table(table, light, 60), light)
    table.loc[table["id"] == 1, "nc"] += np.random.default_rng(0).normal(0, 5, 60)  # not to be trusted
    table.loc[(table["id"] == 2) & (table["frame"] < 5), ["nc", "flags"]] = [0.3, "edge"]
    cells = cells_table(table, light, 60)
    assert not cells.set_index("id").loc[1, "trust"]
    assert mean_fit(table, cells, light).baseline == pytest.approx(clean.baseline, abs=0.01)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_leap_is_seen_however_few_nuclei_there_are(count):
    places = [(20.0 * number, 50.0, frame) for number in range(1, count + 1) for frame in range(4)]
    table = pd.DataFrame(places, columns=["row", "column", "frame"])
    table["id"] = np.repeat(np.arange(1, count + 1), 4)
    table.loc[(table["id"] == 1) & (table["frame"] >= 2), "column"] += 9.0
    table = table.assign(area_px=80, confidence=0.9, edge=False, touching=False, filled=False)
    divisions = pd.DataFrame(columns=["mother", "daughter"])
    flags = flagged(table, divisions, 4, (200, 200), 10.0).set_index(["id", "frame"])["flags"]
    assert [frame for frame in range(4) if "jump" in flags[1, frame]] == [2]
