"""The images of the service, and those that a local cluster without a registry needs beside them.

Built by Docker where its daemon answers, else by buildah. Each becomes an archive in the cache, named by a key of all
it is made of, so what has not changed is not built again.
"""

from media_devcluster.images.building import Image, build_images

__all__ = ["Image", "build_images"]
