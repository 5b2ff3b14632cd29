"""Lab files: what they say, and what is said about bad ones."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import BadTopology
from lab.install import installation
from lab.topology import CAPABILITIES, SHIPPED, from_recipe, load, parse

PAIR = """
domain = "example.test"

[[servers]]
name = "ipa1"
capabilities = ["ca", "dns"]
installer_options = ["--no-reverse"]

[[replicas]]
name = "ipa2"
capabilities = ["ca"]

[[replicas]]
name = "ipa3"
from = "ipa2"

[[clients]]
name = "client1"
server = "ipa2"
"""


def test_realm_passwords_and_origins_have_defaults() -> None:
    topology = parse(PAIR, name="pair")
    assert topology.realm == "EXAMPLE.TEST"
    assert topology.suffix == "dc=example,dc=test"
    assert topology.passwords.admin == "Secret123"
    assert [member.origin for member in topology.members] == ["", "ipa1", "ipa2", "ipa2"]
    assert [member.name for member in topology.masters] == ["ipa1", "ipa2", "ipa3"]


def test_members_are_installed_with_freeipa_s_commands_in_order() -> None:
    steps = installation(parse(PAIR, name="pair"))
    assert [(step.host, step.argv[0]) for step in steps] == [
        ("ipa1", "ipa-server-install"),
        ("ipa2", "ipa-replica-install"),
        ("ipa3", "ipa-replica-install"),
        ("client1", "ipa-client-install"),
    ]
    first = steps[0].argv
    assert first[:6] == ("ipa-server-install", "-U", "-r", "EXAMPLE.TEST", "-n", "example.test")
    assert "--setup-dns" in first
    assert first[-1] == "--no-reverse"
    assert "--setup-ca" in steps[1].argv
    assert "--setup-ca" not in steps[2].argv
    assert steps[2].argv[steps[2].argv.index("--server") + 1] == "ipa2.example.test"


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_what_is_shipped_loads_by_its_name(path: object) -> None:
    name = str(getattr(path, "stem", ""))
    assert load(name).name == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("domain = ", ["not TOML"]),
        ("", ["'domain' is missing"]),
        ('domain = "example"', ["two labels"]),
        ('domain = "Example.test"', ["lower-case"]),
        ('domain = "example.test"\nrelam = "X.Y"', ["relam", "did you mean 'realm'?"]),
        ('domain = "example.test"\nrealm = "Example.Test"', ["capitals"]),
        ('domain = "example.test"', ["one server, not 0"]),
        ('domain = "example.test"\n[servers]\nname = "a"', ["[[servers]]"]),
        ('domain = "example.test"\n[[servers]]\nname = "IPA1"', ["IPA1", "no host name"]),
        ('domain = "example.test"\n[[servers]]\nname = "ipa_1"', ["no host name"]),
        ('domain = "example.test"\n[[servers]]\nname = "a"\ncapabilities = ["cs"]', ["'cs'", "ca, dns"]),
        ('domain = "example.test"\n[[servers]]\nname = "a"\ncapabilities = "ca"', ["list of strings"]),
        ('domain = "example.test"\n[[servers]]\nname = "a"\nprepare = ["mkdir", "x"]', ["'prepare'", "commands"]),
        ('domain = "example.test"\n[[servers]]\nname = "a"\nprepare = [["mkdir", 5]]', ["'prepare'", "strings"]),
        ('domain = "example.test"\n[[servers]]\nname = "a"\nprepare = [[]]', ["'prepare'", "commands"]),
        ('domain = "example.test"\n[[servers]]\nname = "a"\n[[clients]]\nname = "a"', ["two hosts"]),
        ('domain = "example.test"\n[[servers]]\nname = "a"\n[[replicas]]\nname = "b"\nfrom = "c"', ["'c'"]),
        ('domain = "example.test"\n[[servers]]\nname = "a"\n[passwords]\nadmin = "short"', ["8 characters"]),
        ('domain = "example.test"\n[[servers]]\nname = "a"\n[passwords]\nroot = "x"', ["'root'"]),
        ('domain = 5\n[[servers]]\nname = "a"', ["must be a string"]),
    ],
)
def test_a_bad_lab_file_is_refused_with_its_name_and_the_reason(text: str, words: list[str]) -> None:
    with pytest.raises(BadTopology) as caught:
        parse(text, name="mine", source="mine.toml")
    for word in ["mine.toml", *words]:
        assert word in str(caught.value)


def test_an_unknown_topology_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadTopology, match="single"):
        load("singel")


def test_a_missing_lab_file_is_refused_with_its_path() -> None:
    with pytest.raises(BadTopology, match=r"/nowhere/lab\.toml"):
        load("/nowhere/lab.toml")


names = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)


@given(
    members=st.lists(names, min_size=1, max_size=5, unique=True),
    capabilities=st.sets(st.sampled_from(sorted(CAPABILITIES))),
    options=st.lists(st.from_regex(r"--[a-z-]{1,12}", fullmatch=True), max_size=3),
    prepare=st.lists(st.lists(names, min_size=1, max_size=3), max_size=2),
)
def test_a_recipe_holds_the_whole_topology(
    members: list[str], capabilities: set[str], options: list[str], prepare: list[list[str]]
) -> None:
    tables = [f"[[servers]]\nname = '{members[0]}'"]
    tables += [f"[[replicas]]\nname = '{name}'" for name in members[1:]]
    extra = f"\ncapabilities = {sorted(capabilities)}\ninstaller_options = {options}\nprepare = {prepare}\n"
    topology = parse('domain = "example.test"\n' + "".join(f"{table}{extra}" for table in tables), name="any")
    again = from_recipe(topology.recipe())
    assert again == topology
    assert again.recipe() == topology.recipe()


def test_what_prepares_a_host_is_not_its_installer() -> None:
    """A scenario that installs a server anew takes the first step of its host."""
    topology = load("caless")
    (step,) = installation(topology)
    assert step.argv[0] == "ipa-server-install"
    ((command, *words),) = step.prepare
    assert command == "ipalab-external-certs"
    assert topology.fqdn(topology.members[0]) in words
    for file in ("dirsrv.p12", "http.p12"):
        assert f"{words[words.index('--out') + 1]}/{file}" in step.argv
    assert step.argv[step.argv.index("--dirsrv-pin") + 1] == words[words.index("--pin") + 1]


def test_a_recipe_from_before_hosts_were_prepared_is_read() -> None:
    topology = parse(PAIR, name="pair")
    old = json.loads(topology.recipe())
    for member in old["members"]:
        del member["prepare"]
    assert from_recipe(json.dumps(old)) == topology


def test_the_recipe_tells_two_topologies_apart() -> None:
    other = PAIR.replace("--no-reverse", "--auto-reverse")
    assert parse(PAIR, name="pair").recipe() != parse(other, name="pair").recipe()


def test_a_replica_by_file_is_prepared_on_its_master_first() -> None:
    text = f"{PAIR}\n[[replicas]]\nname = 'ipa9'\nreplica_setup = 'file'\ncapabilities = ['ca']\n"
    topology = parse(text, name="mine")
    steps = [step for step in installation(topology) if "ipa9.example.test" in " ".join(step.argv)]
    origin = next(member.origin for member in topology.members if member.name == "ipa9")
    file = "/var/lib/ipa/replica-info-ipa9.example.test.gpg"
    assert [(step.host, step.argv[0]) for step in steps] == [
        (origin, "ipa-replica-prepare"),
        ("ipa9", "ipa-replica-install"),
    ]
    assert steps[1].argv[-2:] == (file, "--no-ntp") or file in steps[1].argv
    assert steps[1].files == ((origin, file),)
    assert "--server" not in steps[1].argv


def test_agreements_are_made_for_what_both_masters_have() -> None:
    text = """
domain = "example.test"
[[servers]]
name = "a"
capabilities = ["ca"]
[[replicas]]
name = "b"
capabilities = ["ca"]
[[replicas]]
name = "c"
capabilities = ["ca"]
[[replicas]]
name = "d"
[[hosts]]
name = "spare"
[[agreements]]
between = ["b", "c"]
[[agreements]]
between = ["c", "d"]
"""
    topology = parse(text, name="mine")
    made = [(step.host, step.argv[0], step.argv[-2:]) for step in installation(topology) if "connect" in step.argv]
    assert made == [
        ("b", "ipa-replica-manage", ("b.example.test", "c.example.test")),
        ("b", "ipa-csreplica-manage", ("b.example.test", "c.example.test")),
        ("c", "ipa-replica-manage", ("c.example.test", "d.example.test")),
    ]
    assert not [step for step in installation(topology) if step.host == "spare"]
    assert [member.name for member in topology.masters] == ["a", "b", "c", "d"]
    assert from_recipe(topology.recipe()) == topology


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("[[agreements]]\nbetween = ['a']", "two masters"),
        ("[[agreements]]\nbetween = ['a', 'a']", "two masters"),
        ("[[agreements]]\nbetween = ['a', 'x']", "'x' is no master"),
        ("[[agreements]]\nbetween = ['a', 'b']", "replicate already"),
        ("[[replicas]]\nname = 'c'\nreplica_setup = 'magic'", "replica_setup 'magic'"),
    ],
)
def test_agreements_and_set_ups_that_cannot_be_are_refused(table: str, reason: str) -> None:
    text = f'domain = "example.test"\n[[servers]]\nname = "a"\n[[replicas]]\nname = "b"\n{table}\n'
    with pytest.raises(BadTopology, match=reason):
        parse(text, name="mine")


@pytest.mark.parametrize("path", sorted((SHIPPED.parent / "examples").glob("*.toml")), ids=lambda path: path.stem)
def test_the_examples_for_other_images_are_lab_files_that_name_one(path: Path) -> None:
    topology = load(path)
    assert topology.image
    assert not topology.own_image_only


def test_what_only_the_labs_own_image_has_is_said_with_true_or_false() -> None:
    assert load("corp").own_image_only
    assert not load("pair").own_image_only
    assert load("corp").capabilities == frozenset()
    assert load("single").capabilities == {"ca", "dns"}
    with pytest.raises(BadTopology, match="'own_image_only' must be true or false"):
        parse('own_image_only = "yes"\n' + PAIR, name="x")
