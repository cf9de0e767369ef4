#!/usr/bin/python3
"""afar key: made once, shown, and refused when others could have read it."""

import os

from harness import OTHER, CommandTest, main


class KeyTest(CommandTest):
    def path(self):
        return os.path.join(self.home, "key")

    def test_new_and_show(self):
        text, _ = self.run_afar("key", "new")
        shown = self.run_json("key", "show")
        self.assertEqual(shown["file"], self.path())
        self.assertRegex(shown["public"], r"^[A-Za-z0-9_-]{43}$")
        self.assertEqual(text, f"file    {self.path()}\npublic  {shown['public']}\n")
        self.assertEqual(self.run_afar("key", "show")[0], text)
        self.assertEqual(os.stat(self.path()).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(self.home).st_mode & 0o777, 0o700)

    def test_new_keeps_what_is_there(self):
        before = self.run_json("key", "new")
        said = self.complaint("key", "new", code=OTHER)
        self.assertIn(self.path(), said)
        self.assertEqual(self.run_json("key", "show"), before)

    def test_another_file(self):
        path = os.path.join(self.folder, "other.key")
        made = self.run_json("key", "new", "--key", path)
        self.assertEqual(made["file"], path)
        self.assertEqual(self.run_json("key", "show", f"--key={path}"), made)
        self.assertFalse(os.path.exists(self.path()))

    def test_two_keys_differ(self):
        first = self.run_json("key", "new", "--key", os.path.join(self.folder, "1"))
        second = self.run_json("key", "new", "--key", os.path.join(self.folder, "2"))
        self.assertNotEqual(first["public"], second["public"])

    def test_no_key(self):
        said = self.complaint("key", "show", code=OTHER)
        self.assertIn(f"there is no key at {self.path()}", said)
        self.assertIn("afar key new", said)

    def test_a_key_that_others_can_read(self):
        self.run_afar("key", "new")
        os.chmod(self.path(), 0o644)
        said = self.complaint("key", "show", code=OTHER)
        self.assertIn("chmod", said)
        self.assertIn(self.path(), said)
        os.chmod(self.path(), 0o600)
        self.run_afar("key", "show")

    def test_a_damaged_key(self):
        self.run_afar("key", "new")
        with open(self.path(), "w", encoding="utf-8") as file:
            file.write("not a key\n")
        self.complaint("key", "show", code=OTHER)

    def test_a_folder_that_cannot_be_made(self):
        with open(self.home, "w", encoding="utf-8"):
            pass
        self.complaint("key", "new", code=OTHER)

    def test_a_path_that_is_too_long(self):
        self.complaint("key", "show", "--key", "x" * 5000, code=OTHER)


if __name__ == "__main__":
    main()
