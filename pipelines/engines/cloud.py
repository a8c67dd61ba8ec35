"""What a job on Dataflow needs to be told, and what can be refused before it is paid for."""

import argparse
from collections.abc import Sequence

from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    SetupOptions,
    StandardOptions,
    TestOptions,
    WorkerOptions,
)

from pairsmith.pipelines.recipe.recipe import Recipe
from pairsmith.schemas import UserError
from pairsmith.schemas.store import is_remote


class ModelOptions(PipelineOptions):
    """Beam options about the machines that the models of a recipe run on."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--model_accelerator",
            help="Accelerator of the workers that run models, as Beam's resource hint has it: "
            "type:nvidia-tesla-t4;count:1;install-nvidia-driver",
        )
        parser.add_argument("--model_min_ram", help="Memory of these workers, such as 16GB.")


def model_hints(flags: Sequence[str], recipe: Recipe) -> tuple[tuple[str, str], ...]:
    """Return the resource hints for the step that runs models.

    Raises UserError when they are asked for and the recipe asks no model.
    """
    options = PipelineOptions(list(flags)).view_as(ModelOptions)
    named = {"accelerator": options.model_accelerator, "min_ram": options.model_min_ram}
    hints = tuple((name, value) for name, value in named.items() if value)
    if hints and not recipe.costly:
        raise UserError(
            "the recipe asks no model, so an accelerator would stand idle; "
            "leave out --model_accelerator and --model_min_ram"
        )
    return hints


def engine_flags(flags: Sequence[str]) -> tuple[str, ...]:
    """Return the flags with what a build wants of every engine.

    Nothing of a build is defined in `__main__`, which Beam would pickle for Dataflow all the same.
    """
    return (*flags, "--no_save_main_session")


def is_detached(flags: Sequence[str]) -> bool:
    """Return whether the job goes on without this process, which then cannot finish the dataset."""
    options = PipelineOptions(list(flags))
    return bool(
        options.view_as(GoogleCloudOptions).template_location
        or options.view_as(StandardOptions).no_wait_until_finish
        or options.view_as(TestOptions).dry_run
    )


def check_cloud(flags: Sequence[str], inputs: Sequence[str], output: str) -> None:
    """Raise UserError for what a job that runs elsewhere could not do."""
    options = PipelineOptions(list(flags))
    if is_detached(flags) and not is_remote(output):
        raise UserError(
            f"{output} is a folder, which a job that goes on by itself cannot finish; "
            "choose an --output on an object store"
        )
    if not (options.view_as(StandardOptions).runner or "").endswith("DataflowRunner"):
        return
    for path in (*inputs, output):
        if not is_remote(path):
            raise UserError(f"{path} is on this machine, where Dataflow cannot reach it; use gs://")
    setup = options.view_as(SetupOptions)
    if setup.save_main_session:
        raise UserError("leave out --save_main_session: workers import what they need")
    image = options.view_as(WorkerOptions).sdk_container_image
    if not (image or setup.extra_packages or setup.setup_file or setup.requirements_file):
        raise UserError(
            "Dataflow's workers need pairsmith: name an image with --sdk_container_image=… "
            "(docker/ makes one), or a wheel with --extra_package=…"
        )
