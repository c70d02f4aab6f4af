"""A real nginx before the service: the files of deploy/nginx, on free ports."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from programs import find_program
from zoo_server import ROOT, poll

FILES = ROOT / "deploy" / "nginx"
PREFIX = "/tools/zoo"
_NOBODY = "nobody"


class Nginx:
    """nginx with three servers before services: the cluster's, and two with a prefix."""

    def __init__(self, upstreams: Sequence[str], prefixed: str = "") -> None:
        """`upstreams` are the replicas; `prefixed` is a service with ZOO_ROOT_PATH=/tools/zoo."""
        program = find_program("nginx", "nginx-light")
        # Not a folder of pytest's: those are closed to other users.
        self._folder = Path(tempfile.mkdtemp(prefix="nginx-"))
        self._ports = [_free_port() for _ in range(3)]
        (self._folder / "proxy.conf").write_text((FILES / "proxy.conf").read_text())
        config = self._folder / "nginx.conf"
        config.write_text(self._config(upstreams, prefixed or upstreams[0]))
        user: dict[str, object] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam(_NOBODY)
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
            user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()}
        self._log = (self._folder / "log").open("w")
        self._process = subprocess.Popen(
            [program, "-c", str(config), "-p", str(self._folder), "-e", "stderr"],
            stderr=self._log,
            **user,  # type: ignore[call-overload]
        )
        try:
            poll(self._listens)
        except BaseException:
            self.end()
            raise

    @property
    def cluster(self) -> str:
        """The address of the server of deploy/nginx/cluster.conf."""
        return self._url(0)

    @property
    def passing(self) -> str:
        """The address of a proxy that passes the prefix on."""
        return self._url(1)

    @property
    def stripping(self) -> str:
        """The address of a proxy that strips the prefix."""
        return self._url(2)

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._log.close()
        shutil.rmtree(self._folder)

    def _url(self, number: int) -> str:
        return f"http://127.0.0.1:{self._ports[number]}"

    def _listens(self) -> bool:
        assert self._process.poll() is None, (self._folder / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._ports[-1])) == 0

    def _config(self, upstreams: Sequence[str], prefixed: str) -> str:
        cluster = (FILES / "cluster.conf").read_text()
        for number in (1, 2):
            upstream = urlsplit(upstreams[min(number, len(upstreams)) - 1])
            cluster = cluster.replace(f"replica-{number}:8000", upstream.netloc)
        cluster = cluster.replace("/etc/nginx/proxy.conf", f"{self._folder}/proxy.conf")
        cluster = cluster.replace("listen 8080;", f"listen 127.0.0.1:{self._ports[0]};")
        assert "replica-" not in cluster
        servers = [
            f"""
            server {{
                listen 127.0.0.1:{port};
                include {self._folder}/proxy.conf;
                location {PREFIX}/ {{ proxy_pass {prefixed}{path}; }}
            }}"""
            for port, path in zip(self._ports[1:], ("", "/"), strict=True)
        ]
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = " ".join(f"{kind}_temp_path {self._folder}/{kind};" for kind in kinds)
        return f"""
            daemon off;
            pid {self._folder}/pid;
            error_log stderr;
            events {{ worker_connections 256; }}
            http {{
                access_log off;
                {temporary}
                {cluster}
                {"".join(servers)}
            }}
        """


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
