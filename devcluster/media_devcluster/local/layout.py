"""Where everything of a node is: its addresses and its folders. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NODE = "node1"
POD_NETWORK = "10.207.0.0/16"
SERVICE_NETWORK = "10.208.0.0/16"
NODE_ADDRESS = "10.207.0.1"
"""Of the bridge the pods hang on; the API server, the node's ports and DNS are found there."""
KUBERNETES_SERVICE = "10.208.0.1"
LINK_OUTSIDE = "10.209.255.1"
LINK_INSIDE = "10.209.255.2"
LINK_BITS = 30
"""The two ends of the wire between the machine and the node's network namespace."""
LINK_NAME = "media-node"
API_PORT = 6443
CGROUP = "media-local"
DOMAIN = "cluster.local"


@dataclass(frozen=True)
class Layout:
    """The folder of one node and what is where in it. All of it is the node's own and goes with it."""

    folder: Path

    @property
    def pki(self) -> Path:
        """Certificates, keys, and the kubeconfigs made of them."""
        return self.folder / "pki"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, for use outside the node."""
        return self.folder / "kubeconfig"

    @property
    def config(self) -> Path:
        """Configuration files of the programs."""
        return self.folder / "config"

    @property
    def logs(self) -> Path:
        """One file for each program."""
        return self.folder / "logs"

    @property
    def data(self) -> Path:
        """What the programs keep: etcd, containerd, kubelet, CNI."""
        return self.folder / "data"

    @property
    def containerd_root(self) -> Path:
        """Images, unpacked, and what containers write."""
        return self.data / "containerd"

    @property
    def containerd_socket(self) -> Path:
        """Where containerd listens; a socket's path has to be short."""
        return self.folder / "c.sock"

    @property
    def held(self) -> Path:
        """A program with a file of its name here is not started again when it ends."""
        return self.folder / "held"

    @property
    def ready(self) -> Path:
        """Written by the node once its network stands and its programs are started."""
        return self.folder / "started"
