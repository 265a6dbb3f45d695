"""What AWS refuses reads alike, whichever service said it."""

from __future__ import annotations

import pytest

from elastic_images.autoscaler.nodes.ec2.calls import Ec2Error
from elastic_images.metrics.cloudwatch import errors as cloudwatch_errors
from elastic_images.storage.objects.s3 import errors as s3_errors

REFUSALS = [
    ("NoCredentialsError", "needs AWS credentials, and none were found"),
    ("ProfileNotFound", "needs AWS credentials, and none were found"),
    ("InvalidClientTokenId", "does not accept the AWS credentials"),
    ("ExpiredTokenException", "does not accept the AWS credentials"),
    ("AuthFailure", "does not accept the AWS credentials"),
    ("RequestTimeTooSkewed", "does not accept requests from this machine, whose clock is wrong"),
    ("RequestExpired", "does not accept requests from this machine, whose clock is wrong"),
    ("AccessDenied", "does not allow {} to these credentials"),
    ("AccessDeniedException", "does not allow {} to these credentials"),
    ("ThrottledException", "throttles this account"),
    ("RequestLimitExceeded", "throttles this account"),
]


@pytest.mark.parametrize(("code", "sentence"), REFUSALS)
def test_each_service_says_it_in_the_same_words(code: str, sentence: str) -> None:
    s3 = s3_errors.as_ours(s3_errors.S3Error(code, 400, operation="PutObject"), "s3://images")
    assert str(s3) == f"The object store s3://images {sentence.format('PutObject')} ({code})."
    trouble = cloudwatch_errors.CloudWatchError(code, operation="PutMetricData", answered=True)
    said = f"CloudWatch {sentence.format('cloudwatch:PutMetricData')} ({code})."
    assert str(cloudwatch_errors.as_ours(trouble)) == said
    assert str(Ec2Error(code, "RunInstances").as_ours()) == f"EC2 {sentence.format('RunInstances')} ({code})."


@pytest.mark.parametrize("code", ["ThrottledException", "TooManyRequestsException", "Throttling"])
def test_who_is_asked_too_often_is_asked_again_later(code: str) -> None:
    assert s3_errors.S3Error(code, 400, operation="PutObject").temporary
    assert Ec2Error(code, "RunInstances").throttled
