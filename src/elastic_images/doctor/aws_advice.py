"""How to fix what an AWS service refuses, by the words of `aws.refusals`."""

from __future__ import annotations


def aws_advice(problem: str, permission: str) -> str | None:
    """What to do about a problem; None if it is not one of these."""
    if "none were found" in problem:
        return "give the machine a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if "does not accept the AWS credentials" in problem:
        return "correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or create new ones"
    if "clock" in problem:
        return "set up NTP on this machine"
    if "does not allow" in problem:
        return f"allow {permission} to these credentials (docs/aws.md has the whole policy)"
    return None
