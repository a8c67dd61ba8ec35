"""Stand-ins for object stores on this machine, each behind a proxy that can fail."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cloud.faulty import Proxy, running

# Before any of the clients is imported: no credentials, no metadata server, no config of the user.
os.environ.update(
    NO_GCE_CHECK="true",
    AWS_ACCESS_KEY_ID="nobody",
    AWS_SECRET_ACCESS_KEY="nothing",
    AWS_DEFAULT_REGION="us-east-1",
    AWS_EC2_METADATA_DISABLED="true",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
)


@dataclass(frozen=True)
class Store:
    """An object store with the buckets `corpus` and `pairs`."""

    scheme: str
    proxy: Proxy
    flags: tuple[str, ...]
    """Beam flags that lead there."""

    def put(self, path: str, data: bytes) -> None:
        bucket, name = path.split("/", 1)
        if self.scheme == "gs":
            _google().bucket(bucket).blob(name).upload_from_string(data)
        else:
            _amazon(self.proxy.url).put_object(Bucket=bucket, Key=name, Body=data)

    def get(self, path: str) -> bytes:
        bucket, name = path.split("/", 1)
        if self.scheme == "gs":
            data: bytes = _google().bucket(bucket).blob(name).download_as_bytes()
        else:
            data = _amazon(self.proxy.url).get_object(Bucket=bucket, Key=name)["Body"].read()
        return data

    def names(self, folder: str) -> list[str]:
        """Return the names of the objects in a folder, without the folder."""
        bucket, prefix = f"{folder}/".split("/", 1)
        if self.scheme == "gs":
            names = [blob.name for blob in _google().list_blobs(bucket, prefix=prefix)]
        else:
            listed = _amazon(self.proxy.url).list_objects_v2(Bucket=bucket, Prefix=prefix)
            names = [item["Key"] for item in listed.get("Contents", [])]
        return [name.removeprefix(prefix) for name in names]


@pytest.fixture(scope="session", params=["gs", "s3"])
def running_store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    with running() as proxy:
        serve = _serve_google if request.param == "gs" else _serve_amazon
        yield from serve(proxy, tmp_path_factory.mktemp("store"))


@pytest.fixture
def store(running_store: Store) -> Iterator[Store]:
    """Return a store that works until it is told to fail."""
    yield running_store
    running_store.proxy.heal()


def _serve_google(proxy: Proxy, folder: Path) -> Iterator[Store]:
    script = Path(__file__).resolve().parents[2] / ".ci" / "fake-gcs-server"
    found = subprocess.run([script], capture_output=True, text=True, check=False, timeout=600)
    if found.returncode == 3:
        pytest.skip(found.stderr.strip())
    assert found.returncode == 0, found.stderr
    proxy.port = _free_port()
    command = [found.stdout.strip(), "-backend", "memory", "-scheme", "http"]
    command += ["-host", "127.0.0.1", "-port", str(proxy.port), "-external-url", proxy.url]
    command += ["-public-host", proxy.url.removeprefix("http://")]
    # Who has no credentials is let wait for twenty seconds by Beam.
    import google.auth
    from google.auth.credentials import AnonymousCredentials

    patch = pytest.MonkeyPatch()
    patch.setattr(google.auth, "default", lambda **options: (AnonymousCredentials(), None))
    patch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait(proxy.port)
            for bucket in ("corpus", "pairs"):
                _google().create_bucket(bucket, project="none")
            yield Store("gs", proxy, ())
        finally:
            server.kill()
            server.wait(30)
            patch.undo()


def _serve_amazon(proxy: Proxy, folder: Path) -> Iterator[Store]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, proxy.port = server.get_host_and_port()
    try:
        for bucket in ("corpus", "pairs"):
            _amazon(proxy.url).create_bucket(Bucket=bucket)
        yield Store("s3", proxy, (f"--s3_endpoint_url={proxy.url}",))
    finally:
        server.stop()


def _google():
    from google.cloud import storage

    return storage.Client.create_anonymous_client()


def _amazon(url: str):
    import boto3

    return boto3.client("s3", endpoint_url=url)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError("the stand-in did not start")
