"""Downloads by name, with a client of the hub that needs no network."""

import hashlib
import json
import sys
import types

import pytest

from cnnjax import models
from cnnjax.models.weights.hub import REPOSITORIES


class LocalEntryNotFoundError(FileNotFoundError):
    pass


class NotOnTheHubError(Exception):
    pass


class Hub(types.ModuleType):
    """A stand-in for huggingface_hub: files by (repository, revision), kept by their checksum."""

    def __init__(self, folder):
        super().__init__("huggingface_hub")
        self.folder, self.files, self.asked = folder, {}, []
        self.online = True
        self.errors = types.SimpleNamespace(
            LocalEntryNotFoundError=LocalEntryNotFoundError,
            RepositoryNotFoundError=NotOnTheHubError,
            RevisionNotFoundError=NotOnTheHubError,
            EntryNotFoundError=NotOnTheHubError,
        )

    def put(self, repository, content, revision="main"):
        self.files[repository, revision] = content

    def hf_hub_download(self, repository, filename, *, revision):
        self.asked.append((repository, filename, revision))
        pointer = self.folder / repository / revision / filename
        if self.online:
            if (repository, revision) not in self.files:
                raise NotOnTheHubError(f"404: {repository}")
            content = self.files[repository, revision]
            blob = self.folder / hashlib.sha256(content).hexdigest()
            if not blob.exists():
                blob.write_bytes(content)
            pointer.parent.mkdir(parents=True, exist_ok=True)
            pointer.unlink(missing_ok=True)
            pointer.symlink_to(blob)
        elif not pointer.exists():
            raise LocalEntryNotFoundError("cannot find the requested files in the local cache")
        return str(pointer)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    folder = tmp_path / "hub"
    folder.mkdir()
    hub = Hub(folder)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return hub


def test_a_registered_name_is_fetched_and_its_checksum_kept(hub, tmp_path):
    hub.put("timm/resnet18.tv_in1k", b"weights")
    path = models.download_pretrained("resnet18")
    assert path.read_bytes() == b"weights"
    assert hub.asked == [("timm/resnet18.tv_in1k", "model.safetensors", "main")]
    kept = json.loads((tmp_path / "cache" / "cnnjax" / "checksums.json").read_text())
    assert kept == {
        "timm/resnet18.tv_in1k/model.safetensors@main": hashlib.sha256(b"weights").hexdigest()
    }


def test_any_repository_and_revision_can_be_given(hub, tmp_path):
    hub.put("someone/net", b"old", "v1")
    hub.put("someone/net", b"new", "v2")
    for revision, content in (("v1", b"old"), ("v2", b"new"), ("v1", b"old")):
        path = models.download_pretrained("someone/net", revision=revision, cache_dir=tmp_path)
        assert path.read_bytes() == content
    assert len(json.loads((tmp_path / "checksums.json").read_text())) == 2


def test_a_file_that_was_replaced_on_the_hub_is_refused(hub):
    hub.put("someone/net", b"old")
    models.download_pretrained("someone/net")
    hub.put("someone/net", b"new")
    with pytest.raises(models.WeightsError, match=r"remove its line from .*checksums\.json"):
        models.download_pretrained("someone/net")


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_damaged_checksums_are_named(text, hub):
    hub.put("someone/net", b"weights")
    models.download_pretrained("someone/net")
    (kept_in,) = hub.folder.parent.rglob("checksums.json")
    kept_in.write_text(text)
    with pytest.raises(models.WeightsError, match=r"checksums\.json cannot be read: .*remove"):
        models.download_pretrained("someone/net")


def test_a_damaged_file_is_refused(hub):
    hub.put("someone/net", b"weights")
    path = models.download_pretrained("someone/net")
    path.resolve().write_bytes(b"weightz")
    with pytest.raises(models.WeightsError, match="damaged"):
        models.download_pretrained("someone/net")


def test_offline_the_cache_is_used_and_other_files_are_missing(hub):
    hub.put("timm/resnet18.tv_in1k", b"weights")
    models.download_pretrained("resnet18")
    hub.online = False
    assert models.download_pretrained("resnet18").read_bytes() == b"weights"
    with pytest.raises(ConnectionError, match=r"timm/resnet34.*cannot be reached"):
        models.download_pretrained("resnet34")


def test_unknown_names_and_repositories_are_refused(hub):
    with pytest.raises(ValueError, match="did you mean resnet18"):
        models.download_pretrained("resnet_18")
    assert not hub.asked
    with pytest.raises(ValueError, match=r"no model\.safetensors in no-one/nothing"):
        models.download_pretrained("no-one/nothing")


def test_without_the_client_the_error_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"cnnjax\[hub\]"):
        models.download_pretrained("resnet18")


def test_every_name_is_a_registered_network():
    assert set(REPOSITORIES) <= set(models.list_models())
