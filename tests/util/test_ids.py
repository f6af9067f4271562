"""Ids are unique, and a UUID is one."""

import uuid

from overseer.util.ids import new_id, new_uuid


def test_a_uuid_is_one_of_version_4() -> None:
    texts = {new_uuid() for _ in range(200)}
    assert len(texts) == 200
    for text in texts:
        read = uuid.UUID(text)
        assert (str(read), read.version, read.variant) == (text, 4, uuid.RFC_4122)


def test_an_id_is_128_bits() -> None:
    ids = {new_id() for _ in range(200)}
    assert len(ids) == 200
    assert {len(bytes.fromhex(each)) for each in ids} == {16}
