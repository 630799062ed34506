"""Run the study's chain: stills, then synthetic sequences, then real videos, from scratch and pretrained.

    python scripts/study.py --store outputs/data/hpa64 --videos outputs/data/videos     # hours on 2 cores

Each network is trained on sequences made from HPA stills, started from a U-Net that was trained on the stills; then on
the real videos, cross-validated by cell, once from random weights and once from there. The table that
`scripts/join_folds.py` makes of the folds is written to `study.csv`. Finished runs are kept when it is run again.
"""

import argparse
from pathlib import Path

from join_folds import beside
from runs import trained

from lexy.files import replacing
from lexy.report.markdown import comparison_markdown, differences_markdown

NETWORKS = {
    "unet": ["model=unet", "training=stills", "training.frames=6"],
    "tracknet": ["model=tracknet", "model.feedback=soft", "training=unrolled"],
    "siamnet": ["model=siamnet", "model.feedback=soft", "training=unrolled"],
    "movenet": ["model=movenet", "training=unrolled", "training.noise=null", "training.lengths=[6]", "training.skip=5"],
}
STILLS = ["experiment=sequences", "name=stills", "data=hpa", "model=unet", "trainer.max_epochs=200"]
CLIPS = ["experiment=sequences", "data=synthetic", "data/stills=hpa", "start=truth", "trainer.max_epochs=60"]
CLIPS += ["data.clips_per_epoch=96", "data.protocol.drift=0.04", "data.protocol.stretch=0.08"]
VIDEOS = ["-m", "experiment=lexy_videos"]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True, help="made by lexy-prepare data=hpa crops.crop_size=64")
    parser.add_argument("--videos", type=Path, required=True, help="folder of the real videos, see data/layout")
    parser.add_argument("--outputs", type=Path, default=Path("outputs/study"))
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--folds", type=int, default=5, help="of the real videos, by cell")
    parser.add_argument("overrides", nargs="*", help="further overrides for every training")
    arguments = parser.parse_args()
    outputs, extra = arguments.outputs, arguments.overrides
    store, videos = f"paths.store={arguments.store.resolve()}", f"paths.videos={arguments.videos.resolve()}"
    (stills,) = trained([*STILLS, store, *extra], outputs)
    folds = [f"data.folds={arguments.folds}", f"data.fold=range(0,{arguments.folds})"]
    rows = {}
    for name in arguments.networks:
        start = f"pretrained={stills / 'best.ckpt'}"
        (clips,) = trained([*CLIPS, *NETWORKS[name], f"name=clips_{name}", start, store, *extra], outputs)
        for kind, weights in (("scratch", "null"), ("pretrained", clips / "best.ckpt")):
            given = [f"name=videos_{name}_{kind}", f"pretrained={weights}", videos, *folds]
            rows[f"{name}, {kind}"] = trained([*VIDEOS, *NETWORKS[name], *given, *extra], outputs, arguments.folds)
    result = beside(rows, list(rows)[-1])
    with replacing(outputs / "study.csv") as temporary:
        result.to_csv(temporary)
    print(comparison_markdown(result), "", differences_markdown(result), sep="\n")


if __name__ == "__main__":
    main()
