"""The report of an evaluation, and what a browser makes of it."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from huenet.color_transfer.evaluation import Evaluation, compared, evaluate
from huenet.color_transfer.pages.report import BYTES, report
from huenet.data import Photos
from huenet.data.garden import garden
from tests.huenet.browser import complaints, fetched, screen, until

HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror='window.hacked=1'>.png"
PAIRS = 12


def swapped(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Red for blue, whatever the target: of some pairs it makes the distance less, of others more."""
    return source.flip(1)


@pytest.fixture(scope="module")
def photos() -> Photos:
    flowers = dataclasses.replace(garden(6, 36, seed=1), size=32)
    grey = flowers.images.clone()
    grey[5] = grey[5].float().mean(0).byte()
    return dataclasses.replace(flowers, images=grey, names=(HOSTILE, *flowers.names[1:]))


@pytest.fixture(scope="module")
def evaluation(photos: Photos) -> Evaluation:
    return evaluate(swapped, photos, PAIRS, seed=3)


@pytest.fixture(scope="module")
def page(evaluation: Evaluation, photos: Photos, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "index.html"
    path.write_text(report(evaluation, photos, compared(swapped)), encoding="utf-8")
    return path


def held(text: str) -> dict[str, Any]:
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL).group(1))


def numbers(chrome: Any, key: str) -> list[float | None]:
    """A column of the table as it is shown; None for a dash."""
    script = f"return [...document.querySelectorAll('#rows td[data-key={key}]')].map(cell => cell.firstChild.textContent)"
    return [None if text == "\u2013" else float(text) for text in chrome.execute_script(script)]


def order(chrome: Any) -> list[int]:
    return [
        int(text)
        for text in chrome.execute_script("return [...document.querySelectorAll('#rows td.open')].map(c => c.textContent)")
    ]


def press(chrome: Any, selector: str) -> None:
    chrome.find_element("css selector", selector).click()


def keys(chrome: Any, *pressed: str) -> None:
    from selenium.webdriver import ActionChains

    ActionChains(chrome).send_keys(*pressed).perform()


def test_it_has_every_pair_with_its_numbers(page: Path, evaluation: Evaluation) -> None:
    data = held(page.read_text(encoding="utf-8"))
    assert [method["title"] for method in data["methods"]] == ["Hue-Net", "Reinhard (Lab)", "hue histogram matching"]
    assert len(data["pairs"]) == len(evaluation.pairs) == PAIRS
    for pair, row in zip(data["pairs"], evaluation.pairs):
        assert data["photos"][pair["source"]]["name"] == row["source"] and data["photos"][pair["target"]]["name"] == row["target"]
        assert pair["emd"] == pytest.approx(row["emd_target_source"], abs=1e-5)  # of five digits
        for output, values in zip(pair["outputs"], (row, row["reinhard"], row["matching"]), strict=True):
            assert output["emd"] == pytest.approx(values["emd_target_output"], abs=1e-5)
            assert output["mi"] == pytest.approx(values["mi_source_output"], abs=1e-5)
            assert sum(output["hues"]) == pytest.approx(10_000, abs=32)  # each of 64 is rounded by half at most


def test_of_many_pairs_it_has_the_worst(photos: Photos) -> None:
    result = evaluate(swapped, photos, 20, seed=3)
    text = report(result, photos, compared(swapped), most=6)
    shown = [pair["number"] - 1 for pair in held(text)["pairs"]]
    ratios = [0.0 if row.get("without_hue") else row["emd_target_output"] / row["emd_target_source"] for row in result.pairs]
    worst = sorted(range(20), key=ratios.__getitem__)[-3:]
    assert len(shown) == 6 and {*worst} < {*shown} and shown == sorted(shown)
    assert {*shown} - {*worst} == {*[number for number in range(20) if number not in worst][:3]}
    assert "6 of 20 pairs: the worst 3, and the first of the others" in text and "All are in table1.json" in text


def test_its_size_is_kept() -> None:
    """Noise is what JPEG files are largest of."""
    noise = torch.randint(256, (5, 3, 256, 256), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    photos = Photos(noise, tuple("abcde"))
    result = evaluate(swapped, photos, 6, bins=16)
    large = report(result, photos, compared(swapped))
    assert held(large)["size"] == 256 and len(large) < 4 / 3 * BYTES
    small = report(result, photos, compared(swapped), bytes_=200_000)
    pictures = sum(map(len, re.findall(r"data:image/jpeg;base64,[^\"]*", small)))
    assert held(small)["size"] < 256 and pictures < 1.2 * 4 / 3 * 200_000  # it is foretold from photos, not outputs


def test_a_browser_shows_it_without_a_word_and_without_network(page: Path, chrome: Any) -> None:
    chrome.get(page.as_uri())
    assert order(chrome) == [*range(1, PAIRS + 1)]
    until(
        chrome,
        "return [...document.querySelectorAll('#rows tr:first-child img')].every(image => image.naturalWidth === 32)",
    )
    press(chrome, "#rows button")
    assert not chrome.execute_script("return window.hacked")
    assert HOSTILE in chrome.execute_script("return document.body.textContent")
    assert complaints(chrome) == [] and fetched(chrome) <= {"file", "data"}


def test_every_column_sorts_both_ways(page: Path, chrome: Any) -> None:
    chrome.get(page.as_uri())
    for key in ("before", "after", "ratio", "mi_before", "mi"):
        for way in ("ascending", "descending"):
            press(chrome, f"th[data-key={key}] button")
            assert chrome.execute_script(f"return document.querySelector('th[data-key={key}]').ariaSort") == way
            shown = numbers(chrome, key)
            known = [number for number in shown if number is not None]
            assert known == sorted(known, reverse=way == "descending") and len({*known}) > 2
            assert shown == known + [None] * (PAIRS - len(known)), "what is not known comes last"
    press(chrome, "th[data-key=source] button")
    names = chrome.execute_script(
        "return [...document.querySelectorAll('#rows tr')].map(r => r.querySelector('.name').textContent)"
    )
    assert names == sorted(names) and len({*names}) > 2
    press(chrome, "th[data-key=number] button")
    assert order(chrome) == [*range(1, PAIRS + 1)]


def test_the_worst_are_one_click_away(page: Path, chrome: Any, evaluation: Evaluation) -> None:
    chrome.get(page.as_uri())
    ratios = {
        number: row["emd_target_output"] / row["emd_target_source"]
        for number, row in enumerate(evaluation.pairs, 1)
        if not row.get("without_hue")
    }
    worst_first = sorted(ratios, key=ratios.get, reverse=True)
    press(chrome, "[data-view=worst]")
    assert order(chrome)[: len(ratios)] == worst_first and len(ratios) < PAIRS
    press(chrome, "[data-view=best]")
    assert order(chrome)[: len(ratios)] == worst_first[::-1]
    press(chrome, "[data-view=worse]")
    worse = [number for number in worst_first if ratios[number] > 1]
    assert order(chrome) == worse and 0 < len(worse) < len(ratios)
    assert f"Made worse ({len(worse)})" in chrome.find_element("css selector", "[data-view=worse]").text
    press(chrome, "th[data-key=number] button")
    assert order(chrome) == sorted(worse), "it sorts what is shown"


def test_other_methods_take_the_place_of_the_model(page: Path, chrome: Any, evaluation: Evaluation) -> None:
    chrome.get(page.as_uri())
    chrome.execute_script("const s = document.getElementById('method'); s.value = '2'; s.dispatchEvent(new Event('change'))")
    expected = [round(row["matching"]["emd_target_output"], 3) for row in evaluation.pairs]
    assert numbers(chrome, "after") == pytest.approx(expected, abs=0.0011)  # both are rounded


def test_source_and_output_are_compared_by_a_slider(page: Path, chrome: Any) -> None:
    """Dragged, and by the keyboard alone."""
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    chrome.get(page.as_uri())
    at = "return getComputedStyle(document.getElementById('under')).clipPath"
    chrome.execute_script("document.querySelector('#rows button').focus()")
    keys(chrome, Keys.ENTER)
    assert until(chrome, "return document.getElementById('look').open")
    assert "50%" in chrome.execute_script(at)
    keys(chrome, *[Keys.ARROW_RIGHT] * 4)
    assert chrome.execute_script("return document.getElementById('slider').value") == "52" and "48%" in chrome.execute_script(at)
    slider = chrome.find_element("id", "slider")
    width = slider.size["width"]
    ActionChains(chrome).move_to_element(slider).click_and_hold().move_by_offset(int(-0.3 * width), 0).release().perform()
    assert float(slider.get_attribute("value")) == pytest.approx(20, abs=3)  # a thumb of 16 pixels is dragged by its middle
    assert f"{100 - float(slider.get_attribute('value')):g}%" in chrome.execute_script(at)
    keys(chrome, "n")
    assert "Pair 2" in chrome.find_element("id", "look-title").text and chrome.current_url.endswith("#pair-2")
    keys(chrome, "p", Keys.ESCAPE)
    assert not chrome.execute_script("return document.getElementById('look').open")
    assert chrome.execute_script("return document.activeElement.textContent") == "1", "where it was left"


def test_a_pair_has_an_address(page: Path, chrome: Any) -> None:
    chrome.get(f"{page.as_uri()}#pair-7")
    assert "Pair 7" in chrome.find_element("id", "look-title").text


def test_histograms_are_drawn_in_their_hues(page: Path, chrome: Any) -> None:
    chrome.get(page.as_uri())
    first = held(page.read_text(encoding="utf-8"))
    shares = first["photos"][first["pairs"][0]["source"]]["hues"]
    until(chrome, "return document.querySelector('#rows canvas').ariaLabel")
    column = chrome.execute_script(
        """const canvas = document.querySelector('#rows canvas'), { width, height } = canvas;
        const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data, found = [];
        for (let bin = 0; bin < 64; bin++) {
          const x = Math.floor((bin + 0.5) * width / 64), strip = Math.max(2, Math.round(height * 0.07));
          let high = 0;
          for (let y = 0; y < height - 2 * strip; y++) high += pixels[4 * (y * width + x) + 3] > 0;
          const last = 4 * ((height - 1) * width + x);
          found.push([high, pixels[last], pixels[last + 1], pixels[last + 2]]);
        }
        return found;"""
    )
    heights = [high for high, *_ in column]
    assert max(heights) > 5 and heights.index(max(heights)) == shares.index(max(shares))
    assert sum(high > 0 for high in heights) >= sum(share == max(shares) for share in shares)
    for bin_, channel in ((0, 0), (21, 1), (42, 2)):  # red, green, blue
        assert max(column[bin_][1:]) == column[bin_][1 + channel]


@pytest.mark.parametrize("width", [320, 400, 800, 1400])
def test_it_fits_every_screen(page: Path, chrome: Any, width: int) -> None:
    screen(chrome, width)
    chrome.get(page.as_uri())
    assert chrome.execute_script("return document.documentElement.scrollWidth") <= width
    if width < 1000:  # where columns have no heads to press
        chrome.execute_script(
            "const s = document.getElementById('sort'); s.value = 'ratio down'; s.dispatchEvent(new Event('change'))"
        )
        assert chrome.find_element("id", "sort").is_displayed() and order(chrome) != [*range(1, PAIRS + 1)]
    press(chrome, "#rows button")
    inside = "return document.getElementById('look').scrollWidth <= innerWidth"
    assert chrome.execute_script(inside)


def test_it_is_light_or_dark(page: Path, chrome: Any) -> None:
    lightness = {}
    for scheme in ("light", "dark"):
        screen(chrome, 1000, scheme=scheme)
        chrome.get(page.as_uri())
        script = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
        lightness[scheme] = [sum(map(int, re.findall(r"\d+", color)[:3])) for color in chrome.execute_script(script)]
    assert lightness["light"][0] > 600 > 200 > lightness["light"][1]
    assert lightness["dark"][0] < 200 < 600 < lightness["dark"][1]
