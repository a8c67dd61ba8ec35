"""`pairsmith export`: a saved encoder as one ONNX file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from pairsmith.commands.models import require_models
from pairsmith.schemas import UserError
from pairsmith.schemas.store import check_local

_DESCRIPTION = """Write a text encoder as ONNX.

MODEL is a sentence-transformers folder, such as one made by `pairsmith train`, or a hub name. The
graph goes from token ids to vectors of length 1; pooling is inside. The tokenizer that makes its
input is written beside it: model.onnx, model.tokenizer.json.

Before anything is written, the vectors of a few texts are compared with the encoder's own; they
may differ by 1e-5 at most.

examples:
  pairsmith export model --onnx model.onnx
"""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    model: tyro.conf.Positional[str]
    """Folder or hub name."""
    onnx: Path
    """File to write."""


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    options = tyro.cli(Options, prog="pairsmith export", description=_DESCRIPTION, args=list(argv))
    check_local(options.onnx, "--onnx")
    require_models()
    from pairsmith.training.encoders.config import EncoderConfig
    from pairsmith.training.encoders.onnx_export import export_onnx, require_onnx, tokenizer_file
    from pairsmith.training.encoders.opening import open_encoder

    require_onnx()
    config = EncoderConfig(model=options.model)
    if config.fresh:
        raise UserError(f"{options.model} is not trained yet; name a folder or hub model")
    difference = export_onnx(open_encoder(config), options.onnx)
    print(f"wrote {options.onnx} and {tokenizer_file(options.onnx)}")
    print(f"vectors differ from the encoder's by {difference:.1e} at most")
    return 0
