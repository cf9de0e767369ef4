#!/usr/bin/python3
"""afar channel: messages in and out of a program in C, through real pipes.

AFAR_MESSAGES sets how many go through one after the other.

Cost: 10"""

import os
import signal
import socket
import subprocess
import sys
import tempfile

from harness import (AFAR, BIN, DONE, HERE, NO, OTHER, PATIENCE, ROOT, SCRATCH, UNREACHABLE, USAGE,
                     CommandTest, Process, environment, main)

STUBS = os.path.join(SCRATCH, "parcels")
MOST = 4 * 1024 * 1024 - 1024
A_WHILE = 4 * PATIENCE  # for a hundred thousand messages


def make_stubs():
    os.mkdir(STUBS)
    subprocess.run(["protoc", "-I", os.path.join(ROOT, "idl"), "-I", HERE, "--python_out", STUBS,
                    "afar/options.proto", "afar/ref.proto", "parcel.proto"], check=True)
    sys.path.insert(0, STUBS)


make_stubs()
from google.protobuf.internal.decoder import _DecodeVarint32
from google.protobuf.internal.encoder import _VarintBytes

import parcel_pb2 as pb


def parcel(number, **more):
    return pb.Parcel(number=number, text=f"parcel {number}", **more)


def delimited(*messages):
    """The bytes of messages, as protobuf's libraries write them one behind the other."""
    return b"".join(_VarintBytes(message.ByteSize()) + message.SerializeToString()
                    for message in messages)


def parcels(data):
    """The parcels in such bytes."""
    found, at = [], 0
    while at < len(data):
        length, at = _DecodeVarint32(data, at)
        found.append(pb.Parcel.FromString(data[at:at + length]))
        at += length
    return found


class Home(Process):
    """The program in C."""

    def __init__(self, names, capacity, env):
        super().__init__([os.path.join(BIN, "channel_home"), names, str(capacity)], env,
                         stdin=subprocess.PIPE)
        self.address = self.line.split()[-1]

    def tell(self, order):
        self.process.stdin.write(f"{order}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if line != "done\n":
            raise RuntimeError(f"{order}: {line!r} {self.error_text()}")

    def kill(self):
        self.process.stdin.close()
        super().kill()


class Running:
    """afar channel, with files or pipes of its own."""

    def __init__(self, test, *words, **files):
        self.errors = tempfile.TemporaryFile(dir=SCRATCH)
        files = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **files}
        self.process = subprocess.Popen([AFAR, "channel", *words], stderr=self.errors,
                                        env=environment(test.home, test.names), **files)
        test.addCleanup(self.clean_up)
        self.test = test

    def clean_up(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        for file in (self.process.stdin, self.process.stdout, self.errors):
            if file:
                file.close()

    def end(self, code=DONE, patience=PATIENCE):
        """Waits for it; what it complained of."""
        status = self.process.wait(patience)
        self.errors.seek(0)
        said = self.errors.read().decode()
        self.test.assertEqual(status, code, said)
        return said


class ChannelTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.start_names()
        self.c_home = None

    def start_home(self, capacity=0):
        self.c_home = Home(self.names, capacity, environment(self.home))
        self.addCleanup(self.c_home.kill)
        return self.c_home

    def start(self, *words, **files):
        return Running(self, *words, **files)

    def channel(self, *words, data=b"", code=DONE):
        """Runs it to its end; its output, and what it complained of."""
        done = subprocess.run([AFAR, "channel", *words], input=data, capture_output=True,
                              env=environment(self.home, self.names), timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return done.stdout, done.stderr.decode()

    def refused(self, *words, data=b"", code):
        """The one line that it complains with."""
        printed, said = self.channel(*words, data=data, code=code)
        self.assertEqual(printed, b"")
        self.assertEqual(said.count("\n"), 1, said)
        return said

    def file(self, data):
        file = tempfile.TemporaryFile(dir=SCRATCH)
        self.addCleanup(file.close)
        file.write(data)
        file.flush()
        file.seek(0)
        return file

    def full_pipe(self, data):
        """A pipe out of which that comes, as much as fits in one."""
        reader, writer = os.pipe()
        with open(writer, "wb") as file:
            file.write(data)
        file = open(reader, "rb")
        self.addCleanup(file.close)
        return file

    def receives(self, name, *expected):
        data, _ = self.channel("receive", name, "--count", str(len(expected)))
        self.assertEqual(parcels(data), list(expected))


class PassingTest(ChannelTest):
    def pass_many(self, count, capacity, *more):
        """Through the program in C, which unpacks and packs them, and back."""
        home = self.start_home(capacity)
        data = delimited(*(parcel(number, data=b"x" * (number % 50)) for number in range(count)))
        back = self.file(b"")
        receiving = self.start("receive", "out", stdout=back)
        sending = self.start("send", "in", *more, stdin=self.file(data))
        self.assertEqual(sending.end(patience=A_WHILE), "")
        home.tell("finish")
        self.assertEqual(receiving.end(), "")
        back.seek(0)
        self.assertTrue(back.read() == data)

    def test_many(self):
        self.pass_many(int(os.environ.get("AFAR_MESSAGES", "10000")), 0)

    def test_many_ahead(self):
        self.pass_many(10_000, 100, "--ahead")

    def test_a_pipeline(self):
        """From one command to the other, with shells between."""
        self.start_home()
        data = delimited(*(parcel(number) for number in range(500)))
        receiving = self.start("receive", "both", "--count", "500", stdout=subprocess.PIPE)
        sending = self.start("send", "both", stdin=self.full_pipe(data))
        copied = self.start("send", "pile", stdin=receiving.process.stdout)
        for running in (sending, receiving, copied):
            self.assertEqual(running.end(), "")
        self.receives("pile", *(parcel(number) for number in range(500)))

    def test_by_address(self):
        address = self.start_home().address
        for target in (f"{address}/pile", f"afar://{address}/pile"):
            self.channel("send", target, data=delimited(parcel(1)))
            self.receives(target, parcel(1))

    def test_as_they_come(self):
        """Each is passed on at once, though the input goes on."""
        self.start_home()
        sending = self.start("send", "both", stdin=subprocess.PIPE)
        receiving = self.start("receive", "both", stdout=subprocess.PIPE)
        for number in range(5):
            data = delimited(parcel(number, data=b"y" * 300))
            for part in (data[:1], data[1:100], data[100:]):
                sending.process.stdin.write(part)
                sending.process.stdin.flush()
            self.assertEqual(receiving.process.stdout.read(len(data)), data)
        sending.process.stdin.close()
        sending.process.stdin = None
        self.assertEqual(sending.end(), "")

    def test_small_and_large(self):
        self.start_home()
        most = pb.Parcel(data=b"z" * (MOST - 5))
        self.assertEqual(most.ByteSize(), MOST)
        expected = [pb.Parcel(), most, pb.Parcel(), pb.Parcel(data=b"a" * 127),
                    pb.Parcel(data=b"a" * 128)]
        self.channel("send", "pile", data=delimited(*expected))
        self.receives("pile", *expected)

    def test_several_senders_and_receivers(self):
        """Each message comes out once."""
        self.start_home()
        outputs = [self.file(b"") for _ in range(3)]
        receiving = [self.start("receive", "both", "--count", "200", stdout=output)
                     for output in outputs]
        sending = [self.start("send", "both", *(["--ahead"] if n else []), stdin=self.file(
            delimited(*(parcel(number) for number in range(n * 300, n * 300 + 300)))))
                   for n in range(2)]
        for running in sending + receiving:
            self.assertEqual(running.end(), "")
        numbers = []
        for output in outputs:
            output.seek(0)
            numbers += [one.number for one in parcels(output.read())]
        self.assertEqual(sorted(numbers), list(range(600)))


class InputTest(ChannelTest):
    """What is no message ends it; what came before was sent."""

    def setUp(self):
        super().setUp()
        self.start_home()
        self.good = [parcel(1), parcel(2)]

    def wrong(self, data, *parts):
        before = delimited(*self.good)
        for more in ([], ["--ahead"]):
            said = self.refused("send", "pile", *more, data=before + data, code=OTHER)
            for part in (f"byte {len(before)}", *parts):
                self.assertIn(part, said)
            self.receives("pile", *self.good)

    def test_an_end_within_a_message(self):
        self.wrong(b"\x05\x08\x01", "ends within a message: 2 of its 5 bytes")

    def test_an_end_within_a_length(self):
        self.wrong(b"\x85", "ends within the length")

    def test_a_length_without_end(self):
        self.wrong(b"\x85" * 5, "more than 5 bytes")
        self.wrong(b"\x85" * 20, "more than 5 bytes")

    def test_what_is_too_large(self):
        self.wrong(_VarintBytes(MOST + 1), f"{MOST + 1} bytes", f"{MOST} at most")
        self.wrong(b"\xff\xff\xff\xff\x0f", f"{2 ** 32 - 1} bytes")

    def test_what_is_not_delimited(self):
        self.wrong(b"hello, world; this is a text of more than a hundred and four bytes, since h is "
                   b"the length of the message that it looks like\n", "no message", "field at byte")
        self.wrong(b"\x04\x08\x01\x0c\x01", "no message: its field at byte 2: a group")
        self.wrong(b"\x02\x00\x01", "field number 0")

    def test_a_message_of_another_type(self):
        """Only who receives it as a message can know."""
        receiving = self.start("receive", "out", "--count", "1", stdout=subprocess.PIPE)
        self.channel("send", "in", data=b"\x03\x12\x01\xff" + delimited(parcel(7)))
        self.assertEqual(parcels(receiving.process.stdout.read()), [parcel(7)])
        self.assertEqual(self.c_home.process.stdout.readline(), "bad\n")

    def test_no_input(self):
        self.assertEqual(self.channel("send", "pile"), (b"", ""))
        done = subprocess.run(["sh", "-c", '"$0" channel send pile <&-', AFAR], timeout=PATIENCE,
                              env=environment(self.home, self.names), capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, OTHER)
        self.assertIn("the input cannot be read: ", done.stderr)


class RefusalTest(ChannelTest):
    def test_nobody(self):
        for word in ("send", "receive"):
            self.assertIn("nobody: nobody has registered it",
                          self.refused(word, "nobody", code=NO))
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
        self.assertIn(f"{address}/x: ", self.refused("receive", f"{address}/x", code=UNREACHABLE))

    def test_another_object(self):
        address = self.start_named("thing").address
        data = delimited(parcel(1))
        self.refused("send", "thing", data=data, code=OTHER)
        self.refused("receive", f"{address}/thing", code=OTHER)

    def test_messages_with_references(self):
        self.start_home()
        for word, data in (("send", delimited(parcel(1))), ("send", b""), ("receive", b"")):
            said = self.refused(word, "letters", data=data, code=NO)
            self.assertIn("letters: ", said)
            self.assertIn("parcel.Letter, which has references", said)

    def test_no_input_for_nothing(self):
        """It is refused as any other input would be."""
        address = self.start_home().address
        for more in ([], ["--ahead"]):
            for data in (b"", delimited(parcel(1))):
                said = self.refused("send", f"{address}/nothing", *more, data=data, code=NO)
                self.assertIn(f"{address}/nothing: ", said)
                self.assertIn('is called "nothing" here', said)
            self.refused("send", f"{address}/letters", *more, code=NO)
        self.c_home.tell("poison")
        self.assertIn("the well is poisoned", self.refused("send", "both", code=NO))

    def test_what_is_no_name(self):
        for name in ("a//b", "short@a", "x" * 600):
            self.refused("receive", name, code=USAGE)
        self.refused("receive", "both", "--count", "0", code=USAGE)
        self.refused("send", "both", "--timeout", "0", code=USAGE)

    def test_nobody_in_time(self):
        self.start_home()
        data = delimited(parcel(1), parcel(2))
        said = self.refused("receive", "both", "--timeout", "100", code=UNREACHABLE)
        self.assertIn("both: no message came in 100 ms", said)
        said = self.refused("send", "both", "--timeout", "100", data=data, code=UNREACHABLE)
        self.assertIn("both: message 1, at byte 0 of the input: nobody took it in 100 ms", said)
        said = self.refused("send", "both", "--timeout", "100", "--ahead", data=data,
                            code=UNREACHABLE)
        self.assertIn("both: after 2 messages: not all were taken in 100 ms", said)

    def test_a_channel_that_is_poisoned(self):
        home = self.start_home()
        waiting = [self.start("receive", "both"),
                   self.start("receive", "both", "--timeout", str(PATIENCE * 1000))]
        self.channel("send", "both", data=delimited(parcel(1), parcel(2)))
        home.tell("poison")
        for running in waiting:
            self.assertIn("both: the well is poisoned", running.end(NO))
        for more in ([], ["--ahead"]):
            self.assertIn("the well is poisoned", self.refused(
                "send", "pile", *more, data=delimited(*[parcel(1)] * 3000), code=NO))
        self.assertIn("the well is poisoned", self.refused("receive", "pile", code=NO))

    def test_a_channel_without_receivers(self):
        self.start_home().tell("close")
        data = delimited(parcel(1))
        said = self.refused("send", "both", data=data, code=NO)
        self.assertIn("message 1, at byte 0 of the input: ", said)
        said = self.refused("send", "both", "--ahead", data=data, code=NO)
        self.assertIn("after 1 messages: 1 messages were not taken", said)
        self.assertIn("both: no receiver is left", self.refused("send", "both", code=NO))

    def test_a_home_that_is_killed(self):
        home = self.start_home()
        waiting = [self.start("receive", "both", "--count", "2"),
                   self.start("receive", "both", "--count", "2")]
        self.channel("send", "both", data=delimited(parcel(1), parcel(2)))
        sending = self.start("send", "in", stdin=subprocess.PIPE)
        sending.process.stdin.write(delimited(parcel(1), parcel(2), parcel(3)))
        sending.process.stdin.flush()
        taken = self.start("receive", "out", "--count", "1")
        self.assertEqual(taken.end(), "")
        home.process.kill()
        statuses = {running.process.wait(PATIENCE) for running in waiting}
        self.assertLessEqual(statuses, {DONE, UNREACHABLE})
        self.assertIn(sending.process.wait(PATIENCE), (UNREACHABLE, OTHER))


class EndingTest(ChannelTest):
    """How they end early, and what the others hear of it."""

    def setUp(self):
        super().setUp()
        self.start_home()

    def interrupt(self, running, number=signal.SIGINT, code=DONE):
        running.process.send_signal(number)
        return running.end(code)

    def wait_until_it_receives(self, running, name):
        """Sends it a message that it must take."""
        data = delimited(parcel(1))
        self.channel("send", name, data=data)
        self.assertEqual(running.process.stdout.read(len(data)), data)

    def test_receivers(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            running = self.start("receive", "both", stdout=subprocess.PIPE)
            self.wait_until_it_receives(running, "both")
            self.assertEqual(self.interrupt(running, number), "")

    def test_senders_that_wait_for_input(self):
        sending = self.start("send", "both", stdin=subprocess.PIPE)
        sending.process.stdin.write(delimited(parcel(1)) + b"\x05\x08")
        sending.process.stdin.flush()
        self.receives("both", parcel(1))
        self.assertIn("interrupted after 1 messages", self.interrupt(sending))

    def test_senders_that_wait_for_receivers(self):
        for more, count in (([], 1), (["--ahead"], 2)):
            sending = self.start("send", "both", *more, stdin=self.file(
                delimited(*(parcel(number) for number in range(1, 3)))))
            self.receives("both", parcel(1))
            if more:
                self.receives("both", parcel(2))
                self.assertEqual(sending.end(), "")
            else:
                said = self.interrupt(sending)
                self.assertIn(f"interrupted after {count} messages", said)
        self.assertIn("no message came",
                      self.refused("receive", "both", "--timeout", "100", code=UNREACHABLE))

    def test_ahead_when_nobody_takes(self):
        sending = self.start("send", "both", "--ahead", stdin=self.file(
            delimited(*(parcel(number, data=b"x" * 1000) for number in range(5000)))))
        self.receives("both", parcel(0, data=b"x" * 1000))
        said = self.interrupt(sending, code=UNREACHABLE)
        self.assertRegex(said, r"both: after \d+ messages: not all were taken")

    def test_a_reader_that_goes(self):
        """It ends without asking for a message that it could not write."""
        reader, writer = os.pipe()
        receiving = self.start("receive", "both", stdout=writer)
        os.close(writer)
        data = delimited(parcel(1))
        self.channel("send", "both", data=data)
        self.assertEqual(os.read(reader, 1000), data)
        os.close(reader)
        self.assertEqual(receiving.end(), "")
        self.assertIn("nobody took it", self.refused("send", "both", "--timeout", "100",
                                                     data=data, code=UNREACHABLE))

    def test_a_full_disk(self):
        with open("/dev/full", "wb") as full:
            receiving = self.start("receive", "both", stdout=full)
            self.channel("send", "both", data=delimited(parcel(1)))
            self.assertIn("the output cannot be written", receiving.end(OTHER))

    def test_a_receiver_that_is_killed(self):
        """The next one gets the messages that follow."""
        running = self.start("receive", "both", stdout=subprocess.PIPE)
        self.wait_until_it_receives(running, "both")
        running.process.kill()
        running.process.wait(PATIENCE)
        sending = self.start("send", "both", stdin=self.file(delimited(parcel(5))))
        self.receives("both", parcel(5))
        self.assertEqual(sending.end(), "")

    def test_the_channel_finishes(self):
        receiving = self.start("receive", "out", stdout=subprocess.PIPE)
        self.channel("send", "in", data=delimited(parcel(1), parcel(2)))
        self.c_home.tell("finish")
        self.assertEqual(parcels(receiving.process.stdout.read()), [parcel(1), parcel(2)])
        self.assertEqual(receiving.end(), "")


if __name__ == "__main__":
    main()
