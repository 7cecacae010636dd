"""What is made of runs: statuses, tables, README, comparison, plots, and a real one of two cases."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command
from bench import page, plots, providers, readme, results, run, tables
from bench.cases import Case
from bench.compare import compare
from bench.run import EFFORTS, Measurement
from bench.summary import summary
from bench.worker import Failure, Worker
from tests.bench.made_up import row

Make = Callable[..., dict[str, Any]]


def test_summary_shows_ratios_failures_and_who_is_missing(results: dict[str, Any]) -> None:
    page = summary(results)
    assert "| 64x64, batch 1, K=256 | 2 ms, 8.4 MB | 80 ms (40x), 168 MB (20x) | *wrong* |" in page
    assert "kornia, soft_histogram, 64x64, batch 1, K=256: wrong: the gradient of x is off by 3.0e-01" in page
    assert "Not measured here: MONAI is not installed." in page
    assert "busy" not in page
    results["machine"]["load"] = 4.0
    assert "**The machine was busy**: load 4.0 on 2 cores" in summary(results)


def test_a_provider_without_gradient_is_compared_by_its_forward_pass(make_results: Make) -> None:
    forward_only = row(1.0)
    del forward_only["backward"]
    forward_only["forward"] = forward_only["both"]
    (case,) = make_results(torch=row(4.0), histc=forward_only)["cases"]
    assert tables.speedup(case, "histc", "torch") == pytest.approx(0.5)


def test_small_peaks_give_no_ratio(make_results: Make) -> None:
    (case,) = make_results(torch=row(4.0, 1000), naive=row(4.0, 10 << 20))["cases"]
    assert tables.memory_ratio(case, "naive", "torch") is None


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (row(2.02), None),
        (row(1.0), None),
        (row(2.6), "forward 1.30 times as long"),
        (row(2.0, 40 << 20), "5.00 times the memory"),
        ({"status": "wrong", "reason": "the result is off by 1"}, "wrong: the result is off by 1"),
    ],
)
def test_compare_finds_regressions(make_results: Make, after: dict[str, Any], found: str | None) -> None:
    (change,) = compare(make_results(torch=row(2.0)), make_results(torch=after), threshold=0.1)
    assert change.regression is None if found is None else change.regression.startswith(found)


def test_a_slower_median_within_the_noise_is_no_regression(make_results: Make) -> None:
    noisy = row(2.3)
    for part in ("forward", "backward", "both"):
        noisy[part]["p25"] = 0.5 * noisy[part]["median"]
    (change,) = compare(make_results(torch=row(2.0)), make_results(torch=noisy), threshold=0.1)
    assert change.regression is None


def test_compare_exits_with_one_on_a_regression(make_results: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, milliseconds in (("before", 2.0), ("after", 3.0)):
        results.save(make_results(torch=row(milliseconds)), tmp_path / name)
    paths = [str(tmp_path / name) for name in ("before", "after")]
    assert command.main(["compare", *paths]) == 1
    assert "1 of 1 regressed by more than 10%" in capsys.readouterr().out
    assert command.main(["compare", *reversed(paths)]) == 0
    assert command.main(["compare", *paths, "--threshold", "0.6"]) == 0


def test_runs_without_a_common_case_do_not_compare(make_results: Make) -> None:
    other = make_results(torch=row(2.0))
    other["cases"][0]["bins"] = 64
    with pytest.raises(ValueError, match="no case in common"):
        compare(make_results(torch=row(2.0)), other, threshold=0.1)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["compare", "only_one.json"], "compare needs two runs, or --base, got 1 runs"),
        (["plot", "missing.json"], "cannot read missing.json: No such file"),
        (["compare", "--base", "no-such-revision"], "--base must be a revision of this repository, got no-such-revision"),
        (["run", "--suite", "gpu", "--device", "cpu"], "--suite gpu needs a GPU"),
        (["run", "--threads", "0"], "--threads must be at least 1, got 0"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("bench: ") and complaint in told and told.count("\n") == 1


def test_other_files_are_not_taken_for_results(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    for content in (b"{", b"[]", json.dumps({"schema": 0}).encode(), b"\x89PNG", b"[" * 100_000):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"results\.json"):
            results.load(tmp_path)


def test_readme_section_is_generated_and_checked(make_results: Make, tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"before\n\n{readme.BEGIN}\nold\n{readme.END}\n\nafter\n")
    results.save(make_results(torch=row(2.0), naive=row(80.0, 160 << 20)), tmp_path / "cpu")
    assert not readme.update(check=True, readme=page, folder=tmp_path)
    assert "old" in page.read_text()
    readme.update(check=False, readme=page, folder=tmp_path)
    assert readme.update(check=True, readme=page, folder=tmp_path)
    text = page.read_text()
    assert text.startswith("before\n\n") and text.endswith("\n\nafter\n") and "old" not in text
    assert "| soft histogram, 64x64, batch 1, K=256 | 2 ms, 8.4 MB | 80 ms (40x), 168 MB (20x) |  |  |" in text


def test_the_fastest_library_has_the_column(make_results: Make, tmp_path: Path) -> None:
    results.save(make_results(torch=row(2.0), kornia=row(90.0, 80 << 20), monai=row(60.0, 80 << 20)), tmp_path / "cpu")
    assert "|  |  | MONAI 60 ms (30x), 84 MB (10x) |" in readme.section(tmp_path)


def test_the_page_has_a_row_for_each_rival(make_results: Make, tmp_path: Path) -> None:
    results.save(make_results(torch=row(2.0), naive=row(80.0, 160 << 20), monai=row(60.0, 80 << 20)), tmp_path / "cpu")
    text = page.page(tmp_path)
    where = "soft histogram, 64x64, batch 1, K=256"
    assert f"| MONAI | 1 | 30x | 10x | 30x, {where} | 30x, {where} |  |" in text and "| naive PyTorch | 1 | 40x |" in text
    assert "`make gpu` makes this section" in text
    with pytest.raises(ValueError, match="no results"):
        page.page(tmp_path / "nowhere")


def test_readme_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="once each"):
        readme.replaced("nothing to replace", "")


def test_the_projects_readme_shows_its_results() -> None:
    if not any((results.FOLDER / name / results.FILE).exists() for name in readme.SUITES):
        pytest.skip("no committed results")
    assert readme.update(check=True), "run `python -m bench readme`"


def test_an_uninstalled_library_is_shown_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers.importlib.util, "find_spec", lambda name: None)
    assert providers.unavailable("monai", "cpu") == "monai is not installed"
    assert providers.unavailable("triton", "cpu") == "needs a GPU"
    assert providers.unavailable("torch", "cpu") is None


class Pretended:
    """A worker whose first call takes so many seconds, or fails."""

    def __init__(self, seconds: float | Failure) -> None:
        self.seconds, self.asked = seconds, []

    def ask(self, method: str, *arguments: Any, timeout: float) -> Any:
        self.asked.append(method)
        if isinstance(self.seconds, Failure):
            raise self.seconds
        if method == "prepare":
            return {"seconds": self.seconds, "errors": {"result": 0.0, "gradient": 0.0}}
        return ([(self.seconds / 2, self.seconds / 2)] * arguments[1], None) if method == "block" else None

    def stop(self) -> None:
        pass


def measurement(monkeypatch: pytest.MonkeyPatch, **workers: Pretended) -> Measurement:
    monkeypatch.setattr(run, "unavailable", lambda name, device: None if name in workers else "not here")
    monkeypatch.setattr(run, "Worker", lambda name, device, threads: workers[name])
    return Measurement("cpu", 1, EFFORTS["cpu"])


def test_a_size_that_would_take_too_long_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    naive = Pretended(3.0)
    measured = measurement(monkeypatch, naive=naive, torch=Pretended(0.01))
    assert measured.case(Case("soft_histogram", side=512))["naive"]["status"] == "timed"
    naive.asked.clear()
    for side, predicted in ((1024, "12 s"), (2048, "48 s")):
        rows = measured.case(Case("soft_histogram", side=side))
        assert rows["naive"]["status"] == "over time" and predicted in rows["naive"]["reason"]
        assert rows["torch"]["status"] == "timed"
    assert not naive.asked


def test_what_pairs_points_is_foretold_by_their_square(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = measurement(monkeypatch, naive=Pretended(3.0))
    assert measured.case(Case("harmonic_energy", side=32))["naive"]["status"] == "timed"
    assert (
        "about 48 s a call, by its time for N=1024, batch 1" in measured.case(Case("harmonic_energy", side=64))["naive"]["reason"]
    )


@pytest.mark.parametrize("status", ["out of memory", "wrong", "failed", "over time"])
def test_a_provider_that_fails_is_shown_and_the_others_timed(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    measured = measurement(monkeypatch, naive=Pretended(Failure(status, "because")), torch=Pretended(0.01))
    rows = measured.case(Case("soft_histogram"))
    assert rows["naive"] == {"status": status, "reason": "because"}
    assert rows["torch"]["status"] == "timed" and rows["torch"]["both"]["n"] == 3


def test_a_worker_survives_what_its_process_does_not() -> None:
    """In processes: a result, an error told in one line, too much memory, a death and a delay; then a result again."""
    worker = Worker("naive", "cpu", 1)
    small = Case("soft_histogram", side=8, bins=8)
    try:
        assert worker.ask("prepare", small, timeout=60)["errors"]["result"] < 1e-4
        times, _ = worker.ask("block", 0.0, 2, 5, True, timeout=60)
        assert len(times) == 2
        with pytest.raises(Failure, match="KeyError") as caught:
            worker.ask("prepare", Case("no such operator"), timeout=60)
        assert caught.value.status == "failed"
        huge = Case("soft_histogram", side=1 << 17, bins=1 << 10)
        with pytest.raises(Failure) as caught:
            worker.ask("prepare", huge, timeout=60)
        assert caught.value.status == "out of memory"
        with pytest.raises(Failure, match="no answer in 0 s") as caught:
            worker.ask("prepare", Case("soft_histogram", side=256), timeout=0.01)
        assert caught.value.status == "over time"
        worker.ask("release", timeout=60)
        worker._process.kill()
        with pytest.raises(Failure, match="died"):
            worker.ask("release", timeout=60)
        worker.ask("release", timeout=60)
    finally:
        worker.stop()


def test_a_real_run_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two providers on one small case, into JSON, a page and plots."""
    monkeypatch.setattr(
        run, "suite", lambda name: [Case("soft_histogram", side=side, bins=32, tier="all") for side in (16, 32, 64)]
    )
    monkeypatch.setattr(run, "unavailable", lambda name, device: None if name in ("torch", "naive") else "left out")
    monkeypatch.setattr(run.machine, "rates", lambda device: {"bandwidth": 1e10, "float32": 1e11})
    saved, save = [], results.save
    monkeypatch.setattr(results, "save", lambda found, folder: saved.append(found) or save(found, folder))
    assert command.main(["run", "--suite", "quick", "--device", "cpu", "--threads", "1", "--out", str(tmp_path)]) == 0
    # after every case, in case it is the last
    assert [bool(found.get("interrupted")) for found in saved] == [True, True, True, False]
    found = results.load(tmp_path)
    assert [set(case["rows"]) for case in found["cases"]] == [{"torch", "naive"}] * 3
    for case in found["cases"]:
        for provider in case["rows"].values():
            assert provider["status"] == "timed" and provider["both"]["n"] >= 1
            assert provider["both"]["min"] <= provider["both"]["median"] <= provider["both"]["p90"]
    assert {"samples.png", "speedup.png", "summary.md"} <= {file.name for file in tmp_path.iterdir()}
    assert command.main(["plot", str(tmp_path / "results.json")]) == 0


def test_every_provider_has_a_style() -> None:
    assert set(plots.STYLES) == set(providers.PROVIDERS)
