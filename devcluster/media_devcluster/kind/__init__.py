"""A one-node Kubernetes in a container of Docker, by the program kind: for machines that have Docker and no root.

The same interface as the local node. All that is kept between two commands is the cluster's name, and that follows
from the folder; so what a start that was killed left behind is found again and removed.
"""
