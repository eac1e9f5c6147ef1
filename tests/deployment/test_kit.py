"""What ``fedhds init`` writes: keys and certificates that hold, an app without data, a config."""

import io
import shlex
import ssl
import stat
import tomllib
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    load_ssh_private_key,
    load_ssh_public_key,
)
from flwr.cli.build import build_fab_from_disk
from typer.testing import CliRunner

from fedhds import config
from fedhds.cli.main import app
from fedhds.deployment.kit import write_app, write_connection, write_kit
from fedhds.federation.policy import Policy
from fedhds.federation.supernode import experiment_in

pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")

SITES = ("north", "no", "1e3", "007", "St.Mary_2-b")
"""Some are something else than text to YAML."""

HOSTS = ("fl.example.org", "10.0.0.5")


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kit") / "2026 Federation of the Northern Hospitals (b)"
    write_kit(folder, SITES, HOSTS, 8123, encrypted=True)
    return folder


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def init(*arguments):
    return CliRunner().invoke(app, ["init", *map(str, arguments)])


def test_a_site_takes_its_own_folder_and_nothing_else(kit):
    for site in SITES:
        assert files(kit / "sites" / site) == {"ca.crt", "policy.yaml", "site.key", "site.pub"}
    assert files(kit / "keys") == {"ca.crt", "ca.key", "server.crt", "server.key"}


def test_private_keys_are_their_owners_alone(kit):
    private = set(kit.rglob("*.key"))
    assert len(private) == 2 + len(SITES)
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    others = (path for path in kit.rglob("*") if path.is_file() and path not in private)
    assert not [path for path in others if b"PRIVATE" in path.read_bytes()]


def test_each_site_has_a_pair_of_keys_of_its_own(kit):
    numbers = set()
    for site in SITES:
        own = kit / "sites" / site
        private = load_ssh_private_key((own / "site.key").read_bytes(), None)
        public = load_ssh_public_key((own / "site.pub").read_bytes())
        assert private.curve.name == "secp384r1"  # what Flower takes
        assert private.public_key().public_numbers() == public.public_numbers()
        numbers.add(public.public_numbers())
    assert len(numbers) == len(SITES)


def shake_hands(folder, name, authority):
    """Let a client who checks as strictly as from Python 3.13 on meet the server by a name."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    client.load_verify_locations(authority)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    server.load_cert_chain(folder / "keys/server.crt", folder / "keys/server.key")
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = server.wrap_bio(up, down, server_side=True)
    ours = client.wrap_bio(down, up, server_hostname=name)
    for side in (ours, theirs, ours, theirs):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return ours.getpeercert()


@pytest.mark.parametrize("name", [*HOSTS, "localhost", "127.0.0.1"])
def test_a_site_knows_the_server_by_its_names(kit, name):
    assert shake_hands(kit, name, kit / "sites" / SITES[0] / "ca.crt")["notAfter"]


@pytest.mark.parametrize("name", ["other.example.org", "example.org", "10.0.0.6", "fl"])
def test_a_server_of_another_name_is_refused(kit, name):
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        shake_hands(kit, name, kit / "keys/ca.crt")


def test_a_server_of_another_federation_is_refused(kit, tmp_path):
    write_kit(tmp_path / "other", ["a"], HOSTS, 8000, encrypted=True)
    with pytest.raises(ssl.SSLCertVerificationError, match="verify failed"):
        shake_hands(tmp_path / "other", HOSTS[0], kit / "keys/ca.crt")


def test_a_server_cannot_sign_certificates(kit):
    """Its certificate is no authority, so whoever trusts it alone trusts nothing."""
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(kit, HOSTS[0], kit / "keys/server.crt")


def packed(folder):
    return zipfile.ZipFile(io.BytesIO(build_fab_from_disk(folder)))


def test_flower_packs_neither_data_nor_keys_nor_policies(kit):
    for name in (
        "sites/north/data.jsonl",
        "data.jsonl",
        "runs/first/a/b/c/d/e/f/g/h/x.jsonl",
    ):
        (kit / name).parent.mkdir(parents=True, exist_ok=True)
        (kit / name).write_text('{"instruction": "private"}\n')
    (kit / "notes.md").write_text("private")
    (kit / "other.yaml").write_text("private: true")
    (kit / "superlink.db").write_text("private")
    fab = packed(kit)
    own = {"app/__init__.py", "app/client.py", "app/server.py", "experiment.yaml", "pyproject.toml"}
    assert {name for name in fab.namelist() if not name.startswith(".info/")} == own
    everything = b"".join(map(fab.read, fab.namelist()))
    assert b"private" not in everything
    assert b"PRIVATE" not in everything
    for site in SITES:
        assert (kit / "sites" / site / "site.pub").read_bytes().split()[1] not in everything


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("hospitals", "hospitals"),
        ("2026", "federation"),
        ("2026 North", "north"),
        ("Ärzte im Norden", "rzte-im-norden"),
        ("n" * 40, "n" * 32),  # what Flower takes at most
        ("日本", "federation"),
    ],
)
def test_flower_takes_the_app_whatever_its_folder_is_called(tmp_path, folder, name):
    write_kit(tmp_path / folder, ["a"], ["127.0.0.1"], 8000, encrypted=False)
    project = tomllib.loads((tmp_path / folder / "pyproject.toml").read_text())
    assert project["project"]["name"] == name
    assert packed(tmp_path / folder).testzip() is None


def test_the_experiment_is_one(kit):
    experiment = config.load(kit / "experiment.yaml")
    federation = experiment.federation
    assert (federation.engine, federation.sites) == ("deployment", list(SITES))
    assert (federation.superlink, federation.certificate) == ("127.0.0.1:8123", "keys/ca.crt")


def test_the_policies_are_a_careful_sites(kit):
    for site in SITES:
        assert config.load_policy(kit / "sites" / site / "policy.yaml") == Policy(site)


def test_flowers_settings_name_the_superlink_and_its_authority(kit):
    settings = tomllib.loads((kit / "flower" / "config.toml").read_text())["superlink"]
    own = settings[settings["default"]]
    assert own["address"] == "127.0.0.1:8123"
    assert Path(own["root-certificates"]).samefile(kit / "keys/ca.crt")


@pytest.mark.parametrize("name", ['a "b"', r"back\slash", "é日🌲"])
def test_a_certificate_may_be_in_any_folder(tmp_path, name):
    write_connection(tmp_path, "a:1", tmp_path / name)
    settings = tomllib.loads((tmp_path / "config.toml").read_text())
    assert settings["superlink"]["federation"]["root-certificates"] == str(tmp_path / name)


def test_the_commands_listen_where_sites_ask(kit):
    lines = (kit / "README.md").read_text().replace("\\\n", " ").splitlines()
    superlink, *register, supernode = (
        shlex.split(line)
        for line in lines
        if line.startswith(("fedhds superlink", "flwr", "fedhds supernode"))
    )
    assert superlink[2:6] == ["--host", "0.0.0.0", "--port", "8123"]
    assert "--enable-supernode-auth" in superlink
    assert "--insecure" not in superlink + supernode
    assert [each[-1] for each in register] == [f"sites/{site}/site.pub" for site in SITES]
    assert supernode[2:4] == ["--superlink", f"{HOSTS[0]}:8123"]
    for name in superlink:
        if name.startswith("keys/"):
            assert (kit / name).is_file()
    assert "--root-certificates ca.crt --auth-supernode-private-key site.key" in " ".join(supernode)


def test_plain_text_is_asked_for_and_warned_of(tmp_path):
    folder = tmp_path / "open"
    done = init(folder, "--sites", "a, b", "--insecure")
    assert done.exit_code == 0
    assert "warning: nothing will be encrypted, and anybody may be a site" in done.output
    assert not [name for name in files(folder) if name.endswith((".key", ".crt", ".pub"))]
    assert config.load(folder / "experiment.yaml").federation.certificate is None
    assert "insecure = true" in (folder / "flower" / "config.toml").read_text()
    text = (folder / "README.md").read_text()
    assert text.count(" --insecure") >= 2
    assert "Nothing here is encrypted" in text


def test_by_default_nothing_is_warned_of(tmp_path):
    done = init(tmp_path / "closed", "--sites", "a,b")
    assert (done.exit_code, "warning" in done.output) == (0, False)
    assert files(tmp_path / "closed" / "sites" / "b") >= {"site.key", "ca.crt"}
    assert f"{tmp_path / 'closed'}/README.md" in done.output.replace("\n", "")


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "mine").write_text("mine")
    for folder in (tmp_path, tmp_path / "mine"):
        done = init(folder, "--sites", "a")
        assert (done.exit_code, "is not empty" in done.output) == (2, True)
    assert files(tmp_path) == {"mine"}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--sites", ""), "--sites: '' is not of at most 64 letters"),
        (("--sites", "a,a"), "--sites names 'a' twice"),
        (("--sites", "a,b/../c"), "--sites: 'b/../c' is not of at most 64 letters"),
        (("--sites", "a", "--host", ""), "--host: '' is neither a name nor an IPv4 address"),
        (("--sites", "a", "--host", "h,::1"), "--host: '::1' is neither a name nor"),
        (("--sites", "a", "--host", "bücher.example"), "--host: 'bücher.example' is neither"),
        (("--sites", "a", "--host", "h; rm -r x"), "--host: 'h; rm -r x' is neither"),
    ],
)
def test_a_mistake_is_one_sentence_and_writes_nothing(tmp_path, arguments, problem):
    done = init(tmp_path / "f", *arguments)
    assert (done.exit_code, problem in done.output) == (2, True), done.output
    assert not (tmp_path / "f").exists()


def test_an_app_is_written_for_an_experiment_as_it_is(tmp_path):
    experiment = "# as it is\nseed: 9\n"
    write_app(tmp_path, "fedhds-run", experiment)
    assert (tmp_path / "experiment.yaml").read_text() == experiment
    assert experiment_in(build_fab_from_disk(tmp_path)) == experiment  # as a site reads it
    assert packed(tmp_path).testzip() is None
