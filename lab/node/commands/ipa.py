"""ipa(1): administration of the realm from the command line."""

from __future__ import annotations

import argparse
import configparser
import getpass
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

from lab.node.api import output
from lab.node.api.transport import ClientError, call
from lab.node.api.vocabulary import VERBS, Option, Verb
from lab.node.facts import DEFAULT_CONF
from lab.node.version import BANNER

USAGE = 2
GENERALIZED = re.compile(r"\d{14}Z")


class Parser(argparse.ArgumentParser):
    """argparse, with the program's own way of reporting errors."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"ipa: ERROR: {message}", file=sys.stderr)
        raise SystemExit(USAGE)


def main(arguments: list[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    while words and words[0] in ("-v", "-d", "-n", "--verbose", "--debug", "--no-prompt"):
        words = words[1:]
    if not words or words[0] in ("help", "-h", "--help"):
        print(overview() if len(words) < 2 else help_of(words[1]))
        return 0
    if words[0] == "--version":
        print(BANNER)
        return 0
    verb = VERBS.get(words[0])
    if verb is None:
        print(f"ipa: ERROR: unknown command '{words[0]}'", file=sys.stderr)
        return 1
    try:
        return perform(verb, words[1:])
    except ClientError as error:
        print(f"ipa: ERROR: {error}", file=sys.stderr)
        return error.status
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print("", file=sys.stderr)
        return 130


def overview() -> str:
    """The list of commands."""
    width = max(len(name) for name in VERBS)
    lines = [f"  {verb.name:<{width}}  {verb.help}" for verb in sorted(VERBS.values(), key=lambda v: v.name)]
    return "\n".join(["Usage: ipa [global-options] COMMAND [command-arguments-and-options]", "", "Commands:", *lines])


def help_of(name: str) -> str:
    """The help of one command. Raises ClientError for an unknown one."""
    if name in ("commands", "topics"):
        return overview()
    if name not in VERBS:
        print(f"ipa: ERROR: no command nor help topic '{name}'", file=sys.stderr)
        raise SystemExit(1)
    return parser_for(VERBS[name]).format_help().rstrip()


def parser_for(verb: Verb) -> Parser:
    """Its words and options."""
    parser = Parser(prog=f"ipa {verb.name}", description=verb.help, allow_abbrev=False)
    for word in verb.words:
        name = word.rstrip("?+")
        count = {"?": "?", "+": "+"}.get(word[-1])
        parser.add_argument(name, nargs=count, metavar=name.upper())
    for option in verb.options:
        if option.kind in ("flag", "secret"):
            parser.add_argument(option.flag, dest=option.name, action="store_true", help=option.help)
        else:
            action = "append" if option.kind == "list" else "store"
            parser.add_argument(option.flag, dest=option.name, action=action, metavar="STR", help=option.help)
    return parser


def perform(verb: Verb, words: list[str]) -> int:
    """Call the command and print its answer; the exit status. Raises ClientError."""
    parsed = vars(parser_for(verb).parse_args(words))
    settings = read_settings()
    if verb.name == "env":
        return show_environment(settings, parsed.get("variable"))
    given = [parsed[word.rstrip("?+")] for word in verb.words]
    options = {
        option.name: value_of(option, parsed[option.name])
        for option in verb.options
        if parsed[option.name] not in (None, False) and option.kind != "file"
    }
    if verb.name == "user-show" and given[0] is None:
        given[0] = call(settings["server"], "whoami", [], {})["arguments"][0].partition("@")[0]
    if verb.name == "passwd":
        given.append(ask_twice("New Password"))
    if verb.name == "cert-request":
        given[0] = read_request(given[0])
    result = call(settings["server"], verb.name.replace("-", "_"), given, options)
    if parsed.get("out"):
        Path(parsed["out"]).write_text("".join(result["result"]["certificate_chain"][:1]), encoding="ascii")
    show(verb, result, everything=bool(parsed.get("all")))
    return output.exit_status(result)


def show(verb: Verb, result: dict[str, Any], *, everything: bool) -> None:
    """Print the answer."""
    if verb.name == "whoami":
        print(f"dn: {result['dn']}\nprincipal: {result['arguments'][0]}")
        return
    lines = output.result_lines(result, verb.labels, everything=everything)
    if verb.deed:
        lines += output.member_lines(result, verb.deed)
    if lines:
        print("\n".join(lines))


def value_of(option: Option, given: Any) -> Any:
    """An option's value as the API takes it. Raises ClientError."""
    if option.kind == "secret":
        return ask_twice("Password")
    if option.kind == "list":
        return [one for many in given for one in ([many] if option.name == "txtrecord" else many.split(","))]
    if option.kind == "time":
        plain = re.sub(r"[-:T ]", "", given)
        plain = plain if plain.endswith("Z") else plain + "Z"
        if not GENERALIZED.fullmatch(plain):
            raise ClientError(f"invalid '{option.flag.lstrip('-')}': must be a date as YYYYMMDDHHMMSSZ")
        return plain
    return given


def ask_twice(what: str) -> str:
    """A password: asked for twice on a terminal, else the first line of standard input. Raises ClientError."""
    if not sys.stdin.isatty():
        line = sys.stdin.readline().rstrip("\n")
        if not line:
            raise ClientError(f"'{what.lower()}' is required")
        return line
    first = getpass.getpass(f"{what}: ")
    if first != getpass.getpass(f"Enter {what} again to verify: "):
        raise ClientError("Passwords do not match")
    return first


def read_request(path: str) -> str:
    """A signing request from a file. Raises ClientError."""
    try:
        return Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ClientError(f"invalid 'csr': cannot read {path}: {error}") from error


def read_settings() -> dict[str, str]:
    """/etc/ipa/default.conf, with the server to call. Raises ClientError when there is none."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(DEFAULT_CONF)
    settings = dict(parser["global"]) if parser.has_section("global") else {}
    host = settings.get("xmlrpc_uri", "").partition("://")[2].partition("/")[0] or settings.get("server", "")
    if not host:
        raise ClientError("IPA client is not configured on this system")
    return {**settings, "server": host}


def show_environment(settings: dict[str, str], variable: str | None) -> int:
    shown = {name: value for name, value in sorted(settings.items()) if variable in (None, name)}
    for name, value in shown.items():
        print(f"  {name}: {value}")
    if len(shown) > 1:
        print("\n".join(output.dashed(f"{len(shown)} variables")))
    return 0 if shown else 1
