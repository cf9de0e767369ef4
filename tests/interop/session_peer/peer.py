"""A peer that opens a session on an Afar server, over a gRPC stream like any other."""

import threading

import grpc

from session_peer.session import Session
from session_peer.wire import proto

OPEN = "/afar.session.v1.Session/Open"
OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]


class Peer(Session):
    """A session from our side.  With `silent` it says no Hello: a test does."""

    def __init__(self, address, names=None, silent=False, **more):
        super().__init__(names, **more)
        self.channel = grpc.insecure_channel(address, OPTIONS)
        self.reading = threading.Event()
        self.reading.set()
        self.status = None          # how the stream ended
        self.stream = self.channel.stream_stream(OPEN)(self.batches())
        self.reader = threading.Thread(target=self.read_all, daemon=True)
        self.reader.start()
        if not silent:
            self.say_hello()
            self.wait_until(lambda: self.hello)

    def read_all(self):
        def batches():
            for data in self.stream:
                self.reading.wait()
                yield data
        try:
            self.read(batches())
        except grpc.RpcError:
            pass
        finally:
            self.status = self.stream.code()
            self.end()

    def ask(self, to, path, message, kind, **more):
        """Calls, and waits for the reply."""
        return self.call(to, path, message, **more).reply(kind)

    def ping(self, number):
        self.pings.append(number)
        self.put(ping=proto.Ping(number=number))
        self.wait_until(lambda: number in self.pongs)

    def close(self):
        """Closes in order.  Neither side has broken a rule, and nothing is left open."""
        self.say_goodbye(proto.Goodbye.NONE)
        self.wait_until_over()
        self.leave()
        if self.failure:
            raise AssertionError(f"the server broke a rule: {self.failure}")
        if self.goodbye and self.goodbye.reason:
            raise AssertionError(f"the server says {self.goodbye}")
        if self.status != grpc.StatusCode.OK:
            raise AssertionError(f"the stream ended with {self.status}")

    def leave(self):
        """Goes without a word."""
        self.stream.cancel()
        self.reading.set()
        self.reader.join()
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None and not self.over:
            self.close()
        else:
            self.leave()
