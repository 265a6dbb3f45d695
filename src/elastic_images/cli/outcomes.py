"""What becomes of each file or key that a command was given, and how that is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from elastic_images.cli.errors import end_with, exit_code_of
from elastic_images.cli.output import print_json, printable
from elastic_images.cli.parallel import in_parallel
from elastic_images.cli.progress import counted
from elastic_images.core.errors import ElasticImagesError


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one file or key."""

    subject: dict[str, Any]
    value: dict[str, Any] | None = None
    error: ElasticImagesError | None = None

    def failure(self) -> dict[str, Any]:
        """The failure as JSON."""
        return {**self.subject, "error": self.error.slug if self.error else None, "detail": str(self.error)}


def outcomes_of(one: Callable[[Any], Outcome], items: Sequence[Any], jobs: int, label: str) -> list[Outcome]:
    """The outcome of each item, in order, with a progress bar if there are several."""
    results = in_parallel(one, items, min(jobs, len(items)))
    return list(counted(results, label, lambda: len(items)) if len(items) > 1 else results)


def report(outcomes: list[Outcome], done: str, as_json: bool, line: Callable[[dict[str, Any]], str]) -> None:
    """Print successes and failures, and exit with the code of the failures."""
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    values = [outcome.value for outcome in outcomes if outcome.value is not None]
    if as_json:
        print_json({done: values, "failed": [outcome.failure() for outcome in failed]})
    else:
        for value in values:
            click.echo(printable(line(value)))
    for outcome in failed:
        name = outcome.subject.get("file") or outcome.subject["key"] or outcome.subject.get("id")
        click.echo(f"elastic-images: {printable(name)}: {outcome.error}", err=True)
    end_with(exit_code_of(outcome.error) for outcome in failed if outcome.error is not None)
