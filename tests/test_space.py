"""What a key of `--tune` stands for."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from kit import RATE, WIDTH

from harness import space
from harness.entries import Parameter
from harness.errors import UsageError

KIND = Parameter(name="kind", type="str", default="mean", choices=("mean", "max", "last"))
DEPTH = Parameter(name="depth", type="int", default=None, optional=True, minimum=1)


def values(axis: space.Axis, count: int) -> list:
    return [axis.at(position) for (position,) in space.sample(1, count)]


def test_a_learning_rate_alone_is_spaced_by_equal_factors_with_both_ends():
    axis = space.recipe_axis("learning_rate", "")
    assert axis.text == "0.0001:0.01:log"
    assert values(axis, 5) == [0.0001, 0.000316, 0.001, 0.00316, 0.01]


def test_a_range_of_the_learning_rate_is_logarithmic_unless_it_says_otherwise():
    assert space.recipe_axis("learning_rate", "1e-4:1e-2").scale == "log"
    linear = space.recipe_axis("learning_rate", "0.1:0.2:linear")
    assert values(linear, 3) == [0.1, 0.15, 0.2]


def test_other_ranges_are_linear_unless_they_say_otherwise():
    axis = space.make_axis("model.rate", "0.0:0.3", RATE)
    assert (axis.text, values(axis, 4)) == ("0:0.3:linear", [0.0, 0.1, 0.2, 0.3])


def test_a_value_has_three_digits_but_the_ends_are_as_given():
    axis = space.make_axis("model.rate", "0.12345:0.98765", RATE)
    assert values(axis, 3) == [0.12345, 0.556, 0.98765]


def test_a_range_of_whole_numbers_gives_whole_numbers():
    assert values(space.make_axis("model.width", "4:8", WIDTH), 5) == [4, 5, 6, 7, 8]
    assert values(space.make_axis("model.width", "4:64:log", WIDTH), 5) == [4, 8, 16, 32, 64]
    assert all(type(v) is int for v in values(space.make_axis("k", "1:9:log", WIDTH), 4))


def test_listed_values_are_taken_as_they_are_and_equally_often():
    axis = space.make_axis("model.kind", "max, mean,last", KIND)
    assert (axis.text, values(axis, 3)) == ("max,mean,last", ["max", "mean", "last"])
    assert [axis.at(point[0]) for point in space.sample(2, 6)].count("max") == 2
    assert values(space.make_axis("model.depth", "none,2", DEPTH), 2) == [None, 2]


def test_optimizers_keep_the_commas_in_their_brackets():
    axis = space.recipe_axis("optimizer", "sgd,adamw[b1=0.9,b2=0.99]")
    assert axis.values == ("sgd", "adamw[b1=0.9,b2=0.99]")
    # a variant is no range
    assert space.recipe_axis("optimizer", "adamw:plain,sgd").scale == "listed"


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("learning_rat", "", "did you mean 'learning_rate'"),
        (
            "width",
            "8:16",
            "no hyper-parameter that can be tuned; a parameter of the models is "
            "model.width; known hyper-parameters: accumulate",
        ),
        ("epochs", "1:4", "epochs cannot be tuned, the rungs share out the epochs"),
        ("validation", "0.1,0.2", "validation cannot be tuned"),
        ("batch_size", "", "no default range; write batch_size=low:high"),
        ("batch_size", "64:16", "the smaller one first"),
        ("batch_size", "16:16", "the smaller one first"),
        ("batch_size", "0:16", "batch_size=0: expected int >= 1"),
        ("batch_size", "16:32.5", "batch_size=32.5: expected int"),
        (
            "batch_size",
            "16:64:cubic",
            "'cubic' is no scale; expected low:high, low:high:log or ",
        ),
        (
            "batch_size",
            "16:64:log:2",
            "4 parts; expected low:high, low:high:log or low",
        ),
        ("batch_size", "16:many", "'many' is no finite number; expected low:high"),
        ("learning_rate", "1e-3:inf", "'inf' is no finite number; expected low:high"),
        ("learning_rate", "a:b", "'a' is no finite number; expected low:high"),
        ("batch_size", "16", "two or more different values"),
        ("batch_size", "16,16", "two or more different values"),
        ("batch_size", "16,many", "batch_size=many: expected int >= 1"),
        ("learning_rate", "0:0.1:log", "begins above 0; write 0:0.1:linear"),
        ("learning_rate", "1e-3:1e999", "two finite numbers"),
        ("schedule", "0.1:0.3", "schedule takes constant or"),
        ("schedule", "constant,cubic", "schedule=cubic: expected constant or"),
        ("optimizer", "1:2", "optimizer takes str; list its values"),
    ],
)
def test_what_cannot_be_tuned_is_refused_in_one_line(key: str, text: str, said: str):
    with pytest.raises(UsageError) as caught:
        space.recipe_axis(key, text)
    message = str(caught.value)
    assert said in message and key in message and "\n" not in message


def test_a_parameter_with_choices_has_no_range():
    chosen = Parameter(name="heads", type="int", default=1, choices=(1, 2, 4))
    with pytest.raises(UsageError, match="heads takes 1 or 2 or 4; list its values"):
        space.make_axis("model.heads", "1:4", chosen)


def test_options_are_read_into_keys_and_ranges():
    asked = ["learning-rate", " model.width = 4:8 "]
    assert space.parse_tune(asked) == {"learning_rate": "", "model.width": "4:8"}


@pytest.mark.parametrize(
    "options", [["=1:2"], [""], ["model."], ["learning_rate="], ["a", "a=1,2"]]
)
def test_options_of_another_form_are_refused(options: list[str]):
    with pytest.raises(UsageError, match="expected KEY or KEY=RANGE|given twice"):
        space.parse_tune(options)


def test_several_keys_are_each_spaced_evenly():
    points = space.sample(3, 8)
    middles = [(i + 0.5) / 8 for i in range(8)]
    for axis in zip(*points, strict=True):
        assert sorted(axis) == pytest.approx(middles)
    assert len({tuple(point) for point in points}) == 8


def test_a_sample_is_the_same_in_every_process_and_one_key_needs_no_scipy():
    program = (
        "import json, sys; from harness.space import sample\n"
        "sample(1, 4); assert not {'numpy', 'scipy'} & set(sys.modules)\n"
        "print(json.dumps(sample(3, 8)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == space.sample(3, 8)


def test_more_trials_than_a_space_has_points_are_refused():
    axes = [space.make_axis("model.kind", "mean,max", KIND), space.make_axis("w", "4:6", WIDTH)]
    space.check_size(axes, 6)
    with pytest.raises(
        UsageError, match="7 trials, but there are only 6 different values of model.kind and w"
    ):
        space.check_size(axes, 7)
    space.check_size([space.make_axis("model.rate", "0:1", RATE)], 10_000)


def test_a_value_at_the_end_of_a_range_is_one_beyond_which_something_could_be_tried():
    axis = space.recipe_axis("learning_rate", "1e-4:1e-2")
    tried = [0.0001, 0.001, 0.01]
    assert [axis.is_at_end(value, tried) for value in tried] == [True, False, True]
    assert not axis.is_at_end(0.01, [0.0001, 0.01])  # two values are ends and nothing else
    listed = space.make_axis("w", "4,5,6", WIDTH)
    assert not listed.is_at_end(4, [4, 5, 6])
    bounded = space.make_axis("w", f"{WIDTH.minimum}:6", WIDTH)
    lowest = bounded.at(0)
    assert lowest == WIDTH.minimum
    assert not bounded.is_at_end(lowest, [lowest, 4, 6]) and bounded.is_at_end(
        6, [lowest, 4, 6]
    )
