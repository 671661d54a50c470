"""A real one-node Kubernetes on a Linux machine with root and Go, without Docker and without a registry.

The node lives in mount, PID and network namespaces of its own. So it cannot touch a container engine or a firewall of
the machine, and it ends, with every container, mount, interface and rule of it, when its first process ends.
"""
