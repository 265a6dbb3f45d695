"""docs/deploy-aws.md is true as far as a machine can tell: its commands, names, and arithmetic."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
from tests.deploy.stacks import ROOT, template

PAGE = (ROOT / "docs" / "deploy-aws.md").read_text(encoding="utf-8")
OF_THE_COMMAND_LINE = {"--query", "--output", "--no-cli-pager"}
OF_ITS_OWN = {
    "cloudformation deploy": {"--stack-name", "--template-file", "--capabilities", "--parameter-overrides"},
    "s3 rm": {"--recursive"},
    "s3 sync": set[str](),
}
"""Commands that are none of a service's operations, and their options."""
MONTH = 730
"""Hours."""


def aws_commands() -> Iterator[list[str]]:
    """Each command of AWS's command line, in blocks and in lines of text, without what it is asked in."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    pieces = [block.replace("\\\n", " ") for block in blocks]
    pieces += [piece.replace("\n", " ") for piece in re.findall(r"`(aws [^`]+)`", re.sub(r"(?s)```.*?```", "", PAGE))]
    for piece in pieces:
        for line in piece.splitlines():
            line = re.sub(r"'[^']*'", "QUOTED", line)  # noqa: PLW2901 - queries have brackets and backquotes in them
            for found in re.findall(r"(?:^|\$\(|\|\| |\$ )(aws [^()]*)", line.strip()):
                words = shlex.split(found)
                yield words[1:]


COMMANDS = sorted({tuple(command) for command in aws_commands()})


def test_commands_were_found() -> None:
    assert len(COMMANDS) > 25
    assert sum(command[:2] == ("cloudformation", "deploy") for command in COMMANDS) > 6


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_amazon_has_the_command_and_its_options(command: tuple[str, ...]) -> None:
    import botocore.session
    from botocore import xform_name

    name, operation, *rest = command
    service = "s3" if name == "s3api" else name
    options = {word for word in rest if word.startswith("--")} - OF_THE_COMMAND_LINE
    if f"{name} {operation}" in OF_ITS_OWN:
        assert options <= OF_ITS_OWN[f"{name} {operation}"]
        return
    session = botocore.session.get_session()
    if operation == "wait":
        waiters = session.get_waiter_model(service)
        waiter = next(one for one in waiters.waiter_names if xform_name(one, "-") == rest[0])
        called = waiters.get_waiter(waiter).operation
    else:
        model = session.get_service_model(service)
        called = next(one for one in model.operation_names if xform_name(one, "-") == operation)
    shape = session.get_service_model(service).operation_model(called).input_shape
    assert shape is not None
    assert options <= {f"--{xform_name(member, '-')}" for member in shape.members}


def test_every_parameter_and_output_is_one_of_the_templates() -> None:
    system = template("system.yaml")
    overridden = {
        word.partition("=")[0]
        for command in COMMANDS
        if command[:2] == ("cloudformation", "deploy") and "--parameter-overrides" in command
        for word in command[command.index("--parameter-overrides") + 1 :]
    }
    assert overridden <= system["Parameters"].keys()
    assert {"Bucket", "Version", "ImageId", "DomainName", "CertificateArn"} <= overridden
    table = PAGE.partition("Parameters to consider")[2].partition("\n\nWithout")[0]
    shown = {
        name for row in re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert shown
    assert shown <= system["Parameters"].keys()
    outputs = set(re.findall(r"OutputKey==`(\w+)`", PAGE))
    assert outputs <= system["Outputs"].keys() | template("bucket.yaml")["Outputs"].keys()
    without_default = {name for name, parameter in system["Parameters"].items() if "Default" not in parameter}
    assert without_default <= overridden


def test_the_defaults_in_the_page_are_the_templates() -> None:
    parameters = template("system.yaml")["Parameters"]
    table = PAGE.partition("Parameters to consider")[2].partition("\n\nWithout")[0]
    for names, defaults in re.findall(r"^\| (`[^|]*) \| ([^|]*) \|", table, re.MULTILINE):
        given = [str(parameters[name]["Default"]) or "none" for name in re.findall(r"`(\w+)`", names)]
        assert set(given) == set(defaults.split(", ")), names


def number(pattern: str) -> float:
    found = re.search(pattern, PAGE)
    assert found is not None, pattern
    return float(found[1])


def test_the_sums_are_right() -> None:
    rows = dict(re.findall(r"^\| ([^|]*?) \|.*\| ([\d.]+) \|$", PAGE, re.MULTILINE))
    fixed = [
        "front: t3.medium",
        "front: 16 GB gp3, one public address",
        "load balancer",
        "its public addresses",
        "database: db.t4g.small, one zone",
        "database: 20 GB gp3",
        "secrets",
        "alarms that repair the front",
        "listing unfinished uploads",
    ]
    total = sum(float(rows[name]) for name in fixed)
    assert total == pytest.approx(number(r"everything but nodes and metrics\*\* \| \| \| \*\*([\d.]+)\*\*"), abs=0.01)
    assert float(rows["front: t3.medium"]) == pytest.approx(0.0416 * MONTH, abs=0.01)
    assert float(rows["load balancer"]) == pytest.approx((0.0225 + 0.008) * MONTH, abs=0.01)
    assert float(rows["front: 16 GB gp3, one public address"]) == pytest.approx(16 * 0.08 + 0.005 * MONTH, abs=0.01)
    node = float(rows["each node: t3.small"]) + float(rows["each node: 8 GB gp3, one public address"])
    assert node == pytest.approx(0.0208 * MONTH + 8 * 0.08 + 0.005 * MONTH, abs=0.02)
    table = re.findall(r"^\| (\d) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE)
    assert [int(row[0]) for row in table] == [1, 2, 4, 8]
    for count, nodes, figures, whole in ((int(row[0]), *map(float, row[1:])) for row in table):
        calls = 43_800 * 0.01 / 1000
        assert nodes == pytest.approx(node * count, abs=0.01)
        assert figures == pytest.approx(0.30 * (5 * count + 8) + calls * (count + 1 + 2 * count + 4), abs=0.01)
        assert whole == pytest.approx(total + nodes + figures, abs=0.02)
