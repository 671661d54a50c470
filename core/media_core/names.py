"""The names by which the parts find each other in the Kubernetes API: group, labels, finalizer, annotations.

They stand apart because every program needs them and none owns them.
"""

from typing import Final

GROUP: Final = "media.docfliq.com"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
ASSETS: Final = "mediaassets"
POOLS: Final = "mediaworkerpools"
ASSET_KIND: Final = "MediaAsset"
POOL_KIND: Final = "MediaWorkerPool"

MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "media-operator"
POOL_LABEL: Final = f"{GROUP}/pool"
TEMPLATE_LABEL: Final = f"{GROUP}/template-hash"
ISOLATED_LABEL: Final = f"{GROUP}/isolated"

PURGE_FINALIZER: Final = f"{GROUP}/purge"
RIGHTS_FINALIZER: Final = f"{GROUP}/rights"
RETRY_ANNOTATION: Final = f"{GROUP}/retry"

API_MANAGER: Final = "media-api"
OPERATOR_MANAGER: Final = "media-operator"
WORKER_MANAGER: Final = "media-worker"

DEFAULT_POOL: Final = "default"
VIDEO_POOL: Final = "video"
CONFIGURATION_EXIT_CODE: Final = 78
"""EX_CONFIG of sysexits.h: the worker's settings are wrong, so running it again cannot help."""
