"""Write mappings/schema.json, which a test compares with the records that it is made from."""

from optmap.mapping.schema import schema_text
from optmap.mapping.stored import default_directory

if __name__ == "__main__":
    default_directory().joinpath("schema.json").write_text(schema_text(), encoding="utf-8")
