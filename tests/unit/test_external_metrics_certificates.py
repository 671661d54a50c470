"""When the server's own authority and certificate are replaced, in which order, and that TLS clients accept them."""

from __future__ import annotations

import ssl
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from media_operator.external_metrics.certificates import Keyring, Step, decide, names_of, take
from media_operator.external_metrics.door import Door
from media_operator.external_metrics.issuing import CLOCKS_APART, Lives
from support.build import NOW

NAMES = names_of("media-metrics", "media")
LIVES = Lives()
DAY = timedelta(days=1)


def begun(now: datetime = NOW) -> Keyring:
    return take(Step.START_OVER, None, NAMES, now)


def issuer(keyring: Keyring) -> int:
    """Which of its authorities signed the certificate."""
    for number, authority in enumerate(keyring.authorities):
        try:
            keyring.certificate.verify_directly_issued_by(authority)
        except (InvalidSignature, ValueError):
            continue
        return number
    raise AssertionError("none of them")


HELD = begun()
OTHER = begun()


def at(days: float) -> datetime:
    return NOW + DAY * days


@pytest.mark.parametrize(
    ("told", "held", "names", "trusted", "now", "due"),
    [
        ("where there is nothing, all is made", None, NAMES, b"", NOW, Step.START_OVER),
        ("a keyring of today is kept", HELD, NAMES, HELD.bundle, at(1), Step.KEEP),
        ("also while nobody trusts it yet", HELD, NAMES, b"", NOW, Step.KEEP),
        ("an authority that is over begins it anew", HELD, NAMES, HELD.bundle, at(365), Step.START_OVER),
        ("a certificate is kept for two thirds", HELD, NAMES, HELD.bundle, at(59.9), Step.KEEP),
        ("then it is replaced", HELD, NAMES, HELD.bundle, at(60), Step.ISSUE_CERTIFICATE),
        ("but not by one nobody would trust", HELD, NAMES, OTHER.bundle, at(60), Step.KEEP),
        ("nor when the bundle cannot be read", HELD, NAMES, b"-----BEGIN nonsense", at(60), Step.KEEP),
        ("unless the old one is over", HELD, NAMES, b"", at(90), Step.ISSUE_CERTIFICATE),
        ("another Service needs another one", HELD, names_of("b", "media"), b"", NOW, Step.ISSUE_CERTIFICATE),
    ],
)
def test_what_is_due(
    told: str, held: Keyring | None, names: tuple[str, ...], trusted: bytes, now: datetime, due: Step
) -> None:
    assert decide(held, names, trusted, now) is due, told


def test_a_change_of_authority_is_trusted_first_and_signs_afterwards() -> None:
    long_lived = replace(LIVES, certificate=timedelta(days=300))
    held = take(Step.START_OVER, None, NAMES, NOW, long_lived)
    later = NOW + LIVES.authority * 2 / 3
    renewed = take(Step.ISSUE_CERTIFICATE, held, NAMES, later - DAY, long_lived)
    assert decide(renewed, NAMES, renewed.bundle, later, long_lived) is Step.ADD_AUTHORITY

    both = take(Step.ADD_AUTHORITY, renewed, NAMES, later, long_lived)
    assert both.authorities[1:] == renewed.authorities
    assert both.chain == renewed.chain, "the certificate in use is still the old authority's"
    assert issuer(both) == 1

    rested = later + LIVES.overlap
    assert decide(both, NAMES, both.bundle, rested - timedelta(seconds=1), long_lived) is Step.KEEP
    assert decide(both, NAMES, renewed.bundle, rested, long_lived) is Step.KEEP, "not before it is in the caBundle"
    assert decide(both, NAMES, both.bundle, rested, long_lived) is Step.ISSUE_CERTIFICATE

    changed = take(Step.ISSUE_CERTIFICATE, both, NAMES, rested, long_lived)
    assert issuer(changed) == 0
    assert changed.authorities == both.authorities, "replicas that have not changed yet are trusted on"


def test_over_five_years_no_authority_signs_before_it_is_trusted_and_none_is_ever_expired() -> None:
    held, trusted, now = begun(), b"", NOW
    steps: dict[Step, int] = dict.fromkeys(Step, 0)
    while now < NOW + 5 * LIVES.authority:
        step = decide(held, NAMES, trusted, now)
        steps[step] += 1
        old = held
        held = take(step, held, NAMES, now)
        if step is Step.ISSUE_CERTIFICATE:
            assert held.authorities[issuer(held)] in x509.load_pem_x509_certificates(trusted)
        assert held.certificate.not_valid_after_utc > now
        assert len(held.authorities) <= 2
        trusted = held.bundle
        now += DAY if held is old else timedelta(minutes=1)
    assert steps[Step.START_OVER] == 0
    assert steps[Step.ADD_AUTHORITY] >= 6
    assert steps[Step.ISSUE_CERTIFICATE] >= 24


def test_a_keyring_survives_the_secret() -> None:
    read = Keyring.read(HELD.written())
    assert read is not None
    assert (read.chain, read.bundle) == (HELD.chain, HELD.bundle)


@pytest.mark.parametrize(
    ("told", "changed"),
    [
        ("a value is missing", {"ca.key": None}),
        ("a value is empty, as the chart may make it", {"tls.crt": b""}),
        ("a key of something else", {"tls.key": OTHER.written()["tls.key"]}),
        ("an authority of something else", {"ca.crt": OTHER.bundle}),
        ("no PEM", {"ca.crt": b"\xff\x00"}),
    ],
)
def test_a_secret_that_does_not_fit_together_is_no_keyring(told: str, changed: dict[str, bytes | None]) -> None:
    data = {**HELD.written(), **changed}
    assert Keyring.read({key: value for key, value in data.items() if value is not None}) is None, told


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """TLS without a network. Raises ssl.SSLError."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (client.wrap_bio(down, up, server_hostname=name), server.wrap_bio(up, down, server_side=True))
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert ends[0].version() == "TLSv1.3"


@pytest.mark.parametrize("name", NAMES)
def test_a_strict_client_that_trusts_the_bundle_accepts_every_name(name: str) -> None:
    held = begun(datetime.now(NOW.tzinfo))
    door = Door()
    door.hang(held.chain, held.bundle.decode())
    client = ssl.create_default_context(cadata=held.bundle.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    handshake(door.context, client, name)


def test_it_is_valid_on_machines_whose_clocks_are_behind() -> None:
    assert HELD.certificate.not_valid_before_utc == NOW - CLOCKS_APART
    assert HELD.authorities[0].not_valid_before_utc == NOW - CLOCKS_APART
