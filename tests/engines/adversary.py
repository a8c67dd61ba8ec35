"""An engine that is allowed everything Beam allows: bundles die, run twice, and run side by side.

It runs a pipeline's steps from the graph. Every bundle is begun by an attempt that dies after some
of its elements, and then run by two attempts at once, each with its own copy of the step and its
own order of the elements; what one of the two yields is kept. Nothing that is shuffled keeps its
order, and bundles have whatever size they happen to have.
"""

import random
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apache_beam as beam
from apache_beam.internal import pickler
from apache_beam.pipeline import AppliedPTransform
from apache_beam.pvalue import TaggedOutput

Outputs = list[tuple[str | None, Any]]


class Adversary:
    """Runs the steps of a pipeline, and counts what it did."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.values: dict[Any, list[Any]] = {}
        self.died = 0
        self.twice = 0

    def run(self, pipeline: beam.Pipeline) -> None:
        """Run all steps of the pipeline, in the order in which they were added."""
        for node in _leaves(pipeline._root_transform()):
            given = [element for pcoll in node.inputs for element in self.values.get(pcoll, [])]
            by_tag: dict[str | None, list[Any]] = defaultdict(list)
            for tag, value in self._step(node, given):
                # What goes from step to step is coded in between.
                by_tag[tag].append(pickler.loads(pickler.dumps(value)))
            for tag, pcoll in node.outputs.items():
                self.values[pcoll] = by_tag[tag]

    def _step(self, node: AppliedPTransform, given: list[Any]) -> Outputs:
        step = node.transform
        self.draw.shuffle(given)
        if isinstance(step, beam.Impulse):
            return [(None, b"")]
        if isinstance(step, beam.Flatten | beam.Reshuffle):
            return [(None, element) for element in given]
        if isinstance(step, beam.GroupByKey):
            groups = defaultdict(list)
            for key, value in given:
                groups[key].append(value)
            return [(None, group) for group in groups.items()]
        assert isinstance(step, beam.ParDo), f"the adversary knows no {step}"
        sides = [self.values[side.pvalue] for side in node.side_inputs]
        return [out for bundle in self._bundles(given) for out in self._bundle(step, bundle, sides)]

    def _bundles(self, given: list[Any]) -> Iterator[list[Any]]:
        while given:
            size = self.draw.randint(1, 5)
            bundle, given = given[:size], given[size:]
            yield bundle

    def _bundle(self, step: beam.ParDo, bundle: list[Any], sides: list[list[Any]]) -> Outputs:
        _attempt(step, bundle, sides, self.draw.randint(0, len(bundle)))
        self.died += 1
        orders = [self.draw.sample(bundle, len(bundle)) for _ in range(2)]
        with ThreadPoolExecutor(2) as pool:
            attempts = [pool.submit(_attempt, step, order, sides) for order in orders]
            outputs = [attempt.result() for attempt in attempts]
        self.twice += 1
        return self.draw.choice(outputs)


def _attempt(
    step: beam.ParDo, bundle: list[Any], sides: list[list[Any]], dies_after: int | None = None
) -> Outputs:
    """Run a step, as a worker does, and return what it yields; all is lost when it dies."""
    fn = pickler.loads(pickler.dumps(step.fn))
    arguments = iter(sides)
    filled = [next(arguments) if _is_side(argument) else argument for argument in step.args]
    made: Outputs = []
    fn.setup()
    fn.start_bundle()
    for number, element in enumerate(pickler.loads(pickler.dumps(bundle))):
        made_of = iter(fn.process(element, *filled, **step.kwargs) or ())
        if number == dies_after:
            next(made_of, None)
            return []
        made += [(o.tag, o.value) if isinstance(o, TaggedOutput) else (None, o) for o in made_of]
    if dies_after is None:
        made += [(None, output.value) for output in fn.finish_bundle() or ()]
    return made


def _is_side(argument: object) -> bool:
    return type(argument).__name__ == "ArgumentPlaceholder"


def _leaves(node: AppliedPTransform) -> Iterator[AppliedPTransform]:
    if node.parts and not isinstance(node.transform, beam.Reshuffle):
        for part in node.parts:
            yield from _leaves(part)
    elif node.transform is not None:
        yield node
