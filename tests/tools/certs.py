# SPDX-License-Identifier: Apache-2.0
"""certs - throw-away certificate authorities and certificates, made with the openssl program."""

import os
import subprocess

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self, folder, name="Test CA"):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.ca_file = os.path.join(folder, "ca.pem")
        self._key = os.path.join(folder, "ca.key")
        self._openssl("req", "-x509", *_KEY, "-keyout", self._key, "-out", self.ca_file, "-subj", "/CN=" + name,
                      "-days", "30")

    def issue(self, name, address="IP:127.0.0.1", days=30):
        """(certificate file, key file). address: its subjectAltName; days: negative for an expired one."""
        base = os.path.join(self.folder, name)
        with open(base + ".ext", "w", encoding="utf-8") as file:
            file.write("subjectAltName=%s\n" % address)
        self._openssl("req", *_KEY, "-keyout", base + ".key", "-out", base + ".csr", "-subj", "/CN=" + name)
        self._openssl("x509", "-req", "-in", base + ".csr", "-CA", self.ca_file, "-CAkey", self._key,
                      "-CAcreateserial", "-days", str(days), "-extfile", base + ".ext", "-out", base + ".pem")
        return base + ".pem", base + ".key"

    @staticmethod
    def _openssl(*argv):
        subprocess.run(["openssl", *argv], check=True, capture_output=True)
