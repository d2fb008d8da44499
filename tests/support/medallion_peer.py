"""OASIS' own TAXII test server, as the independent peer."""

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from werkzeug.serving import make_server

MEDIA_TYPE = "application/taxii+json;version=2.1"
USER, PASSWORD = "hunter", "secret"


@contextmanager
def medallion_peer(folder: Path, collection: str) -> Iterator[str]:
    """The address of an empty collection on a medallion of its own."""
    from medallion import application_instance, load_app  # noqa: PLC0415 - slow, and global

    data = {
        "/discovery": {"title": "m", "default": "root", "api_roots": ["root"]},
        "root": {
            "information": {"title": "r", "versions": [MEDIA_TYPE], "max_content_length": 9765625},
            "status": [],
            "collections": [
                {
                    "id": collection,
                    "title": "Contract",
                    "can_read": True,
                    "can_write": True,
                    "media_types": ["application/stix+json;version=2.1"],
                    "objects": [],
                    "manifest": [],
                }
            ],
        },
    }
    (folder / "data.json").write_text(json.dumps(data))
    config = {
        "backend": {
            "module": "medallion.backends.memory_backend",
            "module_class": "MemoryBackend",
            "filename": str(folder / "data.json"),
        },
        "users": {USER: PASSWORD},
        "taxii": {"max_page_size": 100},
    }
    (folder / "config.json").write_text(json.dumps(config))
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    if application_instance.blueprints:
        from medallion import set_config  # noqa: PLC0415

        for part in ("users", "taxii", "backend"):
            set_config(application_instance, part, config)
    else:
        load_app(folder / "config.json")
    peer = make_server("127.0.0.1", 0, application_instance, threaded=True)
    thread = threading.Thread(target=peer.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{peer.server_port}/root/collections/{collection}/"
    finally:
        peer.shutdown()
        thread.join(5)
