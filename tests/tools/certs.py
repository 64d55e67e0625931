# SPDX-License-Identifier: Apache-2.0
"""certs - throw-away certificate authorities and certificates, made with the openssl program."""

import os
import subprocess
import time

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self, folder, name="Test CA", days=400):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.ca_file = os.path.join(folder, "ca.pem")
        self._key = os.path.join(folder, "ca.key")
        self._openssl("req", "-x509", *_KEY, "-keyout", self._key, "-out", self.ca_file, "-subj", "/CN=" + name,
                      "-days", str(days))

    def issue(self, name, address="IP:127.0.0.1", days=300, kind=None):
        """(certificate file, key file). address: its subjectAltName; days: negative for an expired one; kind: rsa:2048
        for an RSA key."""
        base = os.path.join(self.folder, name)
        with open(base + ".ext", "w", encoding="utf-8") as file:
            file.write("subjectAltName=%s\n" % address)
        key = ["-newkey", kind, "-nodes"] if kind else _KEY
        self._openssl("req", *key, "-keyout", base + ".key", "-out", base + ".csr", "-subj", "/CN=" + name)
        self._openssl("x509", "-req", "-in", base + ".csr", "-CA", self.ca_file, "-CAkey", self._key,
                      "-CAcreateserial", "-days", str(days), "-extfile", base + ".ext", "-out", base + ".pem")
        return base + ".pem", base + ".key"

    def issue_later(self, name, address="IP:127.0.0.1"):
        """As issue(), but valid only from tomorrow on."""
        base = os.path.join(self.folder, name)
        self._openssl("req", *_KEY, "-keyout", base + ".key", "-out", base + ".csr", "-subj", "/CN=" + name)
        with open(base + ".cnf", "w", encoding="utf-8") as file:
            file.write("[ca]\ndefault_ca=own\n[own]\ndatabase=%s.index\nnew_certs_dir=%s\nrand_serial=yes\n"
                       "default_md=sha256\npolicy=any\nx509_extensions=names\n[any]\ncommonName=supplied\n"
                       "[names]\nsubjectAltName=%s\n" % (base, self.folder, address))
        open(base + ".index", "w", encoding="utf-8").close()
        stamp = "%Y%m%d%H%M%SZ"
        self._openssl("ca", "-batch", "-notext", "-config", base + ".cnf", "-in", base + ".csr", "-out", base + ".pem",
                      "-cert", self.ca_file, "-keyfile", self._key,
                      "-startdate", time.strftime(stamp, time.gmtime(time.time() + 86400)),
                      "-enddate", time.strftime(stamp, time.gmtime(time.time() + 30 * 86400)))
        return base + ".pem", base + ".key"

    @classmethod
    def self_signed(cls, folder, address="IP:127.0.0.1"):
        """(certificate file, key file) of somebody who is his own authority."""
        os.makedirs(folder, exist_ok=True)
        base = os.path.join(folder, "self")
        cls._openssl("req", "-x509", *_KEY, "-keyout", base + ".key", "-out", base + ".pem", "-subj", "/CN=self",
                     "-addext", "subjectAltName=" + address, "-days", "300")
        return base + ".pem", base + ".key"

    @staticmethod
    def _openssl(*argv):
        subprocess.run(["openssl", *argv], check=True, capture_output=True)
