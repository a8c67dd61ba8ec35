"""Tasks of the benchmark package `mteb` (Muennighoff et al., arXiv 2210.07316), scored by it."""

from typing import TYPE_CHECKING, Any

from pairsmith.schemas import UserError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PREFIX = "mteb:"


def open_task(name: str) -> Any:
    """Return the task `mteb:NAME`, its data not yet fetched.

    Raises UserError when there is no such task.
    """
    import mteb

    if not name.startswith(PREFIX):
        raise UserError(f"--task {name} is of no known kind; give mteb:NAME, as mteb:STS22")
    try:
        return mteb.get_task(name.removeprefix(PREFIX))
    except KeyError as error:
        reason = str(error.args[0]).removeprefix("KeyError: ")
        raise UserError(f"--task {name}: {reason}") from error


def score_task(model: "SentenceTransformer", task: Any, batch_size: int) -> dict[str, float]:
    """Return the task's main score as `mteb/NAME/MEASURE`, the mean of its splits and languages.

    Raises UserError when the task's data cannot be fetched.
    """
    import mteb

    name = task.metadata.name
    try:
        task.load_data()
    except Exception as error:  # the hub's libraries raise many kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"--task {PREFIX}{name}: its data cannot be fetched ({reason}); see whether the hub "
            "can be reached, or evaluate on files"
        ) from error
    result = mteb.evaluate(
        model,
        task,
        cache=None,
        encode_kwargs={"batch_size": batch_size},
        show_progress_bar=False,
    )
    return {f"mteb/{name}/{task.metadata.main_score}": float(result.task_results[0].get_score())}
