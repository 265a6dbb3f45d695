"""How to fix what an AWS service refuses, by the words of `aws.refusals`."""

from __future__ import annotations

from elastic_images.aws.dead_proxy import PROXY_ERROR, proxy_hides_role


def aws_advice(problem: str, permission: str | None = None) -> str | None:
    """What to do about a problem; None if it is not one of these. `permission` is the one that was needed."""
    if PROXY_ERROR in problem:
        return "start the proxy, or change the variable for all processes; NO_PROXY takes hosts, separated by commas"
    if "none were found" in problem:
        if proxy_hides_role():
            return "add 169.254.169.254 to NO_PROXY, so that the machine can be asked for its role, or give it another"
        return "give the machine a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if "does not accept the AWS credentials" in problem:
        return "correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or create new ones"
    if "clock" in problem:
        return "set up NTP on this machine"
    if permission and "does not allow" in problem:
        return f"allow {permission} to these credentials (docs/aws.md has the whole policy)"
    return None
