"""The questionnaire: that its page is fair, and that people can answer it."""

from __future__ import annotations

import base64
import io
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from huenet.cli import main
from huenet.color_transfer.model import HueNet
from huenet.color_transfer.pages.questionnaire import QUALITY, SIDE, Questionnaire, make
from huenet.color_transfer.painter import Painter
from huenet.data import fit, image_to_tensor
from huenet.data.garden import garden
from tests.huenet.browser import SECONDS, complaints, fetched, screen, until
from tests.huenet.color_transfer.small import SMALL

pytestmark = pytest.mark.filterwarnings("ignore:skipped")  # of the damaged photo, wherever it is drawn


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten flowers of several sizes, as files of two formats; a copy, a grey one, and one that is damaged."""
    folder = tmp_path_factory.mktemp("flowers")
    drawn = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in garden(10, 48, seed=5).images]
    for number, image in enumerate(drawn):
        size = (48, 60 + number) if number % 2 else (420, 400)
        image.resize(size).save(folder / f"flower {number}.{'png' if number % 3 else 'jpg'}")
    (folder / "copy.png").write_bytes((folder / "flower 1.png").read_bytes())
    drawn[0].convert("L").save(folder / "grey.png")
    (folder / "damaged.png").write_bytes(b"\x89PNG")
    return folder


@pytest.fixture(scope="module")
def painter() -> Painter:
    torch.manual_seed(0)
    return Painter(HueNet(SMALL))


def photos(folder: Path) -> list[tuple[str, Path]]:
    return [(path.name, path) for path in sorted(folder.iterdir())]


def asked(painter: Painter, folder: Path, seed: int = 0) -> Questionnaire:
    """All that can be used of the folder."""
    return make(painter, photos(folder), 10, 3.0, seed)


def held(page: str) -> dict[str, Any]:
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL).group(1))


def shown(made: Questionnaire) -> dict[str, Image.Image]:
    pictures = held(made.page)["pictures"]
    return {each["id"]: Image.open(io.BytesIO(base64.b64decode(each["src"].split(",")[1]))) for each in pictures}


def test_it_is_balanced_and_no_photo_is_shown_twice(painter: Painter, flowers: Path) -> None:
    made = asked(painter, flowers)
    key = json.loads(made.key)["pictures"]
    assert sorted(picture["truth"] for picture in key) == ["fake"] * 5 + ["real"] * 5
    sources = [picture["source"] for picture in key]
    assert len({*sources} - {"grey.png", "damaged.png"}) == 10 and len({"copy.png", "flower 1.png"} & {*sources}) == 1
    assert all(picture["target"] != picture["source"] for picture in key if picture["truth"] == "fake")
    assert [picture["id"] for picture in key] == [picture["id"] for picture in held(made.page)["pictures"]]


def test_the_page_does_not_tell(painter: Painter, flowers: Path) -> None:
    """Neither by names nor by how pictures are stored: all have the same tables, sampling, and no data but pixels."""
    made = asked(painter, flowers)
    assert held(made.page).keys() == {"questionnaire", "seconds", "pictures"}
    assert all(
        picture.keys() == {"id", "src"} and re.fullmatch("[0-9a-f]{12}", picture["id"]) for picture in held(made.page)["pictures"]
    )
    assert not any(name in made.page for name, _ in photos(flowers))
    stored = {json.dumps([p.quantization, p.layer, p.mode, sorted(p.info), len(p.getexif())]) for p in shown(made).values()}
    assert len(stored) == 1


def test_painted_photos_went_the_same_way_and_were_painted(painter: Painter, flowers: Path) -> None:
    made = asked(painter, flowers)
    pictures, files = shown(made), dict(photos(flowers))

    def square(name: str) -> torch.Tensor:
        image = image_to_tensor(Image.open(files[name]))
        return fit(image, min(SIDE, *image.shape[-2:]))

    for entry in json.loads(made.key)["pictures"]:
        source = square(entry["source"])
        expected = (
            source if entry["truth"] == "real" else painter(source / 255, square(entry["target"]) / 255).mul(255).round().byte()
        )
        file = io.BytesIO()
        Image.fromarray(expected.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=QUALITY, subsampling=0)
        assert pictures[entry["id"]].tobytes() == Image.open(file).tobytes(), entry
        assert (expected != source).any() == (entry["truth"] == "fake")


def test_it_follows_from_the_seed(painter: Painter, flowers: Path) -> None:
    first, again, other = (asked(painter, flowers, seed=seed) for seed in (1, 1, 2))
    assert first == again and first.page != other.page
    assert json.loads(first.key)["questionnaire"] != json.loads(other.key)["questionnaire"]


@pytest.mark.parametrize(
    ("count", "seconds", "seed", "said"),
    [
        (12, 3, 0, "count 12 needs 12 photos with hues, as none is shown twice, got 10 that can be used"),
        (7, 3, 0, "count must be an even number of at least 2, half real and half painted, got 7"),
        (0, 3, 0, "count must be an even number"),
        (2, 0, 0, "seconds must be from 0.1 to 60, got 0"),
        (2, float("nan"), 0, "seconds must be from 0.1 to 60, got nan"),
        (2, 3, -1, "seed must be an integer >= 0, got -1"),
    ],
)
def test_bad_settings_are_named(painter: Painter, flowers: Path, count: int, seconds: float, seed: int, said: str) -> None:
    with pytest.raises(ValueError) as error:
        make(painter, photos(flowers), count, seconds, seed)
    assert said in str(error.value)


def test_photos_that_cannot_be_read_are_skipped_with_a_warning(painter: Painter, flowers: Path) -> None:
    some = [(name, path) for name, path in photos(flowers) if name in ("damaged.png", "flower 2.png", "flower 3.jpg")]
    with pytest.warns(UserWarning, match=r"skipped: .*damaged\.png"):
        for seed in range(8):  # of which one comes upon it before it has two
            assert "damaged" not in make(painter, some, 2, 1.0, seed).key


READY = "return !document.getElementById('real').disabled || !document.getElementById('done').hidden"


def visible(chrome: Any, name: str) -> bool:
    return chrome.find_element("id", name).is_displayed()


def saved(chrome: Any, downloads: Path) -> Path:
    """The file that the button saves, once it is there."""
    complete = lambda: {path for path in downloads.glob("*.json") if path.stat().st_size}  # noqa: E731  # empty until it is all there
    before = complete()
    chrome.find_element("id", "save").click()
    deadline = time.monotonic() + SECONDS
    while not (new := complete() - before):
        assert time.monotonic() < deadline, "nothing was saved"
        time.sleep(0.05)
    return new.pop()


def test_from_the_first_click_to_the_table(
    flowers: Path, trained: Path, chrome: Any, downloads: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Two people at one computer: one calls two of three painted photos fake, and reloads the page; one calls all photos real."""
    out = tmp_path / "out"
    options = ["--checkpoint", str(trained / "generator.safetensors"), "--data", str(flowers), "--device", "cpu"]
    assert main(["questionnaire", *options, "--out", str(out), "--count", "6", "--seconds", "0.4"]) == 0
    truths = {picture["id"]: picture["truth"] for picture in json.loads((out / "key.json").read_text())["pictures"]}
    fakes = [name for name in truths if truths[name] == "fake"]
    chrome.get((out / "index.html").as_uri())
    assert "6" in chrome.find_element("id", "total").text and not visible(chrome, "asking")
    chrome.find_element("id", "start").click()
    for number, name in enumerate(truths, 1):
        assert until(chrome, "return !document.getElementById('picture').hidden")
        assert not chrome.find_element("id", "real").is_enabled()
        until(chrome, READY)
        assert not visible(chrome, "picture") and chrome.find_element("id", "place").text == f"Picture {number} of 6"
        if number == 3:  # a reload: what was shown is not shown again, nor is anything lost
            chrome.refresh()
            until(chrome, READY)
            assert visible(chrome, "gone") and not visible(chrome, "picture")
            assert chrome.find_element("id", "place").text == "Picture 3 of 6"
        else:
            assert not visible(chrome, "gone")
        value = "fake" if name in fakes[:2] else "real"
        if number % 2:
            chrome.find_element("id", value).click()
        else:
            chrome.find_element("css selector", "body").send_keys(value[0])
    assert visible(chrome, "done")
    first = saved(chrome, downloads)
    content = json.loads(first.read_text())
    assert content["answers"] == {name: "fake" if name in fakes[:2] else "real" for name in truths}
    assert content["milliseconds"].keys() == truths.keys()
    capsys.readouterr()
    assert main(["questionnaire", "score", "--key", str(out / "key.json"), str(first)]) == 0
    # Wilson's intervals of 3 of 3: 3 / (3 + 3.8415); and of 1 of 3
    assert capsys.readouterr().out.splitlines()[2:4] == [
        "| real photos | 100 % (44 to 100) | 0 % (0 to 56) |",
        "| painted photos | 33 % (6 to 79) | 67 % (21 to 94) |",
    ]

    chrome.refresh()
    assert visible(chrome, "done"), "answers stay"
    first.unlink()
    first = saved(chrome, downloads)
    chrome.find_element("id", "again").click()
    assert visible(chrome, "intro")
    chrome.find_element("id", "start").click()
    for _ in truths:
        until(chrome, READY)
        chrome.find_element("id", "real").click()
    second = saved(chrome, downloads)
    assert json.loads(second.read_text())["person"] != content["person"]
    assert main(["questionnaire", "score", "--key", str(out / "key.json"), str(first), str(second)]) == 0
    printed = capsys.readouterr().out
    assert "| real photos | 100 %" in printed and "| painted photos | 67 %" in printed and "2 people" in printed
    assert complaints(chrome) == [] and fetched(chrome) <= {"file", "data", "blob"}


def test_a_picture_is_shown_for_its_time_and_answers_come_after(
    painter: Painter, flowers: Path, chrome: Any, tmp_path: Path
) -> None:
    """Keys pressed while it is shown do nothing."""
    page = tmp_path / "index.html"
    page.write_text(make(painter, photos(flowers), 2, 1.5, 0).page, encoding="utf-8")
    chrome.get(page.as_uri())
    chrome.execute_script(
        """window.times = [];
        new MutationObserver(() => times.push([performance.now(), document.getElementById("picture").hidden]))
          .observe(document.getElementById("picture"), { attributeFilter: ["hidden"] });"""
    )
    chrome.find_element("id", "start").click()
    until(chrome, "return !document.getElementById('picture').hidden")
    chrome.find_element("css selector", "body").send_keys("rf")
    until(chrome, READY)
    assert chrome.find_element("id", "place").text == "Picture 1 of 2"
    times = chrome.execute_script("return times")
    begin = next(at for at, hidden in times if not hidden)
    end = next(at for at, hidden in times if hidden and at > begin)
    assert 1490 < end - begin < 2500  # a timer is never early but for rounding, and late where the machine is busy


@pytest.mark.parametrize("width", [320, 1400])
def test_it_fits_every_screen(painter: Painter, flowers: Path, chrome: Any, tmp_path: Path, width: int) -> None:
    page = tmp_path / "index.html"
    page.write_text(make(painter, photos(flowers), 2, 0.2, 0).page, encoding="utf-8")
    screen(chrome, width, 700)
    chrome.get(page.as_uri())
    chrome.find_element("id", "start").click()
    until(chrome, READY)
    assert chrome.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert chrome.execute_script("return document.getElementById('real').getBoundingClientRect().bottom <= innerHeight")
