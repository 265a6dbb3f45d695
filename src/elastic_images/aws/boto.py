"""boto3 for the adapters: clients, and what the library's errors mean. The only module that knows boto3.

boto3 finds credentials, region and endpoint by itself: the environment (`AWS_ENDPOINT_URL_S3` and the like for services
other than Amazon's), `~/.aws`, the instance's profile.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from elastic_images.aws.dead_proxy import code_of
from elastic_images.core.errors import InvalidRequest


class Failure(NamedTuple):
    """A failed call. It holds no credentials, and no message of the library."""

    code: str
    """The service's error code, or the name of the library's error."""
    how: Literal["refused", "insecure", "unsent", "unanswered", "not tried"]
    """`refused` by the service itself; `insecure`: its certificate; `unanswered`: it may have been done or not."""
    status: int | None = None
    detail: str = ""
    """The service's own message."""


class BotoClients:
    """Clients of boto3, made on first use, which look for credentials and connect on their first call.

    Nothing is retried here. Safe to share between threads.

    Args:
        need: starts the sentence about what is missing: `Nodes on EC2 need`.
        options: of `botocore.config.Config`.

    Raises:
        InvalidRequest: boto3 is not installed; the message says how to install it.
    """

    def __init__(self, need: str, *, connect_seconds: float, answer_seconds: float, **options: Any) -> None:
        try:
            import boto3
            from botocore import exceptions, parsers, xform_name
            from botocore.config import Config
        except ImportError:
            raise InvalidRequest(
                f"{need} the package boto3. Install it: pip install 'elastic-images[aws]' (in a checkout: "
                ".venv/bin/pip install -e '.[aws]')."
            ) from None
        self._need = need
        self._exceptions = exceptions
        self._unreadable = parsers.ResponseParserError
        self._method_name = xform_name
        self._config = Config(
            connect_timeout=connect_seconds,
            read_timeout=answer_seconds,
            retries={"mode": "standard", "total_max_attempts": 1},
            **options,
        )
        self._session_class = boto3.session.Session
        self._session: Any = None
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}

    def region(self) -> str:
        """The region. Raises InvalidRequest if none is set, or the settings cannot be used."""
        try:
            with self._lock:
                region = self._open_session().region_name
        except self._exceptions.BotoCoreError as error:
            raise InvalidRequest(f"The settings for AWS cannot be used ({type(error).__name__}).") from None
        if not region:
            raise InvalidRequest(f"{self._need} a region: set AWS_DEFAULT_REGION.")
        return str(region)

    def client(self, service: str, prepare: Callable[[Any], None] = lambda _: None) -> Any:
        """The client of a service; `prepare` gets it when it is new."""
        # Clients are thread-safe, sessions are not.
        with self._lock:
            if service not in self._clients:
                client = self._clients[service] = self._open_session().client(service, config=self._config)
                prepare(client)
                # Not everybody closes; without this their connections would wait for the garbage collector.
                weakref.finalize(self, client.close)
            return self._clients[service]

    def send(self, client: Any, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """One call, by the name that the service gives it: `PutObject`. Raises the library's errors (`errors`)."""
        answer: dict[str, Any] = getattr(client, self._method_name(operation))(**arguments)
        return answer

    def close(self) -> None:
        """Close the connections. Later calls open new ones, and so may calls that are being made: close them again."""
        with self._lock:
            for client in self._clients.values():
                client.close()

    def _open_session(self) -> Any:
        if self._session is None:
            self._session = self._session_class()
        return self._session

    @contextlib.contextmanager
    def errors(self, raised: Callable[[Failure], Exception]) -> Iterator[None]:
        """Turn the library's errors into those of an adapter."""
        known = self._exceptions
        try:
            yield
        except known.ClientError as error:
            told = error.response.get("Error", {})
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            code, detail = str(told.get("Code") or status), str(told.get("Message", ""))
            raise raised(Failure(code, "refused", status, detail)) from None
        except known.SSLError as error:
            raise raised(Failure(type(error).__name__, "insecure")) from None
        except known.ConnectionError as error:
            raise raised(Failure(code_of(error), "unsent")) from None
        except (known.HTTPClientError, known.IncompleteReadError, self._unreadable, OSError) as error:
            raise raised(Failure(type(error).__name__, "unanswered")) from None
        except known.BotoCoreError as error:
            raise raised(Failure(type(error).__name__, "not tried")) from None
