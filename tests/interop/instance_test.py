#!/usr/bin/python3
"""A call may say which process it is meant for, in metadata that any client can send:
what is not our server's instance, or none at all, is refused before anything runs.

Labels: concurrent
"""

import unittest

import grpc

from harness import PATIENCE, ServerTest, pb

DIGITS = 32


class Instances(ServerTest):
    def ask(self, instance):
        return self.echo.Unary(pb.Request(text="x"), timeout=PATIENCE,
                               metadata=[("afar-instance", instance)])

    def test_a_call_without_one_is_served(self):
        self.echo.Unary(pb.Request(text="x"), timeout=PATIENCE)

    def test_another_instance_and_none_at_all(self):
        before = self.look().started
        for instance in ["0" * DIGITS, "", "0", "0" * (DIGITS - 1), "0" * (DIGITS + 1),
                         "g" * DIGITS, "x" * 4000]:
            with self.subTest(instance=instance[:40]):
                with self.assertRaises(grpc.RpcError) as caught:
                    self.ask(instance)
                error = caught.exception
                self.assertEqual(error.code(), grpc.StatusCode.UNAVAILABLE)
                self.assertEqual(dict(error.trailing_metadata()).get("afar-code"), "104")
                self.assertEqual(error.details(), "another process is at this address now")
        self.assertEqual(self.look().started, before)
        self.is_alive()


if __name__ == "__main__":
    unittest.main(verbosity=2)
