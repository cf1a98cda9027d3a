"""MNIST and its like: found on disk, downloaded from mirrors that misbehave, or replaced by glyphs."""

import gc
import gzip
import hashlib
import http.server
import os
import socket
import struct
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from minigan.cli import machine as info
from minigan.data import download, mnist
from minigan.data.datasets import load_dataset, load_recorded
from minigan.errors import ArgumentError, DataError, DataMissingError, DownloadError

# requests leaves the socket of a response that nobody finished reading to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PUBLISHED = dict(mnist.SETS)  # as they are, before conftest.py makes their mirrors unreachable
PATIENCE = download.PATIENCE
REAL = os.environ.get("MINIGAN_DATA")  # read before a fixture takes it away
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 28, 28), dtype=np.uint8)
LABELS = np.array([3, 4], np.uint8)


def idx(array):
    codes = {"uint8": 0x08, "float32": 0x0D}
    head = bytes([0, 0, codes[array.dtype.name], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


CONTENT = {
    f"{mnist.TRAIN_IMAGES}.gz": gzip.compress(idx(IMAGES)),
    f"{mnist.TRAIN_LABELS}.gz": gzip.compress(idx(LABELS)),
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own, and no folder of the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache" / "minigan"


def listing(cache):
    return [path.name for path in (cache / "mnist").iterdir()]


class Mirror:
    """A web server on this machine; `behaviour(handler, name)` answers each request."""

    def __init__(self, behaviour):
        self.asked = asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                behaviour(self, self.path.split("/")[-1])

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads, self.server.over = True, threading.Event()
        self.server.handle_error = lambda *args: None  # whoever gives a mirror up closes the connection on it
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


def send(handler, body, *, code=200, length=None):
    handler.send_response(code)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def good(handler, name):
    send(handler, CONTENT[name])


def page_503(handler, name):
    send(handler, b"<html>Service Unavailable</html>", code=503)


def page_instead_of_data(handler, name):
    send(handler, b"<html>Please log in to the hotel's network</html>")


def cut_off(handler, name):
    send(handler, CONTENT[name][:100], length=len(CONTENT[name]))


def silent(handler, name):
    handler.server.over.wait()


def a_byte_at_a_time(handler, name):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(CONTENT[name][:1100])
    for byte in CONTENT[name][1100:1160]:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        if handler.server.over.wait(0.05):
            break


def endless(handler, name):
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.over.wait(0.01):
        handler.wfile.write(bytes(20_000))


def no_length(handler, name):
    send(handler, CONTENT[name], length="a lot")


class Clock:
    """A clock for downloads that goes on, at once, only while a mirror is waited for that will send nothing more."""

    def __init__(self):
        self.now, self.url, self.threads = 0.0, "", []
        self.stalls = {}  # a mirror's address: whether it has sent what it will

    def install(self, monkeypatch):
        clock, watched = self, download._watched

        class Event(threading.Event):
            def wait(self, timeout=None):
                if any(clock.url.startswith(url) and stalled() for url, stalled in clock.stalls.items()):
                    clock.now += timeout
                    return self.is_set()
                return super().wait(timeout)

        def thread(**options):
            clock.threads.append(threading.Thread(**options))
            return clock.threads[-1]

        def noted(url, *args, **options):
            clock.url = url
            return watched(url, *args, **options)

        monkeypatch.setattr(download, "time", SimpleNamespace(monotonic=lambda: clock.now))
        monkeypatch.setattr(download, "threading", SimpleNamespace(Event=Event, Thread=thread))
        monkeypatch.setattr(download, "_watched", noted)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    clock.install(monkeypatch)
    return clock


@pytest.fixture
def mirrors(monkeypatch, cache, clock):
    """Makes mirrors of the given behaviours, and tells the library that they, with our two images, are MNIST."""
    running = []

    def received():
        return any(path.stat().st_size for path in (cache / "mnist").glob(".*"))

    def make(*behaviours):
        for behaviour in behaviours:
            running.append(mirror := Mirror(behaviour))
            if behaviour in (silent, a_byte_at_a_time):
                asked = mirror.asked
                clock.stalls[mirror.url] = asked.__len__ if behaviour is silent else received
        files = tuple(
            mnist.File(
                name.removesuffix(".gz"),
                len(data),
                hashlib.sha256(data).hexdigest(),
                hashlib.sha256(gzip.decompress(data)).hexdigest(),
            )
            for name, data in CONTENT.items()
        )
        published = mnist.Published(tuple(m.url for m in running), files, files)
        monkeypatch.setitem(mnist.SETS, "mnist", published)
        return running

    yield make
    for mirror in running:
        mirror.server.over.set()
        mirror.server.shutdown()
        mirror.server.server_close()
    if any(mirror.asked for mirror in running):  # sockets of the client, closed while they can still be told of
        gc.collect()


def put(folder, *, plain=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in CONTENT.items():
        path = folder / (name.removesuffix(".gz") if plain else name)
        path.write_bytes(gzip.decompress(data) if plain else data)


# From disk -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sub", ["", "mnist"])
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("by", ["flag", "environment"])
def test_mnist_is_found_in_the_users_folder_without_asking_a_network(tmp_path, mirrors, monkeypatch, sub, plain, by):
    (mirror,) = mirrors(good)
    put(tmp_path / "mine" / sub, plain=plain)
    if by == "environment":
        monkeypatch.setenv("MINIGAN_DATA", str(tmp_path / "mine"))
    images, labels = mnist.load_mnist(data_dir=tmp_path / "mine" if by == "flag" else None)
    np.testing.assert_array_equal(images, IMAGES)
    assert labels.tolist() == [3, 4]
    assert mirror.asked == []


@pytest.fixture
def two_sets(mirrors):
    """Both published sets are our two images, and nothing can be downloaded."""
    mirrors(page_503)
    mnist.SETS["fashion-mnist"] = mnist.SETS["mnist"]


PLACES = [  # (set, the folder that is named, where in it the files lie)
    ("mnist", "data", "mnist"),
    ("mnist", "data", "MNIST/raw"),
    ("mnist", "data", "MNIST"),
    ("mnist", "data", "Mnist/raw"),
    ("mnist", "data/MNIST", "raw"),
    ("mnist", "data/MNIST", ""),
    ("mnist", "data/MNIST/raw", ""),
    ("mnist", "data/mnist", ""),
    ("mnist", "data/mnist/raw", ""),
    ("mnist", "anywhere", ""),
    ("fashion-mnist", "data", "fashion-mnist"),
    ("fashion-mnist", "data", "FashionMNIST/raw"),
    ("fashion-mnist", "data", "Fashion-MNIST"),
    ("fashion-mnist", "data", "fashion_mnist"),
    ("fashion-mnist", "data/FashionMNIST", "raw"),
    ("fashion-mnist", "data/FashionMNIST/raw", ""),
    ("fashion-mnist", "data/fashion-mnist", ""),
]


@pytest.mark.parametrize(("name", "named", "inside"), PLACES, ids=str)
@pytest.mark.parametrize("spelt", ["dash", "dot", "dash.gz", "dot.gz"])
def test_a_set_is_found_where_people_have_it_and_info_says_so(
    tmp_path, two_sets, monkeypatch, name, named, inside, spelt
):
    folder = tmp_path / named / inside
    put(folder, plain=not spelt.endswith(".gz"))
    if spelt.startswith("dot"):
        for path in list(folder.iterdir()):
            path.rename(folder / path.name.replace("-idx", ".idx"))
    found = load_dataset(name, data_dir=tmp_path / named, test_images=True, count=4, split_seed=0)
    assert sorted(image.tobytes() for image in found.images) == sorted(2 * [image.tobytes() for image in IMAGES])
    assert mnist.load_mnist(name=name, data_dir=tmp_path / named)[1].tolist() == [3, 4]
    monkeypatch.setenv("MINIGAN_DATA", str(tmp_path / named))
    told = dict(info.data())
    assert told[name] == f"4 of 4 files in {folder}"  # of our sets the test files are the training files
    assert name != "mnist" or told["fashion-mnist"] == "not here; downloaded when it is first used"
    monkeypatch.chdir(tmp_path / named)
    assert load_dataset(name, data_dir=".").record["images"] == 2


def test_the_files_of_one_set_are_not_taken_for_those_of_the_other(tmp_path, two_sets):
    put(tmp_path / "mnist")
    for data_dir in (tmp_path, tmp_path / "mnist"):
        with pytest.raises(DataMissingError, match=r"train-images-idx3-ubyte is not in .*fashion-mnist"):
            load_dataset("fashion-mnist", data_dir=data_dir, offline=True)


def test_a_folder_in_place_of_a_file_is_passed_over(tmp_path, two_sets):
    """An archive that people have holds a folder of each file's name beside the files with a dot."""
    put(tmp_path / mnist.TRAIN_IMAGES, plain=True)
    (tmp_path / "train-images.idx3-ubyte").write_bytes(idx(IMAGES))
    assert load_dataset("mnist", data_dir=tmp_path, offline=True).record["images"] == 2


def test_what_is_in_two_places_is_told_with_both(tmp_path, two_sets, monkeypatch):
    put(tmp_path / "mnist")
    (tmp_path / "mnist" / f"{mnist.TRAIN_LABELS}.gz").rename(tmp_path / f"{mnist.TRAIN_LABELS}.gz")
    monkeypatch.setenv("MINIGAN_DATA", str(tmp_path))
    assert dict(info.data())["mnist"] == f"4 of 4 files in {tmp_path / 'mnist'} and {tmp_path}"


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "auto"])
def test_images_without_their_labels_are_enough_to_learn_from(tmp_path, two_sets, name):
    folder = tmp_path / ("FashionMNIST" if name == "fashion-mnist" else "MNIST") / "raw"
    put(folder)
    (folder / f"{mnist.TRAIN_LABELS}.gz").unlink()
    said = []
    np.testing.assert_array_equal(load_dataset(name, data_dir=tmp_path, say=said.append).images, IMAGES)
    assert said == []  # nothing was asked of a network
    name = "mnist" if name == "auto" else name
    np.testing.assert_array_equal(mnist.load_images(name=name, data_dir=tmp_path), IMAGES)
    with pytest.raises(DataMissingError, match=r"train-labels-idx1-ubyte is not in .* load_images reads them"):
        mnist.load_mnist(name=name, data_dir=tmp_path, offline=True)
    with pytest.raises(DownloadError, match=r"train-labels-idx1-ubyte.gz could not .* load_images reads them"):
        mnist.load_mnist(name=name, data_dir=tmp_path, say=said.append)


@pytest.mark.parametrize("empty", ["", "mnist", "MNIST/raw", "mnist/raw"])
@pytest.mark.parametrize("by", ["flag", "environment", "cache"])
def test_an_empty_folder_is_no_data(tmp_path, cache, mirrors, monkeypatch, empty, by):
    """Such as an older minigan left behind a download that failed."""
    (mirror,) = mirrors(good)
    root = cache if by == "cache" else tmp_path / "mine"
    (root / empty).mkdir(parents=True)
    if by == "environment":
        monkeypatch.setenv("MINIGAN_DATA", str(root))
    place = {"data_dir": root if by == "flag" else None}
    said = []
    with pytest.raises(DataMissingError, match=r"train-images-idx3-ubyte is not in .*mnist .*or give --data-dir DIR"):
        load_dataset("mnist", **place, offline=True)
    assert load_dataset("auto", **place, offline=True, count=3, say=said.append).record["name"] == "glyphs"
    if by != "flag":
        assert dict(info.data())["mnist"] == "not here; downloaded when it is first used"
    with pytest.raises(DataError, match=r"must hold one IDX file .*; found: none"):
        load_dataset(str(root / empty))
    np.testing.assert_array_equal(load_dataset("mnist", **place, say=said.append).images, IMAGES)
    assert len(mirror.asked) == 1
    assert (root / "mnist" / f"{mnist.TRAIN_IMAGES}.gz").is_file()


def test_a_failed_download_leaves_the_folders_that_were_there(tmp_path, mirrors):
    mirrors(page_503)
    for folder in ("mine", "full/mnist"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "full" / "mnist" / "notes.txt").write_text("mine")
    for folder in ("mine", "full"):
        with pytest.raises(DownloadError):
            load_dataset("mnist", data_dir=tmp_path / folder, say=lambda line: None)
    assert list((tmp_path / "mine").iterdir()) == []
    assert (tmp_path / "full" / "mnist" / "notes.txt").exists()


def test_a_damaged_file_in_the_users_folder_is_an_error_and_stays(tmp_path, mirrors):
    mirrors(good)
    put(tmp_path / "mine")
    bad = tmp_path / "mine" / f"{mnist.TRAIN_IMAGES}.gz"
    bad.write_bytes(gzip.compress(idx(IMAGES + 1)))
    for name in ("mnist", "auto"):
        with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz has the wrong content"):
            load_dataset(name, data_dir=tmp_path / "mine")
    assert bad.exists()


def test_a_folder_that_does_not_exist_is_an_error_even_for_auto(tmp_path, monkeypatch):
    with pytest.raises(DataMissingError, match=r"there is no folder nowhere \(from --data-dir\)"):
        load_dataset("auto", data_dir="nowhere")
    monkeypatch.setenv("MINIGAN_DATA", "elsewhere")
    assert load_dataset("glyphs", count=3).record["name"] == "glyphs"  # which does not read that folder
    with pytest.raises(DataMissingError, match=r"there is no folder elsewhere \(from MINIGAN_DATA\)"):
        load_dataset("mnist")


def test_a_split_or_set_that_does_not_exist_is_named():
    with pytest.raises(ArgumentError, match="split is 'validation'; it must be train or test"):
        mnist.load_mnist("validation")
    with pytest.raises(ArgumentError, match="unknown dataset 'minst'; did you mean mnist"):
        load_dataset("minst")
    with pytest.raises(ArgumentError, match="known: auto, mnist, fashion-mnist, glyphs, or a folder of IDX files"):
        load_dataset("/no/such/folder")


@pytest.mark.skipif(not REAL, reason="MINIGAN_DATA is not set; CI sets it")
def test_the_pinned_hashes_are_those_of_the_published_content():
    images, labels = mnist.load_mnist("train", data_dir=REAL)
    test_images, test_labels = mnist.load_mnist("test", data_dir=REAL)
    assert (images.shape, labels.shape) == ((60_000, 28, 28), (60_000,))
    assert (test_images.shape, test_labels.shape) == ((10_000, 28, 28), (10_000,))
    assert labels[:5].tolist() == [5, 0, 4, 1, 9]


# From the network ----------------------------------------------------------------------------------------------------


def test_mnist_is_downloaded_once_announced_and_kept(cache, mirrors):
    first, second = mirrors(good, good)
    said = []
    np.testing.assert_array_equal(mnist.load_mnist(say=said.append)[0], IMAGES)
    assert said[0].startswith(f"Downloading {first.url}{mnist.TRAIN_IMAGES}.gz (0.0 MB) into {cache / 'mnist'}")
    assert len(first.asked) == 2
    mnist.load_mnist(say=said.append)
    mnist.load_mnist(offline=True)
    assert (len(first.asked), second.asked, len(said)) == (2, [], 2)
    assert sorted(listing(cache)) == sorted(CONTENT)


@pytest.mark.parametrize(
    "bad",
    [page_503, page_instead_of_data, cut_off, silent, a_byte_at_a_time, endless, no_length],
    ids=lambda b: b.__name__,
)
def test_a_bad_mirror_is_followed_by_the_next_and_leaves_nothing(cache, mirrors, clock, bad):
    first, second = mirrors(bad, good)
    images, _ = mnist.load_mnist(say=lambda line: None)
    np.testing.assert_array_equal(images, IMAGES)
    assert first.asked
    assert second.asked
    first.server.over.set()
    for thread in clock.threads:  # the one that was given up may have something to remove
        thread.join()
    kept = {name: (cache / "mnist" / name).read_bytes() for name in listing(cache)}
    assert kept == CONTENT


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (page_503, "503 Service Unavailable"),
        (page_instead_of_data, "sent something else than the published file"),
        (cut_off, "the connection broke"),
        (endless, "sent more than the"),
        (no_length, "a broken answer"),
        (silent, "no answer within 2.5 s"),
        (a_byte_at_a_time, "only 0 bytes in 5 s"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_when_all_mirrors_are_bad_the_reason_and_the_remedies_are_told_and_no_file_is_kept(cache, mirrors, bad, reason):
    mirrors(bad, bad)
    with pytest.raises(DownloadError) as caught:
        load_dataset("mnist", say=lambda line: None)
    message = str(caught.value)
    assert message.count(reason) == 2
    for part in (mnist.TRAIN_IMAGES, "--data-dir DIR", "MINIGAN_DATA=DIR", "--dataset glyphs"):
        assert part in message
    assert not cache.exists()  # nor an empty folder that would pass for data


def test_a_dead_network_is_given_up_within_the_stated_time(mirrors, clock):
    """A port that accepts connections and never answers, for both mirrors."""
    mirrors(good)
    with socket.create_server(("127.0.0.1", 0)) as dead:
        url = f"http://127.0.0.1:{dead.getsockname()[1]}/"
        mnist.SETS["mnist"] = mnist.SETS["mnist"]._replace(mirrors=(url, url))
        clock.stalls[url] = lambda: True
        said = []
        load_dataset("auto", count=3, say=said.append)
    assert 5 <= clock.now < 5.2  # it looks 20 times a second
    assert said[-2].startswith("No MNIST: train-images-idx3-ubyte.gz could not be downloaded")
    assert "no answer within 2.5 s" in said[-2]
    assert "Training on glyphs instead" in said[-2]


@pytest.mark.parametrize("say", [print, [].append])
def test_a_download_shows_its_bar_on_the_screen_alone(tmp_path, mirrors, monkeypatch, capfd, say):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes the output for a terminal
    monkeypatch.setenv("TERM", "xterm-256color")
    mirrors(good)
    np.testing.assert_array_equal(load_dataset("mnist", data_dir=tmp_path, say=say).images, IMAGES)
    assert bool(capfd.readouterr().out) == (say is print)


def test_the_stated_time_is_five_seconds():
    assert PATIENCE == 5


def test_ctrl_c_during_a_download_leaves_no_part_of_the_file(cache, mirrors, monkeypatch):
    mirrors(a_byte_at_a_time)
    wait = threading.Event.wait

    def interrupted(event, timeout=None):
        if next((cache / "mnist").glob(".*")).stat().st_size:
            raise KeyboardInterrupt
        return wait(event, timeout)

    monkeypatch.setattr(download.threading.Event, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_dataset("mnist", say=lambda line: None)
    assert not cache.exists()  # nor an empty folder that would pass for data


def test_a_name_lookup_that_hangs_is_given_up_too(mirrors, clock, monkeypatch):
    (mirror,) = mirrors(good)
    clock.stalls[mirror.url] = lambda: True
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: mirror.server.over.wait())
    with pytest.raises(DownloadError, match=r"no answer within 5 s"):
        load_dataset("mnist", say=lambda line: None)


def test_a_damaged_file_in_the_cache_is_fetched_again(cache, mirrors):
    mirrors(good)
    put(cache / "mnist")
    (cache / "mnist" / f"{mnist.TRAIN_IMAGES}.gz").write_bytes(b"<html>")
    np.testing.assert_array_equal(mnist.load_mnist(say=lambda line: None)[0], IMAGES)
    np.testing.assert_array_equal(mnist.load_mnist(offline=True)[0], IMAGES)


def test_a_good_copy_in_the_cache_is_used_beside_a_damaged_one(cache, mirrors):
    (mirror,) = mirrors(good)
    put(cache / "mnist")
    (cache / "mnist" / mnist.TRAIN_IMAGES).write_bytes(b"damaged")
    np.testing.assert_array_equal(mnist.load_mnist(offline=True)[0], IMAGES)
    assert mirror.asked == []
    (cache / "mnist" / f"{mnist.TRAIN_IMAGES}.gz").unlink()
    with pytest.raises(DataError, match="not an IDX file"):
        mnist.load_mnist(offline=True)


def test_a_mirrors_file_of_the_right_hash_but_wrong_content_is_not_kept(cache, mirrors):
    mirrors(good)
    published = mnist.SETS["mnist"]
    wrong = tuple(file._replace(sha256="00" * 32) for file in published.train)
    mnist.SETS["mnist"] = published._replace(train=wrong)
    with pytest.raises(DownloadError, match="wrong content"):
        mnist.load_mnist(say=lambda line: None)
    assert not cache.exists()  # nor an empty folder that would pass for data


def test_offline_asks_no_network_and_says_how_to_get_mnist(mirrors):
    (mirror,) = mirrors(good)
    with pytest.raises(DataMissingError, match=r"nothing is downloaded with --offline; connect to a network, or give"):
        load_dataset("mnist", offline=True)
    said = []
    found = load_dataset("auto", offline=True, count=3, say=said.append)
    assert found.record["name"] == "glyphs"
    assert len(said) == 2
    assert "For MNIST, connect to a network, or give --data-dir DIR" in said[1]
    assert mirror.asked == []


def test_a_cache_that_cannot_be_written_means_glyphs_with_the_reason_or_an_error(cache, mirrors, monkeypatch):
    mirrors(good)
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_text("a file where the cache's folder should be")
    said = []
    assert load_dataset("auto", count=3, say=said.append).record["name"] == "glyphs"
    assert str(cache) in said[0]
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        load_dataset("mnist", say=said.append)


def test_a_disk_that_fills_up_leaves_no_part_of_a_file(cache, mirrors, monkeypatch):
    class Full:
        def __init__(self, **options):
            pass

        def __call__(self, url, file, pooch):
            file.write(b"a part")
            raise OSError(28, "No space left on device")

    mirrors(good)
    monkeypatch.setattr("pooch.HTTPDownloader", Full)
    with pytest.raises(OSError, match=r"No space left on device: .*train-images"):
        load_dataset("mnist", say=lambda line: None)
    assert not cache.exists()  # nor an empty folder that would pass for data


# By name -------------------------------------------------------------------------------------------------------------


def test_every_set_has_two_https_mirrors_and_a_hash_for_every_file():
    for published in PUBLISHED.values():
        assert len(published.mirrors) == 2
        assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in published.mirrors)
        for file in (*published.train, *published.test):
            assert len(file.gz_sha256) == 64


def test_a_folder_of_idx_files_is_a_dataset_named_after_it(tmp_path):
    folder = tmp_path / "kuzushiji"
    folder.mkdir()
    (folder / "README.txt").write_text("not data")
    (folder / "k49-idx1-ubyte").write_bytes(idx(LABELS))
    (folder / "k49-test-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(IMAGES)))
    found = load_dataset(str(folder))
    assert (found.record["name"], found.record["images"]) == ("kuzushiji", 2)
    (folder / "k49-train-images.idx").write_bytes(idx(IMAGES[:1]))
    assert load_dataset(str(folder)).record["images"] == 1
    (folder / "more-train-images.idx").write_bytes(idx(IMAGES[:1]))
    with pytest.raises(DataError, match=r"one IDX file of images.*k49-train-images.idx, more-train-images.idx"):
        load_dataset(str(folder))


def test_a_damaged_compressed_file_in_a_folder_is_passed_over(tmp_path):
    (tmp_path / "good.idx").write_bytes(idx(IMAGES))
    (tmp_path / "bad.idx.gz").write_bytes(gzip.compress(idx(IMAGES))[:10] + b"\xff" * 50)
    np.testing.assert_array_equal(load_dataset(str(tmp_path)).images, IMAGES)


@pytest.mark.parametrize("images", [IMAGES[:, :20], IMAGES.astype(np.float32)])
def test_a_folder_with_other_images_is_refused(tmp_path, images):
    (tmp_path / "x.idx").write_bytes(idx(np.ascontiguousarray(images)))
    with pytest.raises(DataError, match=r"minigan's recipes draw uint8 \(N, 28, 28\)"):
        load_dataset(str(tmp_path))


def test_a_recorded_dataset_comes_back_or_its_change_is_an_error(tmp_path):
    glyphs = load_dataset("glyphs", count=5)
    np.testing.assert_array_equal(load_recorded(glyphs.record).images, glyphs.images)
    (tmp_path / "x.idx").write_bytes(idx(IMAGES))
    record = load_dataset(str(tmp_path)).record
    np.testing.assert_array_equal(load_recorded(record).images, IMAGES)
    (tmp_path / "x.idx").rename(tmp_path / "compressed.idx.gz")
    (tmp_path / "compressed.idx.gz").write_bytes(gzip.compress(idx(IMAGES)))
    np.testing.assert_array_equal(load_recorded(record).images, IMAGES)
    (tmp_path / "new").mkdir()
    (tmp_path / "compressed.idx.gz").rename(tmp_path / "new" / "x.idx.gz")
    np.testing.assert_array_equal(load_recorded(record, data_dir=tmp_path / "new").images, IMAGES)
    gone = {**record, "path": str(tmp_path / "gone" / "x.idx")}
    with pytest.raises(DataMissingError, match=r"which is gone; give the new place: --data-dir DIR"):
        load_recorded(gone)
    (tmp_path / "x.idx").write_bytes(idx(IMAGES + 1))
    with pytest.raises(DataError, match=r"trained on 2 images .* put the former back"):
        load_recorded(record)


def test_only_as_many_images_as_asked_for_are_given(tmp_path):
    (tmp_path / "x.idx").write_bytes(idx(IMAGES))
    assert len(load_dataset(str(tmp_path), count=1).images) == 1


@pytest.fixture
def two_splits(tmp_path):
    """A folder with four training images and two test images."""
    train = np.arange(4, dtype=np.uint8)[:, None, None] + np.full((1, 28, 28), 10, np.uint8)
    (tmp_path / "train.idx").write_bytes(idx(train))
    (tmp_path / "t10k.idx").write_bytes(idx(IMAGES))
    return str(tmp_path), np.concatenate([train, IMAGES])


def test_test_images_come_after_the_training_images_if_they_are_asked_for(two_splits):
    folder, images = two_splits
    np.testing.assert_array_equal(load_dataset(folder).images, images[:4])
    found = load_dataset(folder, test_images=True)
    np.testing.assert_array_equal(found.images, images)
    np.testing.assert_array_equal(load_recorded(found.record).images, images)


def test_a_random_split_is_decided_by_the_seed(two_splits):
    folder, images = two_splits
    splits = [load_dataset(folder, count=4, test_images=True, split_seed=seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(splits[0].images, splits[1].images)
    assert not np.array_equal(splits[0].images, splits[2].images)
    everything = load_dataset(folder, test_images=True, split_seed=0).images
    assert sorted(image.tobytes() for image in everything) == sorted(image.tobytes() for image in images)
    np.testing.assert_array_equal(everything[:4], splits[0].images)
    np.testing.assert_array_equal(load_recorded(splits[2].record).images, splits[2].images)


def test_glyphs_have_no_split_to_draw():
    same = load_dataset("glyphs", count=5, test_images=True, split_seed=3)
    np.testing.assert_array_equal(same.images, load_dataset("glyphs", count=5).images)
    np.testing.assert_array_equal(load_recorded(same.record).images, same.images)
    older = {**same.record, "test_images": True}  # as runs once recorded it, and their checkpoints too
    assert load_recorded(older).record == older
