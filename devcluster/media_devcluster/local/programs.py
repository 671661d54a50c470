"""The programs of a node: how each is called, and the configuration files they read. Pure; starts nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media_devcluster.local.layout import (
    API_PORT,
    CGROUP,
    DOMAIN,
    NODE,
    NODE_ADDRESS,
    POD_NETWORK,
    SERVICE_NETWORK,
    Layout,
)

PAUSE_IMAGE = "docker.io/local/pause:1"
ETCD = "http://127.0.0.1:2379"
BUILT = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "coredns")
INSTALLED = ("containerd", "containerd-shim-runc-v2", "runc", "ctr", "iptables", "conntrack", "ip", "unshare")
BINARIES = "binaries.json"
CNI_PLUGINS = Path("/usr/lib/cni")


@dataclass(frozen=True)
class Program:
    """One process of the node. `after` names the one whose port has to answer before it is started."""

    name: str
    argv: tuple[str, ...]
    after: str | None = None


def programs(layout: Layout, binaries: Mapping[str, Path]) -> tuple[Program, ...]:
    """All of them, in the order they are started."""
    pki, config, data = layout.pki, layout.config, layout.data

    def call(name: str, *flags: str, after: str | None = "kube-apiserver") -> Program:
        return Program(name, (str(binaries[name]), *flags), after)

    return (
        call(
            "etcd",
            f"--data-dir={data / 'etcd'}",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync",  # nothing here has to outlive a power cut
            "--log-level=warn",
            after=None,
        ),
        Program("containerd", ("containerd", "--config", str(config / "containerd.toml"))),
        call("kube-apiserver", *_apiserver(pki), after="etcd"),
        call(
            "kube-controller-manager",
            f"--kubeconfig={pki / 'controller-manager.kubeconfig'}",
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--service-account-private-key-file={pki / 'accounts.key'}",
            f"--cluster-signing-cert-file={pki / 'ca.crt'}",
            f"--cluster-signing-key-file={pki / 'ca.key'}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--controllers=*,-nodeipam",
            "--horizontal-pod-autoscaler-sync-period=5s",
            "--bind-address=127.0.0.1",
        ),
        call(
            "kube-scheduler",
            f"--kubeconfig={pki / 'scheduler.kubeconfig'}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
        ),
        call(
            "kubelet",
            f"--config={config / 'kubelet.json'}",
            f"--kubeconfig={pki / 'kubelet.kubeconfig'}",
            f"--root-dir={data / 'kubelet'}",
            f"--hostname-override={NODE}",
            f"--node-ip={NODE_ADDRESS}",
        ),
        call(
            "kube-proxy",
            f"--kubeconfig={pki / 'proxy.kubeconfig'}",
            f"--hostname-override={NODE}",
            "--proxy-mode=iptables",
            f"--cluster-cidr={POD_NETWORK}",
            "--masquerade-all=true",  # answers between pods of one bridge come back this way without br_netfilter
            "--conntrack-max-per-core=0",  # the table is the machine's, not the node's
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
            "--healthz-bind-address=127.0.0.1",
        ),
        call("coredns", "-conf", str(config / "Corefile")),
    )


def _apiserver(pki: Path) -> tuple[str, ...]:
    return (
        f"--etcd-servers={ETCD}",
        f"--advertise-address={NODE_ADDRESS}",
        f"--secure-port={API_PORT}",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}",
        f"--service-account-key-file={pki / 'accounts.pub'}",
        f"--service-account-signing-key-file={pki / 'accounts.key'}",
        f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
        "--enable-aggregator-routing=true",
    )


def files(layout: Layout, binaries: Mapping[str, Path]) -> dict[str, str]:
    """The configuration files, by name in the config folder; one of them says where the programs are."""
    return {
        BINARIES: json.dumps({name: str(path) for name, path in binaries.items()}, indent=2),
        "containerd.toml": _containerd(layout),
        "cni/10-bridge.conflist": json.dumps(_cni(layout), indent=2),
        "kubelet.json": json.dumps(_kubelet(layout), indent=2),
        "Corefile": _corefile(layout),
        "resolv.conf": f"nameserver {NODE_ADDRESS}\n",
    }


def _containerd(layout: Layout) -> str:
    state = layout.data / "containerd-state"
    return f"""version = 2
root = "{layout.containerd_root}"
state = "{state}"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "{layout.containerd_socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = "{layout.config / "cni"}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.internal.v1.opt"]
  path = "{layout.data / "opt"}"
"""


def _cni(layout: Layout) -> dict[str, Any]:
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": POD_NETWORK}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(layout.data / "cni"),
        },
    }
    return {
        "cniVersion": "0.4.0",
        "name": "media-local",
        "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}],
    }


def _kubelet(layout: Layout) -> dict[str, Any]:
    pki = layout.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet-server.key"),
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDomain": DOMAIN,
        "clusterDNS": [NODE_ADDRESS],
        "resolvConf": str(layout.config / "resolv.conf"),
        "address": NODE_ADDRESS,
        "healthzBindAddress": "127.0.0.1",
        "podLogsDir": str(layout.data / "pod-logs"),
        "imageMinimumGCAge": "24h",
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi"},
        "nodeStatusUpdateFrequency": "5s",
        "maxPods": 200,
    }


def _corefile(layout: Layout) -> str:
    return f""".:53 {{
    bind {NODE_ADDRESS}
    errors
    kubernetes {DOMAIN} in-addr.arpa {{
        kubeconfig {layout.kubeconfig} media-local
        pods insecure
        ttl 5
    }}
    cache 5
}}
"""
