"""Training metrics as `metrics.csv` and for TensorBoard, with no step twice however often a run is killed and resumed."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from ..files import must_be_a_file, replacing

LONGEST = 10_000
"""Characters read of a line: more is none of ours, and may be all of a huge file."""


class MetricsLog:
    """One row per logged step. Opened after a resume at ``step``, it forgets what a killed run wrote beyond that step.

    ``last``: a column after the others that may be empty, and is added to a file that lacks it.
    """

    def __init__(self, folder: Path, columns: Sequence[str], step: int, last: str | None = None) -> None:
        from torch.utils.tensorboard import SummaryWriter  # of the extra `train`, and where used only

        self.columns = ["step", *columns, *([] if last is None else [last])]
        path = folder / "metrics.csv"
        _truncate(path, self.columns, step, last is not None)
        self._file: TextIO = path.open("a", newline="", encoding="utf-8", buffering=1)  # a row at a time
        self._csv = csv.DictWriter(self._file, self.columns)
        self._board = SummaryWriter(str(folder), purge_step=step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add a row; ``values`` has a number for every column, but for one that may be empty."""
        try:
            self._csv.writerow({"step": step, **values})
        except OSError as error:  # of a full disk, which does not say where
            raise OSError(error.errno, error.strerror, self._file.name) from error
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def flush(self) -> None:
        """Hand everything written so far to the operating system, where it survives this process."""
        self._file.flush()
        self._board.flush()

    def close(self) -> None:
        self._file.close()
        self._board.close()


def training_minutes(folder: Path, batch_size: int) -> float:
    """How long the training in ``folder`` took, stops not counted, which its log tells by images and images a second."""
    with (folder / "metrics.csv").open(encoding="utf-8") as file:
        rows = [(int(row["step"]), float(row["images_per_second"])) for row in csv.DictReader(file)]
    before = [0, *(step for step, _ in rows)]
    return sum((step - last) * batch_size / rate for (step, rate), last in zip(rows, before)) / 60


def _truncate(path: Path, columns: list[str], step: int, last_is_free: bool) -> None:
    """Keep the header and the complete rows up to ``step``; make the file where there is none."""
    kept: list[list[str]] = []
    if step > 0 and path.exists():
        kept = [row for row in _rows(path, columns, last_is_free) if int(row[0]) <= step]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *kept])


def _rows(path: Path, columns: list[str], last_is_free: bool) -> Iterator[list[str]]:
    """Complete rows, by ascending steps; a kill may have cut the last one. Raises ``ValueError`` naming the file and the line.

    Lines are taken apart at their commas: nothing in them is quoted, and `csv` would make one field of all that follows a stray
    quotation mark.
    """
    must_be_a_file(path)
    step, lacks_last = 0, False
    with path.open(encoding="utf-8-sig", errors="replace") as file:  # editors put marks before the first line
        for number, line in enumerate(iter(lambda: file.readline(LONGEST), ""), start=1):
            row, wanted = line.rstrip("\n").split(","), None
            if number == 1:
                lacks_last = last_is_free and row == columns[:-1]
                wanted = ",".join(columns) if row != columns and not lacks_last else None
            elif row == [""]:
                continue
            elif not _is_row(row, len(columns) - lacks_last, last_is_free and not lacks_last):
                if not line.endswith("\n") and len(line) < LONGEST:
                    return
                wanted = f"a step and {len(columns) - 1 - lacks_last} numbers"
            elif int(row[0]) <= step:
                wanted = f"a step above {step}"
            else:
                step = int(row[0])
                yield [*row, ""] if lacks_last else row
            if wanted is not None:
                got = f"{line.rstrip()[:60]!r}: mend the line, or move the file away to begin another"
                raise ValueError(f"{path}, line {number}: expected {wanted}, got {got}")


def _is_row(row: list[str], columns: int, last_is_free: bool) -> bool:
    numbers = row[:-1] if last_is_free and row[-1] == "" else row
    try:
        return (
            len(row) == columns and numbers[0].isdecimal() and int(row[0]) > 0 and all(math.isfinite(float(one)) for one in numbers)
        )
    except ValueError:
        return False
