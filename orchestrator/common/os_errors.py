"""What the operating system refused, in a sentence with the remedy that fits."""

from __future__ import annotations

import errno
import os

_SPACE = "free some room there, or use another place"
_RIGHTS = "give this user the right to, or use another place"
_IN_THE_WAY = "something else has a name that is needed here; move it away"
_REMEDIES = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "files may not be as large there (`ulimit -f` says how large); use another place",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "it cannot be written to; use another place",
    errno.EISDIR: _IN_THE_WAY,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
    errno.ENOTEMPTY: _IN_THE_WAY,
    errno.ENXIO: _IN_THE_WAY,
    errno.ELOOP: "a link there leads back to itself; remove it",
    errno.ENOENT: "it was moved or removed, or a disk was taken away; put it back, or name another place",
    errno.ENAMETOOLONG: "use a shorter name, or a folder with a shorter one",
    errno.EMFILE: "allow more open files: `ulimit -n 8192`",
    errno.ENFILE: "the machine has too many open files; end what holds them",
    errno.ENOMEM: "free some memory, or run fewer trials at a time (resources.actors)",
    errno.EAGAIN: "allow more processes (`ulimit -u` says how many), or end some",
    errno.EADDRINUSE: "another program listens there; use another port",
    errno.EADDRNOTAVAIL: "this machine does not have that address; use another",
    errno.EIO: "the disk or the file server failed; mend it",
    errno.ESTALE: "the file server has changed; mount it again",
    errno.ECONNREFUSED: "nothing answers there; start it, or name another address",
}


def remedy(problem: OSError) -> str | None:
    """What helps, by the error's number."""
    return _REMEDIES.get(problem.errno or 0)


def sentence(problem: OSError) -> str:
    """What happened, to which file, and what helps.

    Everything that was recorded is kept, wherever a command ends; a command that began something goes on when it is given again.
    """
    if type(problem).__str__ is not OSError.__str__:  # an error of this program's own, which has its sentence
        return str(problem)
    file = problem.filename2 if problem.filename2 is not None else problem.filename
    where = "its output" if file is None else os.fsdecode(file) if isinstance(file, str | bytes) else f"file {file}"
    what = problem.strerror or str(problem) or type(problem).__name__
    helps = remedy(problem)
    if file is None and problem.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF):
        where = "the system"  # nothing says which file it was
    then = "give the same command again; nothing that was recorded is lost"
    return f"{where}: {what}; " + (f"{helps}, then {then}" if helps else then)
