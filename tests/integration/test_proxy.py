# SPDX-License-Identifier: Apache-2.0
"""The bad link of the tests is bad in just the ways it says."""

import socket
import threading
import time

import pytest

from proxy import DOWN, UP, Proxy


class Echo:
    """Answers every connection with what it hears, and FIN with FIN."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        try:
            while True:
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()
        except OSError:
            pass

    @staticmethod
    def _serve(one):
        try:
            with one:
                while data := one.recv(4096):
                    one.sendall(data)
        except OSError:
            pass

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def link():
    echo = Echo()
    with Proxy(echo.port) as proxy:
        yield proxy
    echo.close()


def talk(link):
    one = socket.create_connection(("127.0.0.1", link.port), 5)
    assert says(one, b"hello") == b"hello"
    return one


def says(one, data):
    one.sendall(data)
    heard = b""
    while len(heard) < len(data):
        part = one.recv(4096)
        if not part:
            break
        heard += part
    return heard


def is_silent(one, seconds=0.2):
    one.settimeout(seconds)
    try:
        one.recv(1)
        return False
    except TimeoutError:
        return True
    finally:
        one.settimeout(5)


def test_a_good_link_carries_both_ways(link):
    with talk(link) as one:
        assert says(one, b"x" * 200000) == b"x" * 200000


@pytest.mark.parametrize("ways", [(UP,), (DOWN,), (UP, DOWN)])
def test_what_is_held_comes_later_and_whole(link, ways):
    with talk(link) as one:
        link.hold(ways)
        one.sendall(b"held")
        assert is_silent(one)
        link.clear()
        assert says(one, b"") == b"" and one.recv(4) == b"held"


def test_behind_a_held_link_a_new_connection_hears_nothing(link):
    link.hold()
    with socket.create_connection(("127.0.0.1", link.port), 5) as one:
        one.sendall(b"hello")
        assert is_silent(one)
        link.clear()
        assert one.recv(5) == b"hello"


def test_delay_is_there_in_each_way(link):
    with talk(link) as one:
        link.delay(100)
        begin = time.monotonic()
        assert says(one, b"x") == b"x"
        assert time.monotonic() - begin >= 0.2


def test_rate_bounds_the_bytes(link):
    with talk(link) as one:
        link.rate(20000)
        begin = time.monotonic()
        assert says(one, b"x" * 10000) == b"x" * 10000
        assert time.monotonic() - begin >= 0.45


def test_reset_is_a_reset(link):
    with talk(link) as one:
        link.reset()
        with pytest.raises(ConnectionResetError):
            one.recv(1)
        talk(link).close()


def test_a_half_closed_connection_hears_the_end_and_can_still_speak(link):
    with talk(link) as one:
        link.half_close(DOWN)
        assert one.recv(1) == b""
        one.sendall(b"still")


def test_a_refused_link_takes_nobody_until_it_admits_again(link):
    with talk(link) as one:
        link.refuse()
        with pytest.raises(ConnectionResetError):
            one.recv(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", link.port), 5)
    link.admit()
    talk(link).close()
