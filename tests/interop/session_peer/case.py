"""What the tests of sessions share: the servers, a listener, and a peer that watches."""

import os
import threading
import unittest

from harness import BIN, HERE, PYTHON, Server, wait_until
from session_peer.calls import Object
from session_peer.peer import Peer
from session_peer.wire import desk

SESSION_SERVER = [os.path.join(BIN, "session_server")]
PYTHON_SERVER = [PYTHON, os.path.join(HERE, "session_peer", "python_server.py")]
COUNTER, LISTENER = "afar.test.desk.Counter", "afar.test.desk.Listener"
EMPTY = desk.Nothing()


def on(name):
    return f"/afar.test.desk.Desk/{name}"


def on_counter(name):
    return f"/{COUNTER}/{name}"


def hear(answer):
    return desk.Text(text=f"heard {answer.request(desk.Text).text}")


def talk(answer):
    while (message := answer.receive(desk.Text)) is not None:
        answer.send(desk.Text(text=f"heard {message.text}"))


class Listener(Object):
    def __init__(self):
        super().__init__(LISTENER, Hear=hear, Note=self.note, Talk=talk)
        self.notes = []
        self.gone = threading.Event()
        self.on_release = self.gone.set

    def note(self, answer):
        self.notes.append((answer.request(desk.Text).text, answer.oneway))


class SessionTest(unittest.TestCase):
    command = SESSION_SERVER

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.command)
        cls.watching = Peer(cls.server.address)

    @classmethod
    def tearDownClass(cls):
        cls.watching.close()
        cls.server.stop()

    def peer(self, names=None, **more):
        return Peer(self.server.address, names, **more)

    def seen(self):
        return self.watching.ask("desk", on("Look"), EMPTY, desk.Seen)

    def wait_for(self, **numbers):
        """Until Look shows just these."""
        wait_until(lambda: all(getattr(self.seen(), name) == value
                               for name, value in numbers.items()), numbers)

    def make(self, peer, **more):
        """A counter of the server, and the question that it came with."""
        question = peer.call("desk", on("Make"), EMPTY, **more)
        return question.reference(question.reply(desk.CounterRef).counter)

    def with_listener(self, peer, name, listener, kind, request=None):
        """Calls a method of the desk that takes a listener."""
        references = peer.references()
        request = request or desk.ListenerRef()
        request.listener.CopyFrom(references.put(listener))
        return peer.ask("desk", on(name), request, kind, references=references)

    def call_back(self, peer, name, listener, times, kind=desk.Texts):
        return self.with_listener(peer, name, listener, kind, desk.CallBackRequest(times=times))

    def add(self, peer, counter, amount):
        return peer.ask(counter, on_counter("Add"), desk.Amount(amount=amount), desk.Amount).amount
