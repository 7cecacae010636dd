"""How files go bad: manglings of bytes, of pictures that know their format, of checkpoints and of tables."""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

Bytes = Callable[[random.Random, bytes], bytes]


def _place(rng: random.Random, content: bytes) -> int:
    return rng.randrange(len(content)) if content else 0


def cut(rng: random.Random, content: bytes) -> bytes:
    return content[: _place(rng, content)]


def cut_at_the_end(rng: random.Random, content: bytes) -> bytes:
    return content[: -rng.randint(1, 16)]


def flip_bits(rng: random.Random, content: bytes, within: int | None = None) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 3, 20))):
        if changed:
            changed[rng.randrange(min(len(changed), within or len(changed)))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flip_header(rng: random.Random, content: bytes) -> bytes:
    return flip_bits(rng, content, within=rng.choice((16, 64, 256)))


def overwrite(rng: random.Random, content: bytes) -> bytes:
    start, length = _place(rng, content), rng.choice((1, 4, 64, 1000))
    what = rng.choice((b"\0", b"\xff", rng.randbytes(1))) * length if rng.random() < 0.7 else rng.randbytes(length)
    return content[:start] + what[: len(content) - start] + content[start + length :]


def take_out(rng: random.Random, content: bytes) -> bytes:
    start = _place(rng, content)
    return content[:start] + content[start + rng.choice((1, 2, 100)) :]


def put_in(rng: random.Random, content: bytes) -> bytes:
    start = _place(rng, content)
    return content[:start] + rng.randbytes(rng.choice((1, 2, 100))) + content[start:]


def lengthen(rng: random.Random, content: bytes) -> bytes:
    return content + rng.choice((b"\0" * 5000, rng.randbytes(100), content))


def nothing(rng: random.Random, content: bytes) -> bytes:
    return b""


def noise(rng: random.Random, content: bytes) -> bytes:
    return rng.randbytes(rng.choice((1, 8, 1000)))


def text(rng: random.Random, content: bytes) -> bytes:
    return rng.choice(
        (b"<!DOCTYPE html><html>404</html>", b"version https://git-lfs.github.com/spec/v1\n", "Blüte\n".encode("utf-16"))
    )


_CUTS = (cut, cut, cut_at_the_end, take_out, put_in, lengthen, nothing, noise, text)
ANY: tuple[Bytes, ...] = (*_CUTS, flip_bits, flip_bits, flip_header, flip_header, overwrite)


def header_of_another(rng: random.Random, content: bytes, other: bytes) -> bytes:
    length = rng.choice((4, 16, 64, 200))
    return other[:length] + content[length:]


HUGE = (0, 1, 20_000, 65_535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def huge(rng: random.Random, content: bytes) -> bytes:
    """Other widths and heights, where the format says them."""
    width, height = rng.choice(HUGE), rng.choice(HUGE)
    if content.startswith(b"\x89PNG"):
        header = struct.pack(">II", width, height) + content[24:29]
        return content[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + content[33:]
    if content.startswith(b"GIF"):
        return content[:6] + struct.pack("<HH", width & 0xFFFF, height & 0xFFFF) + content[10:]
    if content.startswith(b"BM"):
        return content[:18] + struct.pack("<II", width, height) + content[26:]
    if content.startswith(b"\xff\xd8"):
        frame = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))
        return content[: frame + 5] + struct.pack(">HH", height & 0xFFFF, width & 0xFFFF) + content[frame + 9 :]
    if content.startswith((b"P5", b"P6")):
        first, _, rest = content.split(b"\n", 2)
        return b"\n".join([first, f"{width} {height}".encode(), rest])
    if content.startswith(b"II*\0"):
        return _huge_tiff(content, {256: width, 257: height})
    return flip_header(rng, content)


def _huge_tiff(content: bytes, values: dict[int, int]) -> bytes:
    changed = bytearray(content)
    start = struct.unpack_from("<I", content, 4)[0]
    for entry in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", content, start)[0], 12):
        tag = struct.unpack_from("<H", content, entry)[0]
        if tag in values:
            struct.pack_into("<HII", changed, entry + 2, 4, 1, values[tag])
    return bytes(changed)


def within_chunks(rng: random.Random, content: bytes) -> bytes:
    """Flips in a PNG's chunks, whose checksums are then right; elsewhere in the last part of the header."""
    if not content.startswith(b"\x89PNG"):
        return flip_bits(rng, content, within=1000)
    out, place = [content[:8]], 8
    while place + 12 <= len(content):
        length = struct.unpack_from(">I", content, place)[0]
        kind, data = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        if rng.random() < 0.5:
            data = rng.choice((flip_bits, cut, overwrite, nothing))(rng, data)
        out.append(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
        place += 12 + length
    return b"".join(out)


OF_PICTURES: tuple[Bytes, ...] = (*ANY, huge, huge, huge, within_chunks, within_chunks)

#: values of JSON where others are expected
WRONG: tuple[Any, ...] = (
    *(None, True, False, "", "a", "32", "x" * 5000, float("nan"), float("inf")),
    *(0, -1, 1, 2, 3.5, 1e308, -1e-308, 10**6, 10**9, 10**30, 10**400),
    *([], [[]], ["a"], ["a", "a"], [1, None], {}, {"a": 1}, {"size": 32}, [[[[[["deep"]]]]]]),
)


def wrong_within(rng: random.Random, value: Any) -> Any:
    """Something wrong at a random place of a JSON value."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(sorted(value))
        how = rng.random()
        if how < 0.1:
            return {name: inner for name, inner in value.items() if name != key}
        if how < 0.2:
            return {**value, rng.choice(("new", f"{key} ", key.upper())): value[key]}
        return {**value, key: wrong_within(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.5:
        return rng.choice((value[1:], value + value, [*value, "other.png"], value[::-1], [rng.choice(WRONG), *value[1:]]))
    return rng.choice(WRONG)


def _split(content: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _joined(header: bytes, body: bytes, length: int | None = None) -> bytes:
    return (len(header) if length is None else length).to_bytes(8, "little") + header + body


def _with_header(rng: random.Random, content: bytes, change: Callable[[random.Random, dict[str, Any]], Any]) -> bytes:
    header, body = _split(content)
    return _joined(json.dumps(change(rng, header)).encode(), body)


def wrong_length(rng: random.Random, content: bytes) -> bytes:
    header, body = _split(content)
    return _joined(json.dumps(header).encode(), body, rng.choice((0, 1, 7, 10**5, 10**8, 2**40, 2**63, 2**64 - 1)))


def wrong_header(rng: random.Random, content: bytes) -> bytes:
    header, body = _split(content)
    encoded = json.dumps(header).encode()
    return _joined(rng.choice((*ANY, nothing))(rng, encoded), body)


def wrong_tensor(rng: random.Random, content: bytes) -> bytes:
    """One tensor's dtype, shape, offsets or name."""

    def change(rng: random.Random, header: dict[str, Any]) -> dict[str, Any]:
        name = rng.choice(sorted(header.keys() - {"__metadata__"}))
        entry = dict(header[name])
        how = rng.randrange(6)
        if how == 0:
            entry["dtype"] = rng.choice(("F32", "I32", "U32", "F64", "BF16", "F8_E4M3", "F8_E8M0", "BOOL", "C64", "F4", "U8", "Q7"))
        elif how == 1:
            entry["shape"] = rng.choice(([], [0, 2**40], [2**62, 4], [-1], entry["shape"][::-1], [*entry["shape"], 1], [1.5], "x"))
        elif how == 2:
            entry["data_offsets"] = rng.choice(([0, 4], [0, 2**50], [8, 4], [-8, 0], entry["data_offsets"][::-1], [], "x"))
        elif how == 3:
            entry = wrong_within(rng, entry)
        else:
            renamed = name + "_" if how == 4 else rng.choice(sorted(header))
            return {renamed if key == name else key: value for key, value in header.items()}
        return {**header, name: entry}

    return _with_header(rng, content, change)


def wrong_metadata(rng: random.Random, content: bytes) -> bytes:
    """A value of a wrong type, at any depth; or a string that is no JSON, or no metadata."""

    def change(rng: random.Random, header: dict[str, Any]) -> dict[str, Any]:
        metadata = dict(header["__metadata__"])
        key = rng.choice(sorted(metadata))
        how = rng.random()
        if how < 0.1:
            metadata = rng.choice((None, {}, [], {"format": "pt"}, {**metadata, key: 3}))
        elif how < 0.2:
            metadata.pop(key)
        elif how < 0.35 or key in ("format", "version", "kind"):
            metadata[key] = rng.choice(
                ("", "{", "[" * 100_000, "NaN", "1e999", "9" * 5000, "2", "training", "generator", '"\\ud800"', "\ufeff{}")
            )
        else:
            metadata[key] = json.dumps(wrong_within(rng, json.loads(metadata[key])))
        return {**header, "__metadata__": metadata}

    return _with_header(rng, content, change)


def wrong_settings(rng: random.Random, content: bytes) -> bytes:
    """Of the metadata, the settings alone: those of the network decide what is built."""

    def change(rng: random.Random, header: dict[str, Any]) -> dict[str, Any]:
        metadata = dict(header["__metadata__"])
        key = "model" if "model" in metadata and rng.random() < 0.7 else "config"
        metadata[key] = json.dumps(wrong_within(rng, json.loads(metadata[key])))
        return {**header, "__metadata__": metadata}

    return _with_header(rng, content, change)


def wrong_weights(rng: random.Random, content: bytes) -> bytes:
    """NaN, infinity, or numbers too large or too small to compute with, in one value, in one tensor, or everywhere."""
    header, body = _split(content)
    changed = bytearray(body)
    value = struct.pack("<f", rng.choice((float("nan"), float("inf"), -float("inf"), 3e38, -3e38, 1e20, 1e-45, -1.0, 0.0)))
    names = sorted(name for name in header if name != "__metadata__" and header[name]["dtype"] == "F32")
    for name in names if rng.random() < 0.2 else rng.sample(names, 1):
        start, end = header[name]["data_offsets"]
        end = start + 4 if rng.random() < 0.3 else end
        changed[start:end] = value * ((end - start) // 4)
    return _joined(json.dumps(header).encode(), bytes(changed))


OF_CHECKPOINTS: tuple[Bytes, ...] = (
    *ANY, wrong_length, wrong_header, *(3 * (wrong_tensor, wrong_metadata, wrong_settings, wrong_weights)),
)  # fmt: skip


def edited_line(rng: random.Random, content: bytes) -> bytes:
    lines = content.split(b"\r\n")
    number = rng.randrange(len(lines))
    line = lines[number]
    others = (b"", b"\r", b"one,two", b"\0" * 10, b"<<<<<<< HEAD", line[:-4], line * 2, line + b",", line.replace(b"1", b"nan"))
    before = (b'"', b"# ", b"-", b" ", b"\xff\xfe", b"\xef\xbb\xbf", b"9" * 5000, "٣".encode())
    separated = (line.replace(*pair) for pair in ((b",", b";"), (b",", b"\t"), (b".", b",")))
    lines[number] = rng.choice((*others, *(mark + line for mark in before), *separated))
    return b"\r\n".join(lines)


def other_lines(rng: random.Random, content: bytes) -> bytes:
    lines = content.split(b"\r\n")
    where = rng.randrange(len(lines))
    fewer = (lines[1:], lines[:1], lines[:where], lines[:where] + lines[where + 1 :])
    more = (lines + lines, lines * 2000, [*lines[:where], b"", *lines[where:]], lines[:1] + lines)
    return rng.choice((b"\r\n", b"\n", b"\r", b"\n\n")).join(rng.choice((*fewer, *more, lines[::-1])))


def other_columns(rng: random.Random, content: bytes) -> bytes:
    rows = [line.split(b",") for line in content.split(b"\r\n") if line]
    order = list(range(len(rows[0])))
    how = rng.randrange(4)
    if how == 0:
        order.pop(rng.randrange(len(order)))
    elif how == 1:
        order[1:] = rng.sample(order[1:], len(order) - 1)
    elif how == 2:
        order.append(rng.choice(order))
    else:
        rows[0][rng.randrange(len(rows[0]))] = b"loss"
    return b"".join(b",".join(row[column] for column in order) + b"\r\n" for row in rows)


def other_encoding(rng: random.Random, content: bytes) -> bytes:
    return content.decode().encode(rng.choice(("utf-16", "utf-8-sig", "utf-32", "utf-7", "cp500")))


def long_field(rng: random.Random, content: bytes) -> bytes:
    place = _place(rng, content)
    return content[:place] + rng.choice((b'"', b"")) + rng.choice((b"x", b"1")) * 200_000 + content[place:]


OF_TABLES: tuple[Bytes, ...] = (*ANY, *(3 * (edited_line, other_lines, other_columns)), other_encoding, other_encoding, long_field)


def folder(path: Path) -> None:
    path.mkdir()


def full_folder(path: Path) -> None:
    path.mkdir()
    (path / "something").touch()


def dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    """A socket; bound under a short name, since the system limits it."""
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(short := f"{path.parent}/s")
    os.rename(short, path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    """Four gigabytes of zeros, which take no place."""
    with path.open("wb") as file:
        file.truncate(2**32)


NO_FILES: tuple[Callable[[Path], None], ...] = (
    folder,
    full_folder,
    dangling_link,
    link_to_itself,
    pipe,
    listening,
    endless,
    sparse,
)
