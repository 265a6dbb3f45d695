from __future__ import annotations

import threading

import pytest
from testing.fault_proxy import answering, fault_proxy
from testing.waiting import wait_for

from elastic_images.aws.boto import BotoClients, Failure


class Refused(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)


def test_a_call_that_was_begun_before_the_end_leaves_no_connection_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller has got the client, then another thread closes all of them, and then the call is made."""
    before = threading.active_count()
    with fault_proxy("http://127.0.0.1:1") as proxy:
        proxy.put_in_the_way("POST", answering(400), times=9)
        for name, value in {
            "AWS_ENDPOINT_URL": proxy.url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        clients = BotoClients("This test needs", connect_seconds=5.0, answer_seconds=5.0)
        client = clients.client("ec2")
        clients.close()
        with pytest.raises(Refused), clients.errors(Refused):
            clients.send(client, "DescribeInstances", {})
        assert proxy.count("POST") == 1
        clients.close()
        wait_for(lambda: threading.active_count() == before + 1)  # the proxy's own; each connection has one
