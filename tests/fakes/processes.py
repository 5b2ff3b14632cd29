"""A fake of host.processes: answers by a handler, remembers what was run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ipabackup.host.processes import CommandFailed, CommandMissing, Completed, Enough

Answer = Completed | tuple[int, str] | str | None
Handler = Callable[[tuple[str, ...]], Answer]


class FakeProcesses:
    """Processes driven by a handler: a text is standard output and success, None a program that is not
    installed.
    """

    def __init__(self, handler: Handler | None = None) -> None:
        self.ran: list[tuple[str, ...]] = []
        self.inputs: list[str | None] = []
        self.limits: list[float] = []
        self._handler = handler or (lambda _: "")

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        input: str | None = None,
        timeout: float = 0,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        enough: Enough | None = None,
    ) -> Completed:
        """See ipabackup.host.processes.Processes."""
        words = tuple(argv)
        self.ran.append(words)
        self.inputs.append(input)
        self.limits.append(timeout)
        answer = self._handler(words)
        if answer is None:
            raise CommandMissing(f"{words[0]} is not installed on this host")
        if isinstance(answer, str):
            answer = Completed(words, 0, answer, "")
        elif isinstance(answer, tuple):
            answer = Completed(words, answer[0], "" if answer[0] else answer[1], answer[1] if answer[0] else "")
        if check and not answer.ok:
            raise CommandFailed(f"{words[0]} ended with {answer.status}: {answer.said}", answer)
        return answer
