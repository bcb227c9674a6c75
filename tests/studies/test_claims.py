"""Claims: one owner at a time, whatever happens to the others."""

import json
import os
import threading
import time

import pytest

from cnnjax.studies import claims as claims_file
from cnnjax.studies.claims import Claims
from cnnjax.studies.renewal import ClaimLost, Renewal, StopWithoutClaim
from tests.helpers.processes import start_python

OTHER = "another process"


def make_old(claim, seconds=301):
    """Sets a claim's time back, and its process to one on another machine."""
    content = json.loads(claim.path.read_text())
    claim.path.write_text(json.dumps({**content, "host": OTHER}))
    past = time.time() - seconds
    os.utime(claim.path, (past, past))


def test_a_claim_names_host_and_process(claims):
    claim = claims.acquire("a")
    content = json.loads(claim.path.read_text())
    assert content["process"] == os.getpid()
    assert content["host"] and content["run"] == "a"


def test_a_claimed_run_is_not_claimed_again_until_it_is_released(claims):
    first = claims.acquire("a")
    assert claims.acquire("a") is None
    assert claims.acquire("b") is not None
    assert claims.live() == ["a", "b"]
    first.release()
    assert claims.live() == ["b"]
    second = claims.acquire("a")
    assert second.path.name == "a.0002.claim"


def test_names_that_start_alike_are_different_runs(claims):
    assert claims.acquire("a.1") is not None
    assert claims.acquire("a") is not None
    assert claims.acquire("a.1.0001") is not None


@pytest.mark.parametrize(("seconds", "taken"), [(299, False), (301, True)])
def test_a_stale_claim_is_taken_and_its_owner_finds_out(claims, seconds, taken):
    former = claims.acquire("a")
    make_old(former, seconds)
    taker = claims.acquire("a")
    assert (taker is not None) == taken
    assert former.renew() is not taken
    if taker is not None:
        former.release()
        assert claims.live() == ["a"]
        assert taker.renew()


def test_a_renewed_claim_is_not_stale(claims):
    claim = claims.acquire("a")
    make_old(claim)
    assert claim.renew()
    assert claims.acquire("a") is None


def test_the_claim_of_a_process_that_has_ended_is_taken_at_once(claims):
    script = (
        "import sys; from pathlib import Path; from cnnjax.studies.claims import Claims;"
        "print(Claims(Path(sys.argv[1])).acquire('a').path); sys.stdout.flush(); sys.stdin.read()"
    )
    import subprocess

    process = start_python("-c", script, claims.folder, stdin=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline()
    assert claims.acquire("a") is None
    process.kill()
    process.wait()
    assert claims.acquire("a") is not None
    process.communicate()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"process": "x"}'])
def test_a_claim_that_cannot_be_read_ends_by_age_alone(claims, content):
    claim = claims.acquire("a")
    claim.path.write_bytes(content)
    assert claims.acquire("a") is None
    past = time.time() - 301
    os.utime(claim.path, (past, past))
    assert claims.acquire("a") is not None


@pytest.mark.parametrize("stale", [False, True])
def test_of_many_at_once_one_succeeds(claims, stale):
    for name in map(str, range(20)):
        if stale:
            make_old(claims.acquire(name))
        won, start = [], threading.Barrier(8)

        def race(name=name, won=won, start=start):
            own = Claims(claims.folder)
            start.wait()
            claim = own.acquire(name)
            if claim is not None:
                won.append(claim)

        threads = [threading.Thread(target=race) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert won[0].renew()


def test_an_old_listing_takes_nothing(claims, monkeypatch):
    """A process that was held up between looking and claiming changes nothing for the owner."""
    first = claims.acquire("a")
    slow = Claims(claims.folder)
    first.release()
    owner = claims.acquire("a")
    listed = [(0, None), slow._newest("a")]
    monkeypatch.setattr(slow, "_newest", lambda run: listed.pop(0))
    assert slow.acquire("a") is None
    assert owner.renew() and claims.live() == ["a"]


def test_a_killed_claim_leaves_no_half_one(claims, monkeypatch):
    def killed(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(claims_file.os, "link", killed)
    with pytest.raises(KeyboardInterrupt):
        claims.acquire("a")
    monkeypatch.undo()
    assert claims.acquire("a") is not None


def test_a_file_system_without_links_is_named(claims, monkeypatch):
    def refused(*arguments):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(claims_file.os, "link", refused)
    with pytest.raises(Exception, match=r"without hard links.*choose another --workdir"):
        claims.acquire("a")


def test_a_renewal_keeps_the_claim_and_releases_it_at_the_end(claims):
    claim = claims.acquire("a")
    make_old(claim)
    with Renewal(claim, seconds=0.01) as renewal:
        deadline = time.monotonic() + 10
        while time.time() - claim.path.stat().st_mtime > 100:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        renewal.check()
    assert claims.live() == []


def test_a_former_owner_stops_at_its_next_renewal(claims, tmp_path):
    claim = claims.acquire("a")
    make_old(claim)
    taker = claims.acquire("a")
    with Renewal(claim, seconds=0.01) as renewal:
        deadline = time.monotonic() + 10
        while not renewal.lost:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        callback = StopWithoutClaim(renewal)
        for call in (
            lambda: callback.on_log(1, {}),
            lambda: callback.on_evaluation(1, {}),
            lambda: callback.on_checkpoint(1, tmp_path),
        ):
            with pytest.raises(ClaimLost, match="a was claimed by another process"):
                call()
    # The new owner's claim is still there.
    assert taker.renew() and claims.live() == ["a"]
