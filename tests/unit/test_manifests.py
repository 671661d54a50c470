from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_core.containers import FILM_FOLDER, SOCKET_FOLDER, TOKEN_FOLDER, WorkerImage, grown
from media_core.manifests import MAX_JOB_NAME, job_name, template_hash, worker_job
from media_core.names import VIDEO_POOL
from media_core.pool import MediaWorkerPool
from media_core.renditions import Rendition
from support.build import POOL_UID, a_pool, an_id, an_image

JSON = dict[str, Any]
DECODER_RESOURCES = {"requests": {"cpu": "1", "memory": "512Mi"}, "limits": {"memory": "3Gi"}}
WORKER_RESOURCES = {"limits": {"cpu": 2, "memory": 1073741824}}


def job(
    *, pool: str = "default", isolated_for: str | None = None, image: WorkerImage | None = None, **spec: Any
) -> JSON:
    return worker_job(a_pool(pool, **spec), image or an_image(), 7, isolated_for)


def pod(manifest: JSON) -> JSON:
    found: JSON = manifest["spec"]["template"]["spec"]
    return found


def worker(manifest: JSON) -> JSON:
    (found,) = pod(manifest)["containers"]
    return dict(found)


def decoder(manifest: JSON) -> JSON:
    (found,) = pod(manifest)["initContainers"]
    return dict(found)


def environment(manifest: JSON) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in worker(manifest)["env"] if "value" in entry}


def argument(manifest: JSON, name: str) -> str:
    args = decoder(manifest)["args"]
    return str(args[args.index(name) + 1])


def volumes(container: JSON) -> dict[str, str]:
    return {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}


def test_the_job_runs_one_pod_once() -> None:
    spec = job()["spec"]
    assert (spec["backoffLimit"], spec["completions"], spec["parallelism"]) == (0, 1, 1)
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["ttlSecondsAfterFinished"] == 3600
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 60


def test_a_disruption_and_a_wrong_configuration_fail_the_job_by_name() -> None:
    rules = job()["spec"]["podFailurePolicy"]["rules"]
    assert rules == [
        {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"containerName": "worker", "operator": "In", "values": [78]}},
    ]


def test_the_last_net_is_a_lifetime_and_two_assets() -> None:
    spec = job(max_lifetime_seconds=100, asset_timeout_seconds=30)["spec"]
    assert spec["activeDeadlineSeconds"] == 160


def test_the_job_goes_with_its_pool_and_can_be_found_by_it() -> None:
    metadata = job()["metadata"]
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == (
        "MediaWorkerPool",
        "default",
        POOL_UID,
        True,
    )
    assert metadata["namespace"] == "media"
    assert metadata["labels"] == {
        "app.kubernetes.io/managed-by": "media-operator",
        "media.docfliq.com/pool": "default",
        "media.docfliq.com/template-hash": template_hash(a_pool(), an_image()),
    }
    assert job()["spec"]["template"]["metadata"]["labels"] == metadata["labels"]


def test_an_isolated_job_says_for_whom_it_is() -> None:
    labels = job(isolated_for=an_id("x"))["metadata"]["labels"]
    assert labels["media.docfliq.com/isolated"] == an_id("x")


def test_the_decoder_has_no_token_no_environment_and_no_credentials() -> None:
    container = decoder(job())
    assert not {"env", "envFrom"} & container.keys()
    assert volumes(container) == {"run": SOCKET_FOLDER, "decoder-tmp": "/tmp"}
    text = json.dumps(container)
    assert "media-s3" not in text
    assert "token" not in text


def test_the_worker_alone_has_the_token_and_the_credentials() -> None:
    container = worker(job())
    assert container["envFrom"] == [{"secretRef": {"name": "media-s3"}}]
    assert volumes(container) == {"run": SOCKET_FOLDER, "worker-tmp": "/tmp", "token": TOKEN_FOLDER}
    assert [mount.get("readOnly") for mount in container["volumeMounts"]] == [None, None, True]


def test_no_token_is_mounted_by_itself() -> None:
    assert pod(job())["automountServiceAccountToken"] is False
    assert pod(job())["enableServiceLinks"] is False
    assert pod(job())["serviceAccountName"] == "media-worker"


def test_the_two_containers_share_the_socket_and_nothing_else() -> None:
    manifest = job()
    assert volumes(worker(manifest)).keys() & volumes(decoder(manifest)).keys() == {"run"}


def test_every_mounted_volume_is_bounded_and_defined() -> None:
    manifest = job()
    defined = {volume["name"]: volume for volume in pod(manifest)["volumes"]}
    assert defined.keys() == volumes(worker(manifest)).keys() | volumes(decoder(manifest)).keys()
    assert all("sizeLimit" in volume["emptyDir"] for volume in defined.values() if "emptyDir" in volume)


def test_no_container_can_gain_anything() -> None:
    manifest = job()
    for container in (worker(manifest), decoder(manifest)):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    context = pod(manifest)["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}


def test_the_decoder_is_a_native_sidecar_of_the_same_image() -> None:
    manifest = job(image=an_image(pull_policy="Always"))
    assert decoder(manifest)["restartPolicy"] == "Always"
    assert "restartPolicy" not in worker(manifest)
    for container, command in ((worker(manifest), "media-worker"), (decoder(manifest), "media-decoder")):
        assert container["command"] == [command]
        assert (container["image"], container["imagePullPolicy"]) == ("registry.test/media-worker:1", "Always")


def test_both_containers_meet_at_the_same_socket() -> None:
    manifest = job()
    assert argument(manifest, "--socket") == environment(manifest)["MEDIA_DECODER_SOCKET"]
    assert argument(manifest, "--socket").startswith(SOCKET_FOLDER + "/")


def test_the_worker_is_told_how_to_work() -> None:
    manifest = job(
        concurrency=3,
        prefetch=5,
        idle_seconds=7,
        max_lifetime_seconds=70,
        asset_timeout_seconds=9,
        renditions=(Rendition(name="tiny", size=16),),
        image=an_image(max_pixels=1000, max_frames=2),
    )
    assert environment(manifest) == {
        "MEDIA_NAMESPACE": "media",
        "MEDIA_CONCURRENCY": "3",
        "MEDIA_PREFETCH": "5",
        "MEDIA_IDLE_SECONDS": "7",
        "MEDIA_MAX_LIFETIME_SECONDS": "70",
        "MEDIA_ASSET_TIMEOUT_SECONDS": "9",
        "MEDIA_RENDITIONS": '[{"name": "tiny", "size": 16}]',
        "MEDIA_DECODER_SOCKET": "/run/media/decoder.sock",
        "MEDIA_MAX_PIXELS": "1000",
        "MEDIA_MAX_FRAMES": "2",
        "S3_BUCKET_MEDIA": "media",
        "AWS_REGION": "eu-central-1",
    }
    fields = {
        entry["name"]: entry["valueFrom"]["fieldRef"]["fieldPath"]
        for entry in worker(manifest)["env"]
        if "valueFrom" in entry
    }
    assert fields == {
        "MEDIA_JOB_NAME": "metadata.labels['batch.kubernetes.io/job-name']",
        "MEDIA_POD_NAME": "metadata.name",
    }


def test_the_decoder_has_a_child_for_each_asset_at_once_and_memory_for_all() -> None:
    manifest = job(concurrency=3, image=an_image(decoder_child_bytes=100 << 20))
    assert argument(manifest, "--children") == "3"
    assert argument(manifest, "--child-memory-bytes") == str(100 << 20)
    assert decoder(manifest)["resources"]["limits"] == {"memory": "556Mi"}


def test_an_isolated_asset_has_one_child_with_twice_the_memory() -> None:
    manifest = job(concurrency=3, image=an_image(decoder_child_bytes=100 << 20), isolated_for="x")
    assert argument(manifest, "--children") == "1"
    assert argument(manifest, "--child-memory-bytes") == str(200 << 20)
    assert environment(manifest)["MEDIA_CONCURRENCY"] == "1"
    assert decoder(manifest)["resources"]["limits"] == {"memory": "456Mi"}


def test_an_isolated_job_has_twice_the_memory_that_the_pool_gives() -> None:
    template = {"resources": {"decoder": DECODER_RESOURCES, "worker": WORKER_RESOURCES}}
    manifest = job(template=template, isolated_for="x")
    assert decoder(manifest)["resources"] == {
        "requests": {"cpu": "1", "memory": "1024Mi"},
        "limits": {"memory": "6Gi"},
    }
    assert worker(manifest)["resources"] == {"limits": {"cpu": 2, "memory": "2147483648"}}


def test_an_isolated_worker_has_twice_the_memory_of_an_ordinary_one() -> None:
    assert worker(job())["resources"]["limits"] == {"memory": "1Gi"}
    assert worker(job(isolated_for="x"))["resources"] == {
        "requests": {"cpu": "250m", "memory": "512Mi"},
        "limits": {"memory": "2Gi"},
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("512Mi", "1024Mi", id="binary units"),
        pytest.param("2G", "4G", id="decimal units"),
        pytest.param("500k", "1000k", id="the one small letter"),
        pytest.param(1024, "2048", id="plain bytes as a number"),
        pytest.param("1024", "2048", id="plain bytes as a text"),
        pytest.param("1.5Gi", "1.5Gi", id="a fraction is left as it is"),
        pytest.param("1e9", "1e9", id="an exponent is left as it is"),
    ],
)
def test_memory_grows_by_its_number(before: str | int, after: str) -> None:
    assert grown({"limits": {"memory": before, "cpu": 1}}, 2) == {"limits": {"memory": after, "cpu": 1}}


def test_nothing_grows_by_one() -> None:
    assert grown(DECODER_RESOURCES, 1) is DECODER_RESOURCES
    assert grown(None, 2) is None


def test_a_pool_says_where_its_workers_run() -> None:
    template = {
        "nodeSelector": {"disk": "fast"},
        "tolerations": ({"key": "spot", "operator": "Exists"},),
        "affinity": {"podAntiAffinity": {}},
        "priorityClassName": "low",
    }
    found = pod(job(template=template))
    assert {key: found[key] for key in template} == {
        **template,
        "tolerations": [{"key": "spot", "operator": "Exists"}],
    }
    assert not template.keys() & pod(job()).keys()


def test_a_pod_of_films_has_a_transcoder_in_place_of_the_decoder() -> None:
    manifest = job(pool=VIDEO_POOL, image=an_image(video_image="registry.test/films:1"))
    transcoder = decoder(manifest)
    assert (transcoder["name"], transcoder["command"]) == ("decoder", ["media-transcoder"])
    assert transcoder["args"] == [
        "--socket",
        "/run/media/decoder.sock",
        "--folder",
        "/run/film",
        "--memory-bytes",
        str(1792 << 20),
    ]
    assert transcoder["resources"] == {
        "requests": {"cpu": "1", "memory": "512Mi"},
        "limits": {"memory": "2048Mi"},
    }
    for container, command in ((worker(manifest), "media-worker"), (transcoder, "media-transcoder")):
        assert container["command"] == [command]
        assert container["image"] == "registry.test/films:1"


def test_the_transcoder_has_no_token_no_environment_and_no_credentials() -> None:
    container = decoder(job(pool=VIDEO_POOL))
    assert not {"env", "envFrom"} & container.keys()
    assert volumes(container) == {"run": SOCKET_FOLDER, "decoder-tmp": "/tmp", "film": FILM_FOLDER}
    text = json.dumps(container)
    assert "media-s3" not in text
    assert "token" not in text


def test_the_two_containers_of_films_share_a_disk_that_is_bounded_beside_the_socket() -> None:
    manifest = job(pool=VIDEO_POOL)
    assert volumes(worker(manifest)).keys() & volumes(decoder(manifest)).keys() == {"run", "film"}
    defined = {volume["name"]: volume for volume in pod(manifest)["volumes"]}
    assert defined.keys() == volumes(worker(manifest)).keys() | volumes(decoder(manifest)).keys()
    assert defined["film"] == {"name": "film", "emptyDir": {"sizeLimit": "20Gi"}}


def test_a_worker_of_films_makes_one_at_a_time_whatever_the_pool_says() -> None:
    manifest = job(pool=VIDEO_POOL, concurrency=4, prefetch=9, image=an_image(max_video_seconds=77))
    assert environment(manifest) == {
        "MEDIA_NAMESPACE": "media",
        "MEDIA_CONCURRENCY": "1",
        "MEDIA_PREFETCH": "0",
        "MEDIA_IDLE_SECONDS": "30",
        "MEDIA_MAX_LIFETIME_SECONDS": "3600",
        "MEDIA_ASSET_TIMEOUT_SECONDS": "1800",
        "MEDIA_DECODER_SOCKET": "/run/media/decoder.sock",
        "MEDIA_FILM_FOLDER": "/run/film",
        "MEDIA_MAX_VIDEO_SECONDS": "77",
        "S3_BUCKET_MEDIA": "media",
        "AWS_REGION": "eu-central-1",
    }


def test_an_isolated_film_has_twice_the_memory() -> None:
    manifest = job(pool=VIDEO_POOL, isolated_for="x")
    assert argument(manifest, "--memory-bytes") == str(3584 << 20)
    assert decoder(manifest)["resources"]["limits"] == {"memory": "3840Mi"}
    template = {"resources": {"decoder": DECODER_RESOURCES}}
    assert decoder(job(pool=VIDEO_POOL, template=template, isolated_for="x"))["resources"]["limits"] == {
        "memory": "6Gi"
    }


def test_only_workers_of_films_change_with_what_films_are_made_with() -> None:
    for other in (an_image(video_image="registry.test/films:2"), an_image(max_video_seconds=1)):
        assert template_hash(a_pool(VIDEO_POOL), other) != template_hash(a_pool(VIDEO_POOL), an_image())
        assert template_hash(a_pool(), other) == template_hash(a_pool(), an_image())


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True), st.uuids(), st.integers(1, 10**12))
def test_a_job_name_is_short_and_can_be_told_from_others(pool: str, uid: object, number: int) -> None:
    name = job_name(pool, str(uid), number)
    assert len(name) <= MAX_JOB_NAME
    assert name.endswith(f"-{str(uid)[:4]}-{number}")
    assert name[0].isalnum()
    assert job_name(pool, str(uid), number) == name
    assert job_name(pool, str(uid), number + 1) != name


def test_a_job_name_tells_pool_and_number() -> None:
    assert job()["metadata"]["name"] == "default-ab12-7"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(a_pool(replicas=50), id="more slots"),
        pytest.param(a_pool(paused=True), id="a pause"),
        pytest.param(a_pool(attempts={"limit": 9, "backoffSeconds": 1}), id="other attempts"),
        pytest.param(a_pool(version=99), id="a write of anything else"),
    ],
)
def test_what_workers_do_not_notice_leaves_the_template_as_it_is(other: MediaWorkerPool) -> None:
    assert template_hash(other, an_image()) == template_hash(a_pool(), an_image())


@pytest.mark.parametrize(
    ("pool", "image"),
    [
        pytest.param(a_pool(), an_image(image="registry.test/media-worker:2"), id="another image"),
        pytest.param(a_pool(), an_image(environment={"AWS_REGION": "x"}), id="another region"),
        pytest.param(a_pool(), an_image(s3_secret="other"), id="another Secret"),
        pytest.param(a_pool(), an_image(max_pixels=1), id="another limit"),
        pytest.param(a_pool(concurrency=5), an_image(), id="another concurrency"),
        pytest.param(a_pool(idle_seconds=5), an_image(), id="another linger"),
        pytest.param(a_pool(renditions=(Rendition(name="a", size=1),)), an_image(), id="other renditions"),
        pytest.param(a_pool(template={"nodeSelector": {"a": "b"}}), an_image(), id="another node"),
        pytest.param(a_pool(template={"resources": {"worker": WORKER_RESOURCES}}), an_image(), id="other resources"),
    ],
)
def test_what_changes_a_worker_changes_the_template(pool: MediaWorkerPool, image: WorkerImage) -> None:
    assert template_hash(pool, image) != template_hash(a_pool(), an_image())
    assert len(template_hash(pool, image)) == 8


def test_an_isolated_job_is_of_the_same_template() -> None:
    """Or it would be retired as one of an older template."""
    label = "media.docfliq.com/template-hash"
    assert job(isolated_for="x")["metadata"]["labels"][label] == job()["metadata"]["labels"][label]
