"""Training metrics as `metrics.csv` and for TensorBoard, with no step twice however often a run is killed and resumed."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from torch.utils.tensorboard import SummaryWriter

from ..files import replacing


class MetricsLog:
    """One row per logged step. Opened after a resume at ``step``, it forgets what a killed run wrote beyond that step."""

    def __init__(self, folder: Path, columns: Sequence[str], step: int) -> None:
        self.columns = ["step", *columns]
        path = folder / "metrics.csv"
        _truncate(path, self.columns, step)
        self._file: TextIO = path.open("a", newline="", encoding="utf-8", buffering=1)  # a row at a time
        self._csv = csv.DictWriter(self._file, self.columns)
        self._board = SummaryWriter(str(folder), purge_step=step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add a row; ``values`` has a number for every column."""
        self._csv.writerow({"step": step, **values})
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def flush(self) -> None:
        """Hand everything written so far to the operating system, where it survives this process."""
        self._file.flush()
        self._board.flush()

    def close(self) -> None:
        self._file.close()
        self._board.close()


def _truncate(path: Path, columns: list[str], step: int) -> None:
    """Keep the header and the complete rows up to ``step``; make the file where there is none."""
    kept: list[list[str]] = []
    if step > 0 and path.exists():
        kept = [row for number, row in _rows(path, len(columns)) if number <= step]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *kept])


def _rows(path: Path, columns: int) -> Iterator[tuple[int, list[str]]]:
    """Complete rows with their steps; a kill may have cut the last one. Raises ``ValueError`` naming the file and the line."""
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = list(csv.reader(line.replace("\0", "\ufffd") for line in file))
    for line, row in enumerate(rows[1:], start=2):
        if len(row) == columns and row[0].isdecimal():
            yield int(row[0]), row
        elif line < len(rows) and row:
            found = f"expected a step and {columns - 1} numbers, got {','.join(row)[:60]!r}"
            raise ValueError(f"{path}, line {line}: {found}: mend the line, or move the file away to begin another")
