"""`pairsmith-worker`: a Beam worker in the Python that pairsmith is installed in.

What an engine starts for `--environment_type=PROCESS`, where pairsmith is installed on every
machine. Beam's own, `boot`, makes an environment first and installs what was staged into it.
"""

import argparse
import json
import os
from collections.abc import Sequence

from apache_beam.portability.api import beam_provision_api_pb2 as provision
from apache_beam.portability.api import beam_provision_api_pb2_grpc as provision_grpc
from apache_beam.runners.job.utils import struct_to_dict
from apache_beam.runners.worker.channel_factory import GRPCChannelFactory

_SECONDS = 60


def main(argv: Sequence[str] | None = None) -> None:
    """Work for the engine that names its endpoints, until it has no more to do."""
    parser = argparse.ArgumentParser(prog="pairsmith-worker", description=main.__doc__)
    parser.add_argument("--id", required=True)
    for endpoint in ("provision", "control", "logging"):
        parser.add_argument(f"--{endpoint}_endpoint", required=endpoint == "provision")
    given, _ = parser.parse_known_args(argv)
    worker = given.id.strip("'")  # which Prism puts around it
    info = _provisioned(given.provision_endpoint, worker)
    os.environ["WORKER_ID"] = worker
    os.environ["PIPELINE_OPTIONS"] = json.dumps(struct_to_dict(info.pipeline_options))
    os.environ["RUNNER_CAPABILITIES"] = " ".join(info.runner_capabilities)
    for name, url in (
        ("LOGGING", info.logging_endpoint.url or given.logging_endpoint),
        ("CONTROL", info.control_endpoint.url or given.control_endpoint),
        ("STATUS", info.status_endpoint.url),
    ):
        if url:
            os.environ[f"{name}_API_SERVICE_DESCRIPTOR"] = f'url: "{url}"'
    # The worker's name is taken from the environment when this is imported.
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(None)


def _provisioned(endpoint: str, worker: str) -> provision.ProvisionInfo:
    with GRPCChannelFactory.insecure_channel(endpoint) as channel:
        answer = provision_grpc.ProvisionServiceStub(channel).GetProvisionInfo(
            provision.GetProvisionInfoRequest(),
            metadata=(("worker_id", worker),),
            timeout=_SECONDS,
            wait_for_ready=True,
        )
    return answer.info  # type: ignore[no-any-return]
