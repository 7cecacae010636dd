"""What answers come to: shares, intervals, and files that are no answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from huenet.color_transfer.pages.answers import Score, interval, score


def test_of_one_person_it_is_wilsons_interval() -> None:
    """Ten of twenty, as Wilson's formula has it by hand: (0.5 + 0.096 +- 1.96 sqrt(0.0125 + 0.0024)) / 1.192."""
    assert interval(np.array([0.5]), 20) == pytest.approx((0.2993, 0.7007), abs=1e-4)
    assert interval(np.array([1.0]), 20) == pytest.approx((0.8389, 1.0), abs=1e-4)  # 20 / (20 + 3.8415)


def test_of_many_people_who_differ_as_chance_has_it_answers_count_all() -> None:
    generator = np.random.default_rng(0)
    shares = generator.binomial(20, 0.4, 400) / 20
    everybody = interval(np.array([shares.mean()]), 20 * 400)
    low, high = interval(shares, 20)
    # the variance between 400 people deviates by sqrt(2 / 399), so the width by half of that, 3.5 %; four of these
    assert high - low == pytest.approx(everybody[1] - everybody[0], rel=0.14)


@pytest.mark.parametrize("people", [3, 6, 12, 30])
def test_intervals_hold_the_truth_where_people_differ(people: int) -> None:
    """Some people call nearly all photos real: of 2,000 questionnaires, 95 % of the intervals must hold the mean of all people.

    Binomial deviations of that share are 0.5 %, and four of them are allowed for. Wilson's interval of all answers misses it.
    """
    generator = np.random.default_rng(people)
    own = generator.beta(3.0, 2.0, (2000, people))
    shares = generator.binomial(20, own) / 20
    held, naive = (
        np.mean([low <= 0.6 <= high for low, high in (function(row) for row in shares)])
        for function in (lambda row: interval(row, 20), lambda row: interval(np.array([row.mean()]), 20 * people))
    )
    assert held > 0.93 and naive < 0.75


def test_the_table() -> None:
    shares = {"real": np.array([0.75]), "fake": np.array([0.25])}
    table = Score(shares, 20).as_markdown().splitlines()
    assert table[0] == "| | called real | called fake |"
    assert table[2] == "| real photos | 75 % (53 to 89) | 25 % (11 to 47) |"
    assert table[3] == "| painted photos | 25 % (11 to 47) | 75 % (53 to 89) |"
    assert table[5].startswith("1 person, 20 real and 20 painted photos") and "this person only" in table[5]
    several = Score({truth: np.array([0.4, 0.6]) for truth in shares}, 20).as_markdown()
    assert "2 people" in several and "this person only" not in several


PICTURES = {"aa": "real", "bb": "fake", "cc": "fake", "dd": "real"}


def key(folder: Path, **changes: object) -> Path:
    path = folder / "key.json"
    pictures = [{"id": name, "truth": truth, "source": "s"} for name, truth in PICTURES.items()]
    path.write_text(json.dumps({"questionnaire": "abc", "pictures": pictures} | changes))
    return path


def answers(folder: Path, name: str = "a.json", **changes: object) -> Path:
    path = folder / name
    given = dict.fromkeys(PICTURES, "real")
    path.write_text(json.dumps({"questionnaire": "abc", "person": name, "answers": given} | changes))
    return path


def test_scores_are_of_each_person(tmp_path: Path) -> None:
    other = answers(tmp_path, "b.json", answers={"aa": "real", "bb": "fake", "cc": "real", "dd": "fake"})
    scored = score(key(tmp_path), [answers(tmp_path), other])
    assert scored.shares["real"].tolist() == [1.0, 0.5] and scored.shares["fake"].tolist() == [1.0, 0.5] and scored.pictures == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"questionnaire": "xyz"}, "a.json answers another questionnaire, xyz: the key is of abc"),
        ({"questionnaire": 3}, "a.json answers another questionnaire, 3: the key is of abc"),
        ({"person": None}, "a.json has no answers to a questionnaire"),
        ({"answers": ["aa"]}, "a.json has no answers to a questionnaire"),
        ({"answers": {"aa": "perhaps"}}, "a.json has no answers to a questionnaire"),
        ({"answers": {"aa": ["real"]}}, "a.json has no answers to a questionnaire"),
        ({"answers": {"aa": "real"}}, "a.json lacks answers to 3 of 4 pictures"),
        ({"answers": dict.fromkeys([*PICTURES, "ee"], "real")}, "a.json has answers to pictures that"),
    ],
)
def test_what_are_no_answers(tmp_path: Path, changes: dict, said: str) -> None:
    with pytest.raises(ValueError) as error:
        score(key(tmp_path), [answers(tmp_path, **changes)])
    assert said in str(error.value)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"{} {}", b'{"questionnaire": "abc", "person": "p"}', b"[]", b"3", b"null"]
)
@pytest.mark.parametrize("which", ["key.json", "a.json"])
def test_damaged_files_are_named(tmp_path: Path, content: bytes, which: str) -> None:
    paths = key(tmp_path), answers(tmp_path)
    (tmp_path / which).write_bytes(content)
    with pytest.raises(ValueError, match=which):
        score(paths[0], [paths[1]])


@pytest.mark.parametrize(
    "pictures",
    [
        [],
        [{"id": "aa", "truth": "real"}],
        [{"id": "aa", "truth": "real"}] * 2,
        [{"id": "aa", "truth": "real"}, {"id": "bb", "truth": "unknown"}],
        [{"id": "aa", "truth": ["real"]}, {"id": "bb", "truth": "fake"}],
        [{"id": ["aa"], "truth": "real"}, {"id": "bb", "truth": "fake"}],
    ],
)
def test_what_is_no_key(tmp_path: Path, pictures: list) -> None:
    with pytest.raises(ValueError, match=r"key\.json is no key of a questionnaire"):
        score(key(tmp_path, pictures=pictures), [answers(tmp_path)])


def test_nobody_counts_twice(tmp_path: Path) -> None:
    path, copy = answers(tmp_path), answers(tmp_path, "b.json", person="a.json")
    for other in (path, copy):
        with pytest.raises(ValueError, match=r"a\.json and .*\.json are answers of the same person"):
            score(key(tmp_path), [path, other])
