"""`pairsmith-worker`: a Beam worker in the Python that pairsmith is installed in.

What an engine starts for `--environment_type=PROCESS`, where pairsmith is installed on every
machine. Beam's own, `boot`, makes an environment first and installs what was staged into it.
"""

import argparse
import json
import os
from collections.abc import Sequence

import grpc
from apache_beam.portability.api import beam_provision_api_pb2 as provision
from apache_beam.portability.api import beam_provision_api_pb2_grpc as provision_grpc
from apache_beam.portability.api import endpoints_pb2
from google.protobuf import json_format, text_format

_SECONDS = 60


def main(argv: Sequence[str] | None = None) -> None:
    """Work for the engine that names its endpoints, until it has no more to do."""
    parser = argparse.ArgumentParser(prog="pairsmith-worker", description=main.__doc__)
    parser.add_argument("--id", required=True)
    for endpoint in ("provision", "control", "logging", "artifact"):
        parser.add_argument(f"--{endpoint}_endpoint", required=endpoint == "provision")
    given, _ = parser.parse_known_args(argv)
    worker = given.id.strip("'")  # which Prism puts around it
    info = _provisioned(given.provision_endpoint.strip("'"), worker)
    os.environ["WORKER_ID"] = worker
    os.environ["PIPELINE_OPTIONS"] = json.dumps(json_format.MessageToDict(info.pipeline_options))
    os.environ["RUNNER_CAPABILITIES"] = " ".join(info.runner_capabilities)
    for name, flag, told in (
        ("LOGGING", given.logging_endpoint, info.logging_endpoint),
        ("CONTROL", given.control_endpoint, info.control_endpoint),
        ("STATUS", None, info.status_endpoint),
    ):
        if url := told.url or flag:
            descriptor = text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=url))
            os.environ[f"{name}_API_SERVICE_DESCRIPTOR"] = descriptor
    # The worker's name is taken from the environment when this is imported.
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(None)


def _provisioned(endpoint: str, worker: str) -> provision.ProvisionInfo:
    with grpc.insecure_channel(endpoint) as channel:
        grpc.channel_ready_future(channel).result(_SECONDS)
        answer = provision_grpc.ProvisionServiceStub(channel).GetProvisionInfo(
            provision.GetProvisionInfoRequest(), metadata=(("worker_id", worker),), timeout=_SECONDS
        )
    return answer.info
