"""Write each mappings/**/schema.json, which a test compares with the records that it is made from."""

import argparse

from optmap.mapping.schema import FOLDERS, schema_text
from optmap.mapping.stored import default_directory

if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    for folder in FOLDERS:
        default_directory().joinpath(folder, "schema.json").write_text(schema_text(folder), encoding="utf-8")
