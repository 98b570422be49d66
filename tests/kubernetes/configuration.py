"""Has `schemaward check` read every configuration, with files in the place of what Secrets would bring."""

import pathlib
import re
import subprocess
import sys
import tempfile

SUBJECT = "/CN=schemaward"


def check(binary, documents):
    """The number of configurations among these manifests; ends the program where one is not sound."""
    maps = [one for one in documents if one["kind"] == "ConfigMap" and "schemaward.yaml" in one["data"]]
    for one in maps:
        text = one["data"]["schemaward.yaml"]
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for file in re.findall(r"/etc/schemaward/[^\s'\",}]+", text):
                stand_in(root / file.removeprefix("/etc/schemaward/"))
            config = root / "schemaward.yaml"
            config.write_text(text.replace("/etc/schemaward/", f"{root}/"), encoding="utf-8")
            done = subprocess.run([binary, "check", "--config", config], env={}, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not done.stdout.startswith("# ok\n"):
            sys.exit(f"FAILED ConfigMap {one['metadata']['name']}\n{done.stderr}\n{text}")
    return len(maps)


def stand_in(file):
    """A file of the kind that its name promises."""
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".key" or file.suffix == ".crt":
        certificate, key = file.with_name("tls.crt"), file.with_name("tls.key")
        options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", SUBJECT]
        command = ["openssl", "req", "-x509", *options, "-keyout", key, "-out", certificate]
        subprocess.run(command, capture_output=True, check=True)
        (file.with_name("ca.crt")).write_bytes(certificate.read_bytes())
    elif file.suffix:
        sys.exit(f"FAILED what is {file.name}?")
    elif file.name == "schemas":
        file.mkdir()
        (file / "user.avsc").write_text('"string"', encoding="ascii")
    else:
        file.write_text("secret", encoding="ascii")
