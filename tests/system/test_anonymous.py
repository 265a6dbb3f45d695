"""What a plain Python script may do, with a token and without, in each mode of ANONYMOUS."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from testing.photographs import Photograph
from testing.system import System
from tests.system.conftest import StartSystem

SCRIPT = """
import json, sys, urllib.error, urllib.request

url, token, photograph = sys.argv[1], sys.argv[2], open(sys.argv[3], "rb").read()

def call(method, path, body=None):
    headers = {"Authorization": "Bearer " + token} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url + path, body, headers, method=method)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.read()
        return error.code

print(json.dumps({
    "get": call("GET", "/images/public"),
    "head": call("HEAD", "/images/public"),
    "metadata": call("GET", "/api/images/public"),
    "list": call("GET", "/api/images"),
    "put": call("PUT", "/api/images/mine", photograph),
    "delete": call("DELETE", "/api/images/mine"),
    "course list": call("POST", "/api/list_keys"),
    "course size": call("POST", "/api/getNumNodes"),
    "configure": call("POST", "/api/configure_cache?policy=LRU"),
    "delete_all": call("POST", "/api/delete_all"),
}))
"""

CALLS = ("get", "head", "metadata", "list", "put", "delete", "course list", "course size", "configure", "delete_all")
OPEN = {"get": 200, "head": 200}
READ = OPEN | {"metadata": 200, "list": 200, "course list": 200, "course size": 200}
WRITE = READ | {"put": 201, "delete": 204}
ADMIN = WRITE | {"configure": 200, "delete_all": 200}


def expected(allowed: dict[str, int], *, refusal: int) -> dict[str, int]:
    """The status of each call: what is allowed, and the refusal of everything else."""
    return {call: allowed.get(call, refusal) for call in CALLS}


def run_script(system: System, token: str, photograph: Photograph) -> dict[str, int]:
    """The status of each call of the script."""
    file = system.data.parent / "photograph"
    file.write_bytes(photograph.body)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, system.url(), token, str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize(("mode", "allowed"), [("none", {}), ("read", OPEN), ("write", WRITE), ("admin", ADMIN)])
def test_a_script_without_a_token(
    start_system: StartSystem, few: tuple[Photograph, ...], mode: str, allowed: dict[str, int]
) -> None:
    system = start_system(anonymous=mode)
    assert system.admin().put("public", few[0].body).status == 201
    assert run_script(system, "", few[1]) == expected(allowed, refusal=401)
    assert (f"ANONYMOUS={mode}" in system.log_path.read_text()) == (mode in ("write", "admin"))
    # Whoever shows the administrator's token may do everything, in every mode.
    assert system.admin().put("public", few[0].body).status in (200, 201)
    assert run_script(system, system.admin().token or "", few[2]) == expected(ADMIN, refusal=403)


@pytest.mark.parametrize(("scope", "allowed"), [("read", READ), ("write", WRITE), ("admin", ADMIN)])
def test_a_token_can_do_what_its_scopes_say(
    system: System, few: tuple[Photograph, ...], scope: str, allowed: dict[str, int]
) -> None:
    assert system.admin().put("public", few[0].body).status in (200, 201)
    token = system.cli("token", "create", "--name", f"a-{scope}", "--scope", scope).stdout.strip()
    assert run_script(system, token, few[1]) == expected(allowed, refusal=403)


def test_a_wrong_token_is_refused(system: System) -> None:
    assert system.client("wrong").request("GET", "/api/images").status == 401
    assert system.client("").request("GET", "/api/images").status == 401
