"""`pairsmith`: finds the command, and turns what the user can mend into one line."""

import dataclasses
import errno
import importlib
import importlib.metadata
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence

from pairsmith.commands.flags import asks_json
from pairsmith.schemas import UserError
from pairsmith.schemas.private import without_secrets
from pairsmith.training.signals import Terminated

COMMANDS = {
    "plan": "foresee a build from a sample of its input",
    "build": "make pairs from a corpus",
    "verify": "check a dataset against its manifest",
    "train": "train a text encoder on one or more datasets",
    "tune": "search for the training settings that score best",
    "evaluate": "score an encoder",
    "export": "write an encoder as ONNX",
    "augmenters": "list the augmenters, each with an example",
    "vocabulary": "train a sentencepiece model on a corpus",
}

_BEAM = ("build", "plan", "vocabulary")
"""Commands that hand what is not theirs to Beam."""
_FULL, _FORBIDDEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG), (errno.EACCES, errno.EPERM)
_MENDS = {
    **dict.fromkeys(_FULL, "make room, or choose another place"),
    **dict.fromkeys(_FORBIDDEN, "change who may use it, or choose another place"),
    errno.EROFS: "choose another place",
}
"""What can be done about errors of the system."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code.

    0: done. 1: above a limit of `plan`, or a bug. 2: something to mend, a damaged dataset included.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(importlib.metadata.version("pairsmith"))
        return 0
    name, *rest = arguments
    # Where others compute too, torch's threads wait for each other by spinning, ten times a step's
    # time, unless this is set before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        if importlib.util.find_spec("fcntl") is None:  # which holds the locks on folders
            raise UserError("this needs Linux, or another Unix; on Windows, run it in WSL")
        if name not in COMMANDS:
            raise UserError(f"no command {name!r}; there are {', '.join(COMMANDS)}")
        command = importlib.import_module(f"pairsmith.commands.{name}")
        fields = dataclasses.fields(command.Options) if name in _BEAM else ()
        _refuse_repeated(rest, [f"--{field.name}".replace("_", "-") for field in fields])
        code: int = command.main(rest)
        sys.stdout.flush()
        return code
    except UserError as error:
        line = str(error)
    except BrokenPipeError:  # whoever read our output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt as error:
        line = str(error) or "interrupted; the same command starts again"
    except Terminated as end:
        if end.line:
            print(f"pairsmith {name}: {end.line}", file=sys.stderr)
        raise
    except Exception as error:  # noqa: BLE001 - a bug, told as Python would, but for secrets
        if isinstance(error, OSError) and error.errno in _MENDS:
            where = f" ({error.filename})" if error.filename else ""
            line = f"{error.strerror}{where}; {_MENDS[error.errno]}"
        elif asks_json(rest):
            _emit_error(f"{type(error).__name__}: {error}", trace=traceback.format_exc())
            return 1
        else:
            sys.stderr.write(without_secrets(traceback.format_exc()))
            return 1
    line = " ".join(line.split())
    if asks_json(rest):
        _emit_error(line)
    else:
        print(f"pairsmith {name}: {without_secrets(line)}", file=sys.stderr)
    return 2


def _emit_error(message: str, **more: str) -> None:
    from pairsmith.pipelines.telling import emit  # which takes a while to import

    emit("error", message=message, **more)


def _refuse_repeated(arguments: Sequence[str], ours: Sequence[str]) -> None:
    """Raise UserError for an option given twice, of which only the last would count.

    ours: the command's options, where it hands others to Beam, written with '=': those may be.
    """
    seen: set[str] = set()
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        option = name.replace("_", "-")
        if not name.startswith("--") or (equals and ours and option not in ours):
            continue
        if option in seen:
            raise UserError(f"{name} is given twice; give it once, with all its values after it")
        seen.add(option)


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:<{width}}  {what}" for name, what in COMMANDS.items())
    return f"""usage: pairsmith COMMAND …

Training pairs for text encoders from your own documents, and the trainer of the encoder.

{lines}

  pairsmith build quickstart --input 'corpus/*.parquet' --output pairs
  pairsmith train pairs --model static::256 --output model
  pairsmith evaluate model --sts stsb.parquet

`pairsmith COMMAND --help` tells more. Exit code 0: done; 1: above a limit of `plan`, or a bug;
2: something to mend, in one line."""


if __name__ == "__main__":  # torchrun -m pairsmith.commands.main train …
    sys.exit(main())
