"""Opens or makes the streams of sealed files with Tink: files.py open|seal CASES.json

A case has paths: dek, associatedData, input, output. The DEK is the key of Tink's
AES256-GCM-HKDF-1MB streaming AEAD.
"""

import json
import pathlib
import sys

import tink
from tink import secret_key_access, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2


def primitive(dek):
    key = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(version=0, key_value=dek)
    key.params.ciphertext_segment_size = 1 << 20
    key.params.derived_key_size = 32
    key.params.hkdf_hash_type = common_pb2.SHA256
    keyset = tink_pb2.Keyset(primary_key_id=1)
    entry = keyset.key.add(key_id=1, status=tink_pb2.ENABLED, output_prefix_type=tink_pb2.RAW)
    entry.key_data.type_url = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"
    entry.key_data.value = key.SerializeToString()
    entry.key_data.key_material_type = tink_pb2.KeyData.SYMMETRIC
    handle = tink.proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)
    return handle.primitive(streaming_aead.StreamingAead)


def run(case, direction):
    paths = {name: pathlib.Path(path) for name, path in case.items()}
    aead = primitive(paths["dek"].read_bytes())
    associated_data = paths["associatedData"].read_bytes()
    if direction == "open":
        with paths["input"].open("rb") as source, aead.new_decrypting_stream(source, associated_data) as stream:
            paths["output"].write_bytes(stream.read())
    else:
        with aead.new_encrypting_stream(paths["output"].open("wb"), associated_data) as stream:
            stream.write(paths["input"].read_bytes())


def outcome(case, direction):
    try:
        run(case, direction)
        return "done"
    except (tink.TinkError, OSError) as error:
        return f"refused: {error}"


streaming_aead.register()
cases = json.loads(pathlib.Path(sys.argv[2]).read_text())
print(json.dumps([outcome(case, sys.argv[1]) for case in cases]))
