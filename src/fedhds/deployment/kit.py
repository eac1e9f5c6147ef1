"""The files of a federation: Flower's app, certificates, the sites' keys and policies.

Whoever may talk to the SuperLink is said by files alone: its certificate authority, which every
site holds, and one key for each site, whose public half is registered.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fedhds.federation.supernode import EXPERIMENT_FILE
from fedhds.files import write_text
from fedhds.types import UserError

CONNECTION = "federation"
"""What Flower's settings call the SuperLink."""

DAYS = 825
"""How long certificates hold: what clients take at most."""

MODULE = '''"""What Flower runs on the {side}: fedhds, with the experiment beside this folder."""

from pathlib import Path

from fedhds.deployment.apps import {side}_app

app = {side}_app(Path(__file__).parent.parent)
'''

ENCRYPTED = """Only sites whose keys were registered get in, and only this machine can start a
run. `keys/ca.key` signs certificates: keep it elsewhere. A site that would rather make its own key
does so with `ssh-keygen -t ecdsa -b 384 -N "" -f site.key`, and gives the server `site.key.pub`."""

PLAIN = """**Nothing here is encrypted, and whoever reaches the port is a site.** That is for one
machine or a network that is trusted wholly. Without `--insecure`, `fedhds init` writes the other
kind."""
"""What a federation's README says of who gets in."""

LOCAL = ("localhost", "127.0.0.1")
"""Names that the server's certificate always holds, for its own operator."""

HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
"""What a name of the server, or its IPv4 address, is made of."""


def write_app(folder: Path, name: str, experiment: str) -> None:
    """Write a Flower app that runs an experiment.

    Parameters
    ----------
    folder : Path
        Where; it is made.
    name : str
        The app's name.
    experiment : str
        The experiment, as YAML.
    """
    write_text(folder / EXPERIMENT_FILE, experiment)
    write_text(folder / "pyproject.toml", _template("pyproject.toml", name=name))
    write_text(folder / "app" / "__init__.py", "")
    for side in ("server", "client"):
        write_text(folder / "app" / f"{side}.py", MODULE.format(side=side))


def write_connection(folder: Path, address: str, certificate: Path | None) -> None:
    """Write Flower's settings (a ``FLWR_HOME``) for one SuperLink; None speaks plain text."""
    how = "insecure = true"
    if certificate is not None:  # a text is written in TOML as in JSON
        how = f"root-certificates = {json.dumps(os.fspath(certificate), ensure_ascii=False)}"
    write_text(folder / "config.toml", _template("flower.toml", address=address, how=how))


def write_kit(
    folder: Path, sites: Sequence[str], hosts: Sequence[str], port: int, encrypted: bool
) -> None:
    """Write everything that a federation needs but data and models.

    Parameters
    ----------
    folder : Path
        The server's folder; what a site takes is below ``sites/NAME``.
    sites : sequence of str
        The sites' names.
    hosts : sequence of str
        Names or addresses by which sites reach the server; the first goes into their commands.
    port : int
        The SuperLink's.
    encrypted : bool
        TLS and keys; else plain text, and anybody may be a site.

    Raises
    ------
    UserError
        If the folder holds something already, or a host is none.
    """
    for host in hosts:
        if not re.fullmatch(HOST, host):
            raise UserError(f"--host: '{host}' is neither a name nor an IPv4 address")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"'{folder}' is not empty: name a folder that is, or is not there yet")
    certificate = Path("keys/ca.crt") if encrypted else None
    local = f"127.0.0.1:{port}"
    experiment = _template(
        "experiment.yaml",
        sites=json.dumps(sites)[1:-1],  # in quotes: to YAML no is False
        superlink=local,
        certificate="null" if certificate is None else str(certificate),
    )
    write_app(folder, _app_name(folder), experiment)
    if encrypted:
        write_certificates(folder / "keys", [*hosts, *(n for n in LOCAL if n not in hosts)])
    write_connection(folder / "flower", local, certificate and folder.absolute() / certificate)
    for site in sites:
        own = folder / "sites" / site
        write_text(own / "policy.yaml", _template("policy.yaml", site=json.dumps(site)))
        if encrypted:
            write_key(own)
            write_text(own / "ca.crt", (folder / "keys" / "ca.crt").read_text())
    write_text(folder / "README.md", _readme(sites, hosts[0], port, encrypted))
    write_text(folder / ".gitignore", "keys/\nsites/\nflower/\nruns/\n*.db\n")


def _app_name(folder: Path) -> str:
    """Turn a folder's name into one that Flower takes for an app: of 32 characters at most."""
    plain = re.sub(r"[^a-z0-9]+", "-", folder.absolute().name.lower())
    return plain.lstrip("-0123456789")[:32].rstrip("-") or "federation"


def _readme(sites: Sequence[str], host: str, port: int, encrypted: bool) -> str:
    """Write the federation's commands, word for word."""
    tls = (
        " \\\n  --ssl-ca-certfile keys/ca.crt --ssl-certfile keys/server.crt "
        "--ssl-keyfile keys/server.key --enable-supernode-auth"
    )
    key = " \\\n  --root-certificates ca.crt --auth-supernode-private-key site.key"
    node = "data='data.jsonl' model='embedded' policy='policy.yaml'"
    registered = (f"flwr supernode register sites/{site}/site.pub" for site in sites)
    return _template(
        "README.md",
        sites=", ".join(sites),
        site=sites[0],
        superlink=f"fedhds superlink --host {_listening(host)} --port {port} "
        f"--database superlink.db{tls if encrypted else ' --insecure'}",
        register="\n".join(registered) if encrypted else "flwr supernode list",
        supernode=f"fedhds supernode --superlink {host}:{port}"
        + (key if encrypted else " --insecure")
        + f' \\\n  --node-config "{node}"',
        secretly="by a way that keeps its `site.key` secret" if encrypted else "as it is",
        warning=ENCRYPTED if encrypted else PLAIN,
    )


def _listening(host: str) -> str:
    """Return the address to listen at so that sites reach ``host``."""
    return "127.0.0.1" if host in LOCAL else "0.0.0.0"


def write_certificates(folder: Path, names: Sequence[str]) -> None:
    """Write a certificate authority and the server's certificate for ``names``, with their keys."""
    authority_key, server_key = (ec.generate_private_key(ec.SECP384R1()) for _ in range(2))
    issuer, subject = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        for name in ("fedhds federation", names[0][:64])
    )
    signed_by = issuer, authority_key
    authority = _certificate(issuer, authority_key, signed_by, authority=True)
    alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
    server = _certificate(subject, server_key, signed_by, alternatives, authority=False)
    for stem, certificate, key in (
        ("ca", authority, authority_key),
        ("server", server, server_key),
    ):
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        write_text(folder / f"{stem}.crt", pem.decode())
        _write_private(folder / f"{stem}.key", key, serialization.PrivateFormat.PKCS8)


def write_key(folder: Path) -> None:
    """Write a site's key pair as Flower takes it: ``site.key``, and ``site.pub`` to register."""
    key = ec.generate_private_key(ec.SECP384R1())
    _write_private(folder / "site.key", key, serialization.PrivateFormat.OpenSSH)
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    write_text(folder / "site.pub", public.decode() + "\n")


def _certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signed_by: tuple[x509.Name, ec.EllipticCurvePrivateKey],
    *extensions: x509.ExtensionType,
    authority: bool,
) -> x509.Certificate:
    """Sign a key, with all that RFC 5280 asks for: Python checks it strictly from 3.13 on."""
    now = datetime.datetime.now(datetime.UTC)
    issuer, signing = signed_by
    usage = x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.BasicConstraints(authority, 0 if authority else None), critical=True)
        .add_extension(usage, critical=True)
    )
    identifiers = (
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()),
    )
    for extension in (*identifiers, *extensions):
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(signing, hashes.SHA384())


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write_private(
    path: Path, key: ec.EllipticCurvePrivateKey, form: serialization.PrivateFormat
) -> None:
    """Write a private key that only its owner can read, from its first byte on."""
    text = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)


def _template(file: str, **values: str) -> str:
    """Fill in one of the package's own files."""
    path = files("fedhds") / "assets" / "kit" / file
    mapping: Mapping[str, str] = values
    return Template(path.read_text(encoding="utf-8")).substitute(mapping)
