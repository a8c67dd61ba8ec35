"""What every command that runs an encoder begins with."""

from pairsmith.schemas import require


def require_models() -> None:
    """Load what encoders are made of, and have it draw no bars of its own.

    Raises UserError that names the extra to install when a package is missing.
    """
    for module in ("torch", "transformers", "tokenizers", "safetensors"):
        require(module, "train")
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
