"""Contents that a JSON file of a run may have after an accident."""

CONTENTS = {
    "empty": b"",
    "halved": b'{"step": 3, "met',
    "binary": bytes(range(256)),
    "object": b"{}",
    "list": b"[]",
    "null": b"null",
    "text": b'"x"',
    "number": b"5",
    "brackets": b"[" * 100_000,
    "zeros": bytes(1000),
}
