"""From arguments to a command with all its options, or to a `Mistake` that says what is wrong with them."""

import contextlib
import dataclasses
import difflib
import inspect
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Union, get_args, get_type_hints

import tyro

from .. import __version__
from .demo import Demo
from .evaluate import Evaluate
from .experiment import Experiment
from .experiment_digits import ExperimentDigits
from .experiment_maps import ExperimentMaps
from .mistakes import Mistake
from .paper import Paper
from .questionnaire import Questionnaire, QuestionnaireScore
from .train import Train, preset_defaults
from .transfer import Transfer
from .translate import TranslateApply, TranslateTrain, translate_defaults

Command = (
    Demo
    | Train
    | Transfer
    | Evaluate
    | TranslateTrain
    | TranslateApply
    | Experiment
    | ExperimentMaps
    | ExperimentDigits
    | Paper
    | Questionnaire
    | QuestionnaireScore
)
COMMANDS = get_args(Command)
DEFAULTS = {Train: preset_defaults, TranslateTrain: translate_defaults}
"""Of commands whose options' defaults depend on the arguments."""
_DESCRIPTION = """Paint photos with the colours of other photos: train, use and evaluate Hue-Net (arXiv:1912.06044).
And translate photos of one kind into another.

Start with `huenet demo`; `huenet COMMAND --help` tells all about a command."""


def parse(arguments: Sequence[str]) -> Command:
    """The command that the arguments spell. Raises `Mistake` for wrong ones, ``SystemExit(0)`` after showing help."""
    if list(arguments) == ["--version"]:
        print(__version__)
        raise SystemExit(0)
    if "" in arguments:  # which would be the current folder
        before = "".join(f" after {argument}" for argument in arguments[: [*arguments].index("")][-1:])
        raise Mistake(f"there is an empty argument{before}: is it a variable that is not set?")
    arguments = _with_one_name(arguments)
    _check_options(arguments)
    subcommands = []
    for kind in COMMANDS:
        name, text = _name(kind), inspect.cleandoc(kind.__doc__ or "")
        described = text if name in arguments[:1] else text.splitlines()[0]
        default = DEFAULTS[kind](arguments) if kind in DEFAULTS else tyro.MISSING_NONPROP
        subcommands.append(Annotated[kind, tyro.conf.subcommand(name, description=described, default=default)])
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                Union[tuple(subcommands)],  # noqa: UP007, since it is made at run time
                prog="huenet",
                args=arguments,
                description=_DESCRIPTION,
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.PositionalMetavarFromFieldName),
            )
    except SystemExit as end:
        if end.code:
            raise Mistake(_unboxed(complaint.getvalue())) from None
        raise


def _name(kind: type) -> str:
    """What a command is called: ``questionnaire score`` for QuestionnaireScore."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", kind.__name__).lower()


def _with_one_name(arguments: Sequence[str]) -> list[str]:
    """The arguments with a command's name of two words as one of them."""
    names, two = [*map(_name, COMMANDS)], " ".join(arguments[:2])
    if len(arguments) > 1 and two in names:
        return [two, *arguments[2:]]
    actions = [name for name in names if arguments and name.startswith(f"{arguments[0]} ")]
    if actions and arguments[0] not in names:
        raise Mistake(f"huenet {arguments[0]} does not stand alone: huenet {actions[0]} --help, one of {', '.join(actions)}")
    return [*arguments]


def _check_options(arguments: Sequence[str]) -> None:
    """Raises `Mistake` for an option its command does not have, which tyro may take for a missing photo."""
    kind = {_name(kind): kind for kind in COMMANDS}.get(arguments[0] if arguments else "")
    if kind is None:
        return
    known = {"--help", *_options(kind)}
    for argument in itertools.takewhile("--".__ne__, arguments[1:]):
        option = argument.split("=")[0].replace("_", "-")
        if option.startswith("--") and option not in known:
            near = difflib.get_close_matches(option, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"huenet {arguments[0]} --help lists them"
            raise Mistake(f"huenet {arguments[0]} has no option {argument.split('=')[0]}: {hint}")


def _options(kind: type) -> Iterator[str]:
    """The options that the fields of a dataclass, and of those within it, become."""
    for name, annotation in get_type_hints(kind).items():
        if dataclasses.is_dataclass(annotation):
            yield from _options(annotation)
        else:
            option = name.replace("_", "-")
            yield from (f"--{option}", f"--no-{option}") if annotation is bool else (f"--{option}",)


def _unboxed(complaint: str) -> str:
    """What tyro complains about, in one line: without the box it draws and the help it repeats."""
    lines = (line.strip("│ ") for line in complaint.splitlines())
    text = " ".join(line for line in lines if line and line[0] not in "╭╰")
    text = re.sub(r"Error parsing __tyro\S*: ", "", text)  # a setting's own check, whose message names the setting
    sections = [section.strip() for section in re.split("─+|-{4,}", text)]
    if "╭" not in complaint:  # where the terminal's encoding has no boxes, the title is a section of its own
        sections = sections[1:] or sections
    return "; ".join(section for section in sections if not section.startswith(("For full helptext", "Argument helptext")))
