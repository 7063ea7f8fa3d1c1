"""Certificates for one test run, made by openssl: an authority, and what it signs. Nothing is kept."""

import subprocess


class Authority:
    def __init__(self, folder, name="ca"):
        self.folder = folder
        self.key = folder / f"{name}.key"
        self.pem = folder / f"{name}.pem"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                 "-keyout", self.key, "-out", self.pem, "-subj", f"/CN={name}")
        self.pem.chmod(0o644)

    def sign(self, name, alt, days=2):
        """(certificate, key) for `alt`, as in "IP:127.0.0.1,DNS:localhost"; days < 0: it has expired."""
        key, pem, request, extra = (self.folder / f"{name}.{end}" for end in ("key", "pem", "csr", "ext"))
        extra.write_text(f"subjectAltName={alt}\n")
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                 "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        _openssl("x509", "-req", "-in", request, "-CA", self.pem, "-CAkey", self.key, "-CAcreateserial",
                 "-days", days, "-extfile", extra, "-out", pem)
        for path in (key, pem):
            path.chmod(0o644)
        return pem, key


def _openssl(*args):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
