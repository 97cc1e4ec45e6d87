"""The commit that is checked out, held against git itself."""

import os
import subprocess

import pytest

from pytest_sparrow.provenance import repo_head


@pytest.fixture
def git(tmp_path):
    """Runs git in a folder, as nobody in particular."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{
            f"GIT_{who}_{what}": "a@example.com"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }

    def run(*args, at=tmp_path):
        done = subprocess.run(["git", *args], cwd=at, env=environ, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    run("init", "-q", "-b", "main")
    return run


@pytest.fixture
def commit(git):
    """A repository with one commit; gives its name."""
    git("commit", "-q", "--allow-empty", "-m", "one")
    return git("rev-parse", "HEAD")


def test_a_branch(commit, tmp_path):
    """The commit of the branch that is checked out, from any folder below."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert repo_head(tmp_path / "a" / "b") == commit


def test_packed_refs(git, commit, tmp_path):
    """A ref that git has packed is read from packed-refs."""
    git("pack-refs", "--all")
    assert not (tmp_path / ".git/refs/heads/main").exists()
    assert repo_head(tmp_path) == commit


def test_a_newer_ref_wins_over_a_packed_one(git, commit, tmp_path):
    """packed-refs may be old: a file of its own counts first."""
    git("pack-refs", "--all")
    git("commit", "-q", "--allow-empty", "-m", "two")
    assert repo_head(tmp_path) == git("rev-parse", "HEAD") != commit


def test_a_detached_head(git, commit, tmp_path):
    """HEAD may hold the commit itself."""
    git("checkout", "-q", "--detach")
    git("commit", "-q", "--allow-empty", "-m", "two")
    assert repo_head(tmp_path) == git("rev-parse", "HEAD") != commit


@pytest.mark.parametrize("packed", [False, True])
def test_a_worktree(git, commit, tmp_path, packed):
    """A worktree has a HEAD of its own, and shares the refs."""
    git("worktree", "add", "-q", "-b", "side/branch", "tree")
    git("commit", "-q", "--allow-empty", "-m", "two", at=tmp_path / "tree")
    if packed:
        git("pack-refs", "--all")
    assert repo_head(tmp_path / "tree") == git("rev-parse", "HEAD", at=tmp_path / "tree") != commit
    assert repo_head(tmp_path) == commit


def test_a_moved_git_folder(git, tmp_path):
    """``.git`` may be a file that names the folder, as in a submodule."""
    git("init", "-q", "--separate-git-dir", "elsewhere", "sub")
    git("commit", "-q", "--allow-empty", "-m", "one", at=tmp_path / "sub")
    assert repo_head(tmp_path / "sub") == git("rev-parse", "HEAD", at=tmp_path / "sub")


def test_no_commit_yet(git, tmp_path):
    """A branch without a commit has none."""
    assert repo_head(tmp_path) is None


@pytest.mark.parametrize(
    "head",
    [b"", b"nonsense", b"ref: ../../etc/passwd", b"ref: refs/../../x", b"\xff\xfe", b"ref: refs/heads/main"],
)
def test_what_cannot_be_read_is_none(tmp_path, head):
    """A HEAD that is empty, torn, leads out of the repository or leads round in a circle is no commit."""
    folder = tmp_path / ".git"
    (folder / "refs" / "heads").mkdir(parents=True)
    (folder / "HEAD").write_bytes(head)
    (tmp_path / "x").write_text("c0ffee00" * 5)  # what a ref that leads out would find
    (folder / "refs" / "heads" / "main").write_bytes(b"ref: refs/heads/main\n")
    assert repo_head(tmp_path) is None


def test_no_repository(tmp_path, monkeypatch):
    """Outside every repository there is none; git is never started."""
    monkeypatch.setenv("PATH", "")
    outside = next((folder for folder in tmp_path.parents if (folder / ".git").exists()), None)
    assert outside is not None or repo_head(tmp_path) is None
