"""Ground floor: bytes on disk. A name becomes a folder; a folder becomes config and arrays."""
