"""Writes the Parquet vectors of this folder with pyarrow 26.0.1 and cryptography: python3 make.py

Master keys are in MASTER_KEYS; a wrapped key is base64 of nonce 12 | AES-GCM ciphertext | tag 16
with the master key's name as associated data. All files hold the same table.
"""

import base64
import datetime
import decimal
import os
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MASTER_KEYS = {"footer": bytes(range(16)), "one": bytes(range(16, 32)), "two": bytes(range(32, 64))}
ROWS = 600
HERE = pathlib.Path(__file__).parent


class Kms(pe.KmsClient):
    def __init__(self, config):
        pe.KmsClient.__init__(self)

    def wrap_key(self, key, name):
        nonce = os.urandom(12)
        sealed = AESGCM(MASTER_KEYS[name]).encrypt(nonce, key, name.encode())
        return base64.b64encode(nonce + sealed).decode()

    def unwrap_key(self, wrapped, name):
        raw = base64.b64decode(wrapped)
        return AESGCM(MASTER_KEYS[name]).decrypt(raw[:12], raw[12:], name.encode())


table = pa.table(
    {
        "i": pa.array(range(ROWS), pa.int64()),
        "s": pa.array([None if i % 11 == 0 else f"name{i % 20}" for i in range(ROWS)]),
        "l": pa.array([[i, i + 1] if i % 5 else None for i in range(ROWS)]),
        "dec": pa.array([decimal.Decimal(i) / 100 for i in range(ROWS)], pa.decimal128(12, 2)),
        "ts": pa.array([datetime.datetime(2020, 1, 1) + datetime.timedelta(hours=i) for i in range(ROWS)]),
    }
)
small_pages = dict(row_group_size=250, data_page_size=400, write_batch_size=50)
index = dict(small_pages, write_page_index=True)
v2 = dict(index, data_page_version="2.0", compression="zstd")
bloom = dict(v2, bloom_filter_options={"s": True, "i": {"ndv": 250}})
checksum = dict(small_pages, write_page_checksum=True, use_dictionary=False, compression="none")
columns = {"one": ["s", "l.list.element"], "two": ["dec"]}

PLAIN = {"plain-index": index, "plain-bloom-v2": bloom, "plain-checksum": checksum}
SEALED = {
    "uniform": (dict(uniform_encryption=True), small_pages),
    "uniform-single-v2": (dict(uniform_encryption=True, double_wrapping=False), v2),
    "uniform-256-checksum": (dict(uniform_encryption=True, data_key_length_bits=256), checksum),
    "columns-index": (dict(column_keys=columns | {"footer": ["i", "ts"]}), index),
    "columns-partial-v2": (dict(column_keys=columns), v2),
    "plaintext-footer-index": (dict(column_keys=columns, plaintext_footer=True), index),
    "ctr": (dict(uniform_encryption=True, encryption_algorithm="AES_GCM_CTR_V1"), small_pages),
}

for name, options in PLAIN.items():
    pq.write_table(table, HERE / f"{name}.parquet", **options)
factory = pe.CryptoFactory(Kms)
connection = pe.KmsConnectionConfig(kms_instance_id="vectors", kms_instance_url="DEFAULT", key_access_token="none")
for name, (encryption, options) in SEALED.items():
    config = pe.EncryptionConfiguration(footer_key="footer", **({"encryption_algorithm": "AES_GCM_V1"} | encryption))
    properties = factory.file_encryption_properties(connection, config)
    pq.write_table(table, HERE / f"pyarrow-{name}.parquet", encryption_properties=properties, **options)
