"""How a command fails: one line on standard error, and an exit code for scripts."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import IO, Any

import click

from elastic_images.cli.output import escape_what_cannot_be_encoded, settle_output
from elastic_images.core.errors import (
    Conflict,
    ElasticImagesError,
    Forbidden,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)

FAILED, USAGE, NOT_FOUND, REFUSED, UNAVAILABLE, CONFLICT, NOT_ACCEPTED = range(1, 8)
_CODES: tuple[tuple[type[ElasticImagesError], int], ...] = (
    (NotFound, NOT_FOUND),
    (Unauthenticated, REFUSED),
    (Forbidden, REFUSED),
    (Unavailable, UNAVAILABLE),
    (TooManyRequests, UNAVAILABLE),
    (Conflict, CONFLICT),
    (PreconditionFailed, CONFLICT),
)
_NOT_ACCEPTED_STATUSES = (413, 415, 422)


def exit_code_of(error: ElasticImagesError) -> int:
    """The exit code for one of our errors."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    if error.status in _NOT_ACCEPTED_STATUSES or error.slug in ("empty-body", "incomplete-body"):
        return NOT_ACCEPTED
    return USAGE if isinstance(error, InvalidRequest) else FAILED


def end_with(codes: Iterable[int]) -> None:
    """Exit with the only code in `codes`, or 1 if they differ. Return if there are none."""
    found = set(codes)
    if found:
        sys.exit(found.pop() if len(found) == 1 else FAILED)


class Failure(click.ClickException):
    """Exits a command with a message and an exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # one class for all codes

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message on standard error."""
        click.echo(f"elastic-images: {self.format_message()}", file=file or sys.stderr)


class Program(click.Group):
    """The top-level group: turns our errors into messages and exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        escape_what_cannot_be_encoded()
        try:
            return super().invoke(ctx)
        except ElasticImagesError as error:
            raise Failure(str(error), exit_code_of(error)) from error
        except BrokenPipeError:
            settle_output()  # the reader has seen enough: `| head`
            ctx.exit(0)
