import copy

from sweep_files import settings as config

from lexy.report.sweep.variation import group_choices, row_names, settings, varied


def of(*configs):
    return varied([settings(one) for one in configs])


def test_names_seeds_folds_and_paths_are_no_settings():
    one = config(seed=0, fold=1)
    other = config(seed=7, fold=2, name="t", label="x", tags=["a"], logger={"wandb": {"_target_": "W"}}, resume="never")
    one["data"]["store"], other["data"]["store"] = "/here", "/there"
    assert settings(one) == settings(other)
    assert of(one, other) == {}
    other["data"]["clip_seed"] = 7  # the run's own seed's value would be left out, another key is not
    assert of(one, other) == {"data.clip_seed": ["0", "7"]}
    other["data"]["seed"] = 3  # not the run's seed: chosen on purpose
    assert of(one, other)["data.seed"] == ["none", "3"]


def test_a_setting_that_older_runs_have_not_is_none():
    assert settings(config(frame_network=None)) == settings(config())
    assert of(config(), config(frame_network="/a/b.ckpt")) == {"frame_network": ["none", "b.ckpt"]}


def test_groups_that_stand_twice_are_told_once():
    assert of(config(loss="dice"), config(loss="combined")) == {"loss": ["DiceLoss", "CombinedLoss"]}
    one, other = config(), config()
    other["backbone"] = {**other["backbone"], "width": 32}
    other["model"]["backbone"] = other["backbone"]
    assert of(one, other) == {"backbone.width": ["16", "32"]}


def test_another_class_is_called_by_its_name_and_its_own_settings_only_where_they_vary():
    noise = [{"_target_": "a.Plain"}, {"_target_": "a.Spotted", "spots": 1}, {"_target_": "a.Spotted", "spots": 2}]
    found = of(*(config(training={"noise": one}) for one in noise))
    assert found == {"training.noise": ["Plain", "Spotted", "Spotted"], "training.noise.spots": ["–", "1", "2"]}


def test_values_are_as_short_as_they_can_be_told_apart():
    paths = [None, "/a/unet/best.ckpt", "/b/siam/best.ckpt", "/b/siam/last.ckpt"]
    assert of(*(config(pretrained=path) for path in paths[:2])) == {"pretrained": ["none", "best.ckpt"]}
    assert of(*(config(pretrained=path) for path in paths[:3])) == {"pretrained": ["none", "unet", "siam"]}
    assert of(*(config(pretrained=path) for path in paths))["pretrained"][3] == "/b/siam/last.ckpt"
    assert of(config(training={"lengths": [3, 0.5]}), config(training={"lengths": []}))["training.lengths"] == [
        "[3, 0.5]",
        "[]",
    ]


def test_a_group_that_differs_in_many_settings_is_called_by_its_choice():
    many = [{f"k{i}": i * at for i in range(1, 7)} for at in (1, 2)]
    configs = [settings(config(augmentation=one)) for one in many]
    assert varied(configs, [{"augmentation": "weak"}, {"augmentation": "strong"}]) == {
        "augmentation": ["weak", "strong"]
    }
    assert len(varied(configs, [{"augmentation": "weak"}, {}])) == 6
    assert len(varied(configs, [{"augmentation": "weak"}, {"augmentation": "weak"}])) == 6  # says too little
    assert group_choices(["model=unet", "trainer.max_epochs=3", "+experiment=a", "data/stills=hpa", "odd"]) == {
        "model": "unet",
        "experiment": "a",
        "data.stills": "hpa",
    }


def test_rows_are_named_by_no_more_than_tells_them_apart():
    columns = {"model": ["UNet", "UNet", "Siam"], "training": ["A", "A", "B"], "pretrained": ["none", "x", "none"]}
    assert row_names(columns, 3, "f") == ["UNet · no pretrained", "UNet · pretrained", "Siam · no pretrained"]
    assert row_names({"optimizer.lr": ["0.1", "0.2"]}, 2, "f") == ["lr=0.1", "lr=0.2"]
    three = {"pretrained": ["none", "x", "y"]}
    assert row_names(three, 3, "f") == ["pretrained=none", "pretrained=x", "pretrained=y"]
    assert row_names({}, 1, "f") == ["f"]
    assert row_names({"a": ["–", "–"]}, 2, "f") == ["f (1)", "f (2)"]


def test_configs_are_not_changed():
    one = config()
    before = copy.deepcopy(one)
    settings(one)
    of(one, config(loss="combined"))
    assert one == before
