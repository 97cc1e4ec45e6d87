"""Effects on the world: what a recording says a replay will refuse, and what a replay refuses or names."""

from boundaries.http.loopback import loopback

UNSEEN = """
    import os
    import urllib.request

    def test_it(sparrow):
        sparrow.call("f", int, 1)
        assert urllib.request.urlopen(os.environ["WORLD"] + "/x").read() == b"x"
"""


def test_a_recording_names_what_its_replay_will_refuse(inner):
    """A connection that no boundary records is a remark of the recording, by place, library and line."""
    inner.write("test_it.py", UNSEEN)
    with loopback(x=lambda call: call.answer(b"x")) as server:
        inner.env(WORLD=server.url)
        result = inner.record()
    result.assert_outcomes(passed=1)
    place = server.url.removeprefix("http://")
    result.stdout.fnmatch_lines(
        [f"test_it.py::test_it: {place} (urllib, test_it.py:*): not recorded; a replay will refuse it (or *"]
    )
    result = inner.replay()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"connecting to {place} was refused: the world is shut while replaying"])
