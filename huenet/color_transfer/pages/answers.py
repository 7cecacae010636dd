"""What people answered to a questionnaire: how often real and painted photos were called real, and how sure that is.

    print(score(Path("key.json"), [Path("answers-1.json"), Path("answers-2.json")]).as_markdown())

prints the table, and how many people it is of.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm, t

from ...files import must_be_a_file
from .questionnaire import FAKE, REAL

LEVEL = 0.95
MOST_BYTES = 10_000_000
"""Of a key or of answers, which take a hundred bytes a picture."""
_TITLES = {REAL: "real photos", FAKE: "painted photos"}


@dataclass(frozen=True)
class Score:
    """`shares`: of photos that are "real" and "fake" in truth, the share that each person called real, (people,) each. `pictures`:
    how many of each kind every person saw."""

    shares: dict[str, np.ndarray]
    pictures: int

    def as_markdown(self) -> str:
        """A table: of real and of painted photos, the share called real and the share called fake, with 95 % intervals."""
        lines = ["| | called real | called fake |", "| --- | ---: | ---: |"]
        for truth, title in _TITLES.items():
            share, (low, high) = self.shares[truth].mean(), interval(self.shares[truth], self.pictures)
            lines.append(f"| {title} | {_percent(share, low, high)} | {_percent(1 - share, 1 - high, 1 - low)} |")
        people = len(self.shares[REAL])
        answers = f"{people} {'person' if people == 1 else 'people'}, {self.pictures} real and {self.pictures} painted photos each."
        how = "Wilson's" if people == 1 else "Wilson's, of as many answers as those of different people are worth"
        note = f"{answers} In brackets: 95 % intervals ({how})."
        if people == 1:
            note += " They speak of this person only."
        return "\n".join([*lines, "", note])


def score(key: Path, answers: Sequence[Path]) -> Score:
    """Raises ``ValueError`` naming the file for one that is damaged, of another questionnaire, incomplete, or of a person of whom
    another file is; ``OSError`` where one cannot be opened."""
    if not answers:
        raise ValueError("answers must be at least one file, got none")
    name, truths = _read_key(key)
    people: dict[str, Path] = {}
    shares: dict[str, list[float]] = {REAL: [], FAKE: []}
    for path in answers:
        person, given = _read_answers(path, name, truths)
        if person in people:
            raise ValueError(f"{people[person]} and {path} are answers of the same person: give one of them")
        people[person] = path
        for truth, found in shares.items():
            of_truth = [given[picture] == REAL for picture in truths if truths[picture] == truth]
            found.append(sum(of_truth) / len(of_truth))
    return Score({truth: np.array(found) for truth, found in shares.items()}, len(truths) // 2)


def interval(shares: np.ndarray, answers: int) -> tuple[float, float]:
    """The 95 % interval of the mean of people's shares, (people,), each of that many answers.

    Of one person it is Wilson's (1927). Of several it is Wilson's with the number of independent answers that theirs are worth, as
    in surveys of clusters: p (1 - p) over the variance of the mean between people, times (z / t)² as that variance comes from few
    people, and at most all answers (Korn and Graubard, "Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data", 1998; Franco, Little, Louis and Slud, "Comparative study of confidence intervals for
    proportions in complex sample surveys", 2019). Answers of one person are alike; Wilson's interval of all of them would be too
    narrow, and a bootstrap over people is so too where they are few.
    """
    people, total, share = len(shares), len(shares) * answers, float(np.mean(shares))
    quantile = float(norm.ppf(0.5 + LEVEL / 2))
    worth = float(total)
    if people > 1 and 0 < share < 1:
        variance = float(np.var(shares, ddof=1)) / people
        scale = (quantile / float(t.ppf(0.5 + LEVEL / 2, people - 1))) ** 2
        worth = min(total, share * (1 - share) / variance * scale) if variance else worth
    return _wilson(share, worth, quantile)


def _wilson(share: float, count: float, quantile: float) -> tuple[float, float]:
    square = quantile**2 / count
    middle = (share + square / 2) / (1 + square)
    half = quantile * math.sqrt(share * (1 - share) / count + square / (4 * count)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def _percent(share: float, low: float, high: float) -> str:
    return f"{100 * share:.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def _read_key(path: Path) -> tuple[str, dict[str, str]]:
    """The questionnaire's name, and of each picture whether it is real."""
    content = _read(path)
    try:
        name, pictures = content["questionnaire"], content["pictures"]
        truths = {picture["id"]: picture["truth"] for picture in pictures}
        kinds = sorted(truths.values())
        good = isinstance(name, str) and kinds and len(truths) == len(pictures)
        good = good and kinds == [FAKE] * (len(kinds) // 2) + [REAL] * (len(kinds) // 2)
    except (KeyError, TypeError):
        good = False
    if not good:
        raise ValueError(f"{path} is no key of a questionnaire: key.json, which huenet questionnaire writes, is needed")
    return name, truths


def _read_answers(path: Path, questionnaire: str, truths: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Who answered, and what of each picture."""
    content = _read(path)
    try:
        name, person, given = content["questionnaire"], content["person"], content["answers"]
        good = isinstance(person, str) and isinstance(given, dict) and all(value in (REAL, FAKE) for value in given.values())
    except (KeyError, TypeError):
        good = False
    if not good:
        raise ValueError(f"{path} has no answers to a questionnaire: a file that its page saved is needed")
    if name != questionnaire:
        raise ValueError(f"{path} answers another questionnaire, {name}: the key is of {questionnaire}")
    if missing := truths.keys() - given.keys():
        raise ValueError(f"{path} lacks answers to {len(missing)} of {len(truths)} pictures")
    if given.keys() - truths.keys():
        raise ValueError(f"{path} has answers to pictures that the questionnaire does not have")
    return person, given


def _read(path: Path) -> Any:
    must_be_a_file(path)
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path} is larger than answers are: {path.stat().st_size} bytes")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # of the encoding, or of JSON
        raise ValueError(f"{path} is damaged or no JSON: {error}") from error
