"""Reads or writes sealed tables with pyarrow: tables.py read|write KEKS.json CASES.json

KEKS.json is what a vault would hold: the PEM of each KEK's private key by its id.
"""

import base64
import hashlib
import json
import pathlib
import sys

import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

KEKS = {
    name: serialization.load_pem_private_key(pem.encode(), None)
    for name, pem in json.loads(pathlib.Path(sys.argv[2]).read_text()).items()
}
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


class Kms(pe.KmsClient):
    """A wrapped key is `kekVersion.base64url(RSA-OAEP-256)`."""

    def __init__(self, config):
        pe.KmsClient.__init__(self)

    def wrap_key(self, key, name):
        public = KEKS[name].public_key()
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        wrapped = base64.urlsafe_b64encode(public.encrypt(bytes(key), OAEP)).rstrip(b"=").decode()
        return f"{hashlib.sha256(der).hexdigest()[:32]}.{wrapped}"

    def unwrap_key(self, wrapped, name):
        text = wrapped.decode() if isinstance(wrapped, bytes) else wrapped
        return KEKS[name].decrypt(base64.urlsafe_b64decode(text.split(".")[1] + "=="), OAEP)


FACTORY = pe.CryptoFactory(Kms)
CONNECTION = pe.KmsConnectionConfig(kms_instance_id="ppml", kms_instance_url="DEFAULT", key_access_token="none")


def read(case):
    """Each column's outcome against the plain file, then that of the whole table."""
    outcomes = {}
    plain = pq.read_table(case["plain"])
    for columns in [*([name] for name in plain.column_names), plain.column_names]:
        try:
            keys = FACTORY.file_decryption_properties(CONNECTION)
            table = pq.ParquetFile(case["sealed"], decryption_properties=keys).read(columns=columns)
            outcome = "equal" if table.equals(plain.select(columns)) else "different"
        except Exception as error:
            outcome = f"refused: {error!r}"
        outcomes[columns[0] if len(columns) == 1 else "*"] = outcome
    return outcomes


def write(case):
    table = pq.read_table(case["plain"])
    config = pe.EncryptionConfiguration(**case["encryption"])
    keys = FACTORY.file_encryption_properties(CONNECTION, config)
    pq.write_table(table, case["sealed"], encryption_properties=keys, **case["options"])
    return "done"


command = {"read": read, "write": write}[sys.argv[1]]
print(json.dumps([command(case) for case in json.loads(pathlib.Path(sys.argv[3]).read_text())]))
