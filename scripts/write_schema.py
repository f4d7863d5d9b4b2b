"""Write mappings/schema.json. Run it after changing optmap/mapping/shape.py; a test compares the two."""

from pathlib import Path

from optmap.mapping.schema import schema_text

if __name__ == "__main__":
    Path(__file__).parent.parent.joinpath("mappings", "schema.json").write_text(schema_text(), encoding="utf-8")
